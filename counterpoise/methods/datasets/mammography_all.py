"""Mammography, undivided: 11,183 spots of mammograms, six measurements, 260 of them microcalcifications.

Source: Woods et al. 1993, in the three files of Liu et al. 2020, "MESA: boost ensemble imbalanced learning with
meta-sampler" (github.com/ZhiningLiu1998/mesa, data/Mammo_*.csv: 60, 20 and 20 %).
Shapes: tables (6,); no official test part.
Units: standardised in the files, whose columns have no names.
Raises: UserError if a file is missing or not the published one.
Differs from the source: all rows are to train on, for the cross-validation of the resampling figure. Of all rows
3,334 repeat another exactly and can lie on both sides of a split. The same rows as `mammography` of ADBench.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _mesa, _tables


@dataclass(frozen=True)
class Method:
    """Mammography, undivided."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _mesa.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _mesa.COLUMNS
    shape: ClassVar[tuple[int, ...]] = (6,)
    train_counts: ClassVar[tuple[int, ...]] = (10923, 260)
    data_hash: ClassVar[str] = "2d15a4010d6fd7f2934d1ea8f46f6e3db2f0b73a63f64b6ff9b6b9933309c266"
    folder: ClassVar[str] = _mesa.FOLDER
    files: ClassVar[Files] = _mesa.FILES

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the files."""
        parts = [_mesa.read(locate(name), self.columns) for name in self.files]
        return _tables.undivided(*(np.concatenate(part) for part in zip(*parts, strict=True)))
