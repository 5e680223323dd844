"""Satimage-2: 5,803 pixels of a satellite image with their neighbours in four bands, 71 of cotton crop.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/31_satimage-2.npz): UCI's Statlog
Landsat Satellite, training and test part together, a sample of class 2 against all other classes.
Shapes: tables (36,); no official test part.
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
    """Satimage-2 of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(36)
    shape: ClassVar[tuple[int, ...]] = (36,)
    train_counts: ClassVar[tuple[int, ...]] = (5732, 71)
    data_hash: ClassVar[str] = "41748d71fe889c88c43374b7d01e0d3da8e0e18a4d66530db3024905a0c14f39"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "31_satimage-2.npz", "1b056e357f801b8b20c3f380a30224a3c4088d7ed764ec5a24828dc9b1918d6f"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
