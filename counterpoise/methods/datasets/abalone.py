"""Abalone with 7 rings: 4,177 shells, sex and seven measurements; the positive class is the 391 with 7 rings.

Source: Nash et al. 1994 (UCI, Abalone); target as data set 5 of Ding 2011 in imbalanced-learn's collection (ratio
9.7).
Shapes: tables (8,): sex (F, I for infant, M) and seven measurements; no official test part.
Units: lengths in millimetres and weights in grams, both divided by 200.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; the file is UCI's without its last line break. The collection has three indicators
in place of the column sex. No row repeats another.
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
    """Abalone, 7 rings against any other number."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("other", "7 rings")
    columns: ClassVar[tuple[Column, ...]] = (
        _tables.categorical("sex", "F I M"),
        *_tables.numeric("length diameter height whole_weight shucked_weight viscera_weight shell_weight"),
    )
    shape: ClassVar[tuple[int, ...]] = (8,)
    train_counts: ClassVar[tuple[int, ...]] = (3786, 391)
    data_hash: ClassVar[str] = "55d1482957e3a4b7a0fe9598af891feb5ea0488676e34fdd131bdfbbac626874"
    files: ClassVar[Files] = {
        "abalone.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/abalone.csv",
            "sha256:eb2de13be807e9bb9ec4128b9c89b98ab23d7739121cfd17b7dde69b46ba7bf6",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("abalone.csv"), self.columns)
        return _tables.undivided(x_ND, label_N == "7")
