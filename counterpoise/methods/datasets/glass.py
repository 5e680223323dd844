"""Glass: 214 pieces, refractive index and eight oxides, what the piece was part of (six classes).

Source: Evett and Spiehler 1987 (UCI, Glass Identification).
Shapes: tables (9,); no official test part.
Units: oxides in percent of weight.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the file lacks the number of each piece. One row repeats another exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _tables

_TYPES = np.array(["1", "2", "3", "5", "6", "7"], object)  # type 4, vehicle windows not float, has no piece


@dataclass(frozen=True)
class Method:
    """Glass with the six classes that occur."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = (
        "building windows, float",
        "building windows, not float",
        "vehicle windows, float",
        "containers",
        "tableware",
        "headlamps",
    )
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric("refractive_index na mg al si k ca ba fe")
    shape: ClassVar[tuple[int, ...]] = (9,)
    train_counts: ClassVar[tuple[int, ...]] = (70, 76, 17, 13, 9, 29)
    data_hash: ClassVar[str] = "dec73b6ee07fd94448f521f2936c2971d3495425cb42e5c0e9f6ec5b1de12856"
    files: ClassVar[Files] = {
        "glass.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/glass.csv",
            "sha256:1b7039aa2d617c1827e790b55d45ac138dce06b5f2a3fb6c25f2f135b59ad2d0",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("glass.csv"), self.columns)
        return _tables.undivided(x_ND, np.searchsorted(_TYPES, label_N))
