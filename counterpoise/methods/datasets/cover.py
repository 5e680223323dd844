"""Cover: 286,048 patches of forest, ten measurements of the terrain, 2,747 with cottonwood or willow.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/10_cover.npz): the ten
quantitative attributes of UCI's Covertype, lodgepole pine (class 2) against cottonwood and willow (class 4).
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
    """Cover of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(10)
    shape: ClassVar[tuple[int, ...]] = (10,)
    train_counts: ClassVar[tuple[int, ...]] = (283301, 2747)
    data_hash: ClassVar[str] = "54af91c6109d8254a43f131336443f4f1c85759935922da538128c8a982e28cb"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "10_cover.npz", "945a097c3542ae81a551bf1c06dcad78a755d94f84fcaf1d60687e42d1a656df"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
