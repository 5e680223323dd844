"""Mammography as MESA trains on it: its training part alone, 6,709 spots of mammograms, without its validation part.

Source: Woods et al. 1993, in the three files of Liu et al. 2020, "MESA: boost ensemble imbalanced learning with
meta-sampler" (github.com/ZhiningLiu1998/mesa, data/Mammo_*.csv: 60, 20 and 20 %).
Shapes: tables (6,); MESA's own test part.
Units: standardised in the files, whose columns have no names.
Raises: UserError if a file is missing or not the published one.
Differs from the source: MESA's validation part, which only its meta-sampler reads, is left out. `mammography_mesa`
has both parts to train on.
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
    """Mammography, the training part of MESA alone."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _mesa.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _mesa.COLUMNS
    shape: ClassVar[tuple[int, ...]] = (6,)
    train_counts: ClassVar[tuple[int, ...]] = (6553, 156)
    data_hash: ClassVar[str] = "6274d9770f7f741c3fd9a43cd2111d53c56ae862d5527c2f61c404b909b7aab8"
    folder: ClassVar[str] = _mesa.FOLDER
    files: ClassVar[Files] = _mesa.FILES

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the training rows and the test rows, in the order of the files."""
        train, test = (_mesa.read(locate(f"Mammo_{part}.csv"), self.columns) for part in ("train", "test"))
        return *train, *test
