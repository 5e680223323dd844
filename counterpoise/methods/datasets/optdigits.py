"""Optdigits: 5,216 handwritten digits as 8 x 8 counts of pixels, 150 of them zeros.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/26_optdigits.npz): UCI's Optical
Recognition of Handwritten Digits, digits 1 to 9 against a sample of the zeros.
Shapes: tables (64,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 18 rows repeat another exactly and can lie on both sides of a split.
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
    """Optdigits of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(64)
    shape: ClassVar[tuple[int, ...]] = (64,)
    train_counts: ClassVar[tuple[int, ...]] = (5066, 150)
    data_hash: ClassVar[str] = "01b12252de23f0ac8128f62101264004a5198d8071237685b689a89b6de02bf6"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "26_optdigits.npz", "60de17a375a278ba220a7849727d998aa02b5e2f9fd17732a004bba28de4656e"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
