"""Glass6: the 214 pieces of Glass, refractive index and eight oxides; the positive class is the 29 headlamps.

Source: Evett and Spiehler 1987 (UCI, Glass Identification); target type 7 as "glass6" of the KEEL repository (ratio
6.4).
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


@dataclass(frozen=True)
class Method:
    """Glass, headlamps against the five other classes."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("other", "headlamps")
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric("refractive_index na mg al si k ca ba fe")
    shape: ClassVar[tuple[int, ...]] = (9,)
    train_counts: ClassVar[tuple[int, ...]] = (185, 29)
    data_hash: ClassVar[str] = "e9bd56e64237ce1785e77cbc42299d6ad3aa5c67098d01fb78e5ca74f74b12c2"
    folder: ClassVar[str] = "glass"
    files: ClassVar[Files] = {
        "glass.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/glass.csv",
            "sha256:1b7039aa2d617c1827e790b55d45ac138dce06b5f2a3fb6c25f2f135b59ad2d0",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("glass.csv"), self.columns)
        return _tables.undivided(x_ND, label_N == "7")
