"""Mammography as split by MESA: 11,183 spots of mammograms, six measurements, 260 of them microcalcifications.

Source: Woods et al. 1993, in the three files of Liu et al. 2020, "MESA: boost ensemble imbalanced learning with
meta-sampler" (github.com/ZhiningLiu1998/mesa, data/Mammo_*.csv: 60, 20 and 20 %).
Shapes: tables (6,); MESA's own test part.
Units: standardised in the files, whose columns have no names.
Raises: UserError if a file is missing or not the published one.
Differs from the source: the training and validation parts are one, of which a study may hold back its own. 639 of
the 2,237 test rows occur in the training part. Of all rows 3,334 repeat another exactly. The same rows as
`mammography` of ADBench.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _mesa


@dataclass(frozen=True)
class Method:
    """Mammography as split by MESA."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _mesa.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _mesa.COLUMNS
    shape: ClassVar[tuple[int, ...]] = (6,)
    train_counts: ClassVar[tuple[int, ...]] = (8738, 208)
    data_hash: ClassVar[str] = "ec8c0e0fa3f5647b4999d7ae88198e72dfc0e42888910eab4ea356f077b6c0b5"
    folder: ClassVar[str] = _mesa.FOLDER
    files: ClassVar[Files] = _mesa.FILES

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the training and validation rows to train on and the test rows to test, in the order of the files."""
        train, valid, test = (_mesa.read(locate(name), self.columns) for name in self.files)
        return np.concatenate([train[0], valid[0]]), np.concatenate([train[1], valid[1]]), *test
