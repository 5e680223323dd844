"""Quality of 1,599 red wines, eleven measurements; the positive class is the 63 that tasters gave 4 points or fewer.

Source: Cortez et al. 2009 (UCI, Wine Quality); the threshold of imbalanced-learn's wine_quality, which is the white
wines (ratio here 24.4).
Shapes: tables (11,); no official test part.
Units: grams per cubic decimetre, but sulphur dioxide in milligrams, density in grams per cubic centimetre, alcohol
in percent of volume; pH has none.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the file is UCI's without header and with commas in place of semicolons; the points (3 to 9)
are two classes. 240 rows repeat another exactly and can lie on both sides of a split.
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
    """Red wines, 4 points or fewer against more."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("above 4", "4 or below")
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric(
        "fixed_acidity volatile_acidity citric_acid residual_sugar chlorides free_sulfur_dioxide "
        "total_sulfur_dioxide density ph sulphates alcohol"
    )
    shape: ClassVar[tuple[int, ...]] = (11,)
    train_counts: ClassVar[tuple[int, ...]] = (1536, 63)
    data_hash: ClassVar[str] = "0b29163b587be3447e76912a8e53b76f1bbdffc0de77569b68f5bfe443aaea0c"
    files: ClassVar[Files] = {
        "winequality-red.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/winequality-red.csv",
            "sha256:c9614512e980f1cbd221c796daa97f00c4898c3cd1716863abac60f6cd1a522e",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("winequality-red.csv"), self.columns)
        return _tables.undivided(x_ND, label_N.astype(float) <= 4)
