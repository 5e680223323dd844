"""Cardio: 1,831 cardiotocograms, 21 measurements, 176 pathologic.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/6_cardio.npz): UCI's
Cardiotocography without its class "suspect"; pathologic is the anomaly; standardised there.
Shapes: tables (21,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 9 rows repeat another exactly and can lie on both sides of a split.
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
    """Cardio of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(21)
    shape: ClassVar[tuple[int, ...]] = (21,)
    train_counts: ClassVar[tuple[int, ...]] = (1655, 176)
    data_hash: ClassVar[str] = "4a0e9809f284c4d60faa9ff3265e6883ff312f4895be7129f1a4334fb730eba6"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "6_cardio.npz", "bc5009bde6930b4d298b594f31b34485a9a17210cff0e8fb00a8c3068b885a2d"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
