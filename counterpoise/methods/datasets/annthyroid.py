"""Annthyroid: 7,200 patients of a thyroid clinic, six measurements, 534 with a thyroid that does too much or too
little.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/2_annthyroid.npz): the six
continuous attributes of UCI's Thyroid Disease ("ann" version), its training and test part together; hyperfunction
and subnormal function are the anomalies.
Shapes: tables (6,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 138 rows repeat another exactly and can lie on both sides of a split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _adbench


@dataclass(frozen=True)
class Method:
    """Annthyroid of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(6)
    shape: ClassVar[tuple[int, ...]] = (6,)
    train_counts: ClassVar[tuple[int, ...]] = (6666, 534)
    data_hash: ClassVar[str] = "3896b51ab3af523c3cb3af0baab7736e3b110b7137c01f94e93f26825983e88f"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "2_annthyroid.npz", "e738f7c58a8740d2c4aac4c71ff49ce5e1d1aa16f44178135fc9c09df05fad1b"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
