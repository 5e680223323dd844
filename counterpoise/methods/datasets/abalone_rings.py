"""Abalone: 4,177 shells, sex and seven measurements, and how many rings a shell has, which tell its age.

Source: Nash et al. 1994 (UCI, Abalone).
Shapes: tables (8,); no official test part.
Units: lengths in millimetres and weights in grams, both divided by 200; the target counts rings.
Raises: UserError if the file is missing or not the published one, or where `bins` leaves one without a row.
Differs from the source: nothing; the file is UCI's without its last line break.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import registry
from counterpoise.data import targets
from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _tables

COUNTS = {
    1: 1,
    2: 1,
    3: 15,
    4: 57,
    5: 115,
    6: 259,
    7: 391,
    8: 568,
    9: 689,
    10: 634,
    11: 487,
    12: 267,
    13: 203,
    14: 126,
    15: 103,
    16: 67,
    17: 58,
    18: 42,
    19: 32,
    20: 26,
    21: 14,
    22: 6,
    23: 9,
    24: 2,
    25: 1,
    26: 1,
    27: 2,
    29: 1,
}  # rings -> rows


@dataclass(frozen=True)
class Method(targets.InBins):
    """Abalone, the number of rings."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "rings"
    columns: ClassVar[tuple[Column, ...]] = registry.method("datasets", "abalone").columns
    shape: ClassVar[tuple[int, ...]] = (8,)
    data_hash: ClassVar[str] = "ca1932c42fabe6b4f3d274c807f88ee24690df9c74e68df9d128cf7ba5259acb"
    folder: ClassVar[str] = "abalone"
    files: ClassVar[Files] = registry.method("datasets", "abalone").files

    bins: Annotated[int, Interval(ge=2)] = 5
    """Bins of equal width over the target, which are the classes."""

    def __post_init__(self) -> None:
        targets.classes(self.training_targets(), self.bins)

    def training_targets(self) -> np.ndarray:
        """Return the target of every row, in no order."""
        return np.repeat(list(COUNTS), list(COUNTS.values()))

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64)."""
        return _tables.undivided_targets(*_tables.read(locate("abalone.csv"), self.columns))
