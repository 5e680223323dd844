"""E. coli: 336 proteins, seven measurements, where in the cell they belong; positive is the inner membrane,
uncleavable.

Source: Horton and Nakai 1996 (UCI, Ecoli); target imU as data set 1 of Ding 2011 in imbalanced-learn's collection
(ratio 8.6).
Shapes: tables (7,); no official test part.
Units: scores from 0 to 1; lip is .48 or 1, chg .5 or 1.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the file lacks the names of the sequences; the eight places are two classes. No row repeats
another.
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
    """E. coli, imU against the seven other places."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("other", "imU")
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric("mcg gvh lip chg aac alm1 alm2")
    shape: ClassVar[tuple[int, ...]] = (7,)
    train_counts: ClassVar[tuple[int, ...]] = (301, 35)
    data_hash: ClassVar[str] = "8f34202731879e4bdb8dd700e439f37aa621bb49a1dae22583fd1785a82c6a25"
    files: ClassVar[Files] = {
        "ecoli.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/ecoli.csv",
            "sha256:26836c66779f5ce2b0c4d21c0667dcfb89f2a408e3cdac7e38dbc63e0abd5691",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("ecoli.csv"), self.columns)
        return _tables.undivided(x_ND, label_N == "imU")
