"""Thyroid: 3,772 patients of a thyroid clinic, six measurements, 93 with a thyroid that does too much.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/38_thyroid.npz): the training
part of `annthyroid` scaled to 0 to 1, hyperfunction against the other two classes.
Shapes: tables (6,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 116 rows repeat another exactly and can lie on both sides of a split.
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
    """Thyroid of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(6)
    shape: ClassVar[tuple[int, ...]] = (6,)
    train_counts: ClassVar[tuple[int, ...]] = (3679, 93)
    data_hash: ClassVar[str] = "19e3ae77739842199404b3b92dce0ce9665515f56eabd85e54b45bec9cc344ef"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "38_thyroid.npz", "8de161b3f235b7647bb0b39a836d983ff61d67bf234edac461da2d71e889cb87"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
