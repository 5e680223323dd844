"""Page blocks: 5,393 blocks of the layout of pages, ten measurements, 510 that are not text.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/27_PageBlocks.npz): UCI's Page
Blocks, of whose 5,473 rows 80 are left out; lines, pictures and graphics are the anomalies.
Shapes: tables (10,); no official test part.
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
    """Page blocks of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(10)
    shape: ClassVar[tuple[int, ...]] = (10,)
    train_counts: ClassVar[tuple[int, ...]] = (4883, 510)
    data_hash: ClassVar[str] = "5c7467088023125a74173d171c7fed6f9d44c15deddd8d616f5d08a7b3c672c5"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "27_PageBlocks.npz", "10a9b4d5bb5d3b9083caab4c4062f665610eada703c3d927bf7c34b1f2d0d223"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
