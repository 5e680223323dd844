"""German credit: 1,000 loans, 20 attributes of 13 kinds of text and 7 of number; the positive class is the 300 bad
risks.

Source: Hofmann 1994 (UCI, Statlog German Credit Data).
Shapes: tables (20,): 13 categorical and 7 numeric columns; no official test part.
Units: duration in months, amount in Deutsche Mark, age in years, rate in percent of income; the others count.
Raises: UserError if the file is missing or not the published one.
Differs from the source: commas in place of spaces. Its cost matrix (a bad risk taken for good costs 5, the reverse
1) is not applied. Categories are UCI's codes; those with an order (savings, employment) have one that is no order
(unknown), so all are categorical. No row repeats another.
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
    """German credit, bad risks against good ones."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("good", "bad")
    columns: ClassVar[tuple[Column, ...]] = (
        _tables.categorical("status", "A11 A12 A13 A14"),
        *_tables.numeric("duration"),
        _tables.categorical("history", "A30 A31 A32 A33 A34"),
        _tables.categorical("purpose", "A40 A41 A410 A42 A43 A44 A45 A46 A48 A49"),
        *_tables.numeric("amount"),
        _tables.categorical("savings", "A61 A62 A63 A64 A65"),
        _tables.categorical("employment", "A71 A72 A73 A74 A75"),
        *_tables.numeric("rate"),
        _tables.categorical("personal_status", "A91 A92 A93 A94"),
        _tables.categorical("debtors", "A101 A102 A103"),
        *_tables.numeric("residence"),
        _tables.categorical("property", "A121 A122 A123 A124"),
        *_tables.numeric("age"),
        _tables.categorical("other_plans", "A141 A142 A143"),
        _tables.categorical("housing", "A151 A152 A153"),
        *_tables.numeric("credits"),
        _tables.categorical("job", "A171 A172 A173 A174"),
        *_tables.numeric("liable"),
        _tables.categorical("telephone", "A191 A192"),
        _tables.categorical("foreign_worker", "A201 A202"),
    )
    shape: ClassVar[tuple[int, ...]] = (20,)
    train_counts: ClassVar[tuple[int, ...]] = (700, 300)
    data_hash: ClassVar[str] = "98ec5087b0d44df777899756352dbb15294cc866ebdcd08dc70c98f56f91ed3f"
    files: ClassVar[Files] = {
        "german.csv": (
            "https://github.com/jbrownlee/Datasets/raw/d20fcb6402ae34e653d4513b00f39257bb37ed7f/german.csv",
            "sha256:ec12a88b9fc14d74ba646ea0410cf7ff4533bec2eb61652f8ad76796bbfec017",
        )
    }

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, label_N = _tables.read(locate("german.csv"), self.columns)
        return _tables.undivided(x_ND, label_N == "2")
