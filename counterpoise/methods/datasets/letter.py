"""Letter: 1,600 pairs of printed letters, 32 measurements, 100 with a letter not seen elsewhere.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/20_letter.npz): three letters of
UCI's Letter Recognition, each row joined with another of the same three, in an anomaly with one of the other
letters.
Shapes: tables (32,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 2 rows repeat another exactly and can lie on both sides of a split.
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
    """Letter of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(32)
    shape: ClassVar[tuple[int, ...]] = (32,)
    train_counts: ClassVar[tuple[int, ...]] = (1500, 100)
    data_hash: ClassVar[str] = "f10921133921bd98b1813ebe97f5e1e44336d282224c96eebaacf642efa2f1cb"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "20_letter.npz", "f986d3da80cf1fa2aea83a5ebe73b7d4800e0d4c01fdd1ae074b58d20f10d039"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
