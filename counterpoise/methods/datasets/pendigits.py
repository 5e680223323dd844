"""Pendigits: 6,870 digits written with a pen, 16 coordinates, 156 of them of one digit.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/28_pendigits.npz): UCI's Pen-
Based Recognition of Handwritten Digits with a sample of one digit as the anomalies, scaled to 0 to 1.
Shapes: tables (16,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; no row repeats another.
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
    """Pendigits of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(16)
    shape: ClassVar[tuple[int, ...]] = (16,)
    train_counts: ClassVar[tuple[int, ...]] = (6714, 156)
    data_hash: ClassVar[str] = "6871ff67c7254ade61c12b74727a495567a0651da60da015638e17e89e71ade4"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "28_pendigits.npz", "c4936b89dcdad59d303020e492f763a0f54170080d787c77497609acbb9c2d79"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
