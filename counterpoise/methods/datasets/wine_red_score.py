"""Quality of 1,599 red wines, eleven measurements, and the score that tasters gave.

Source: Cortez et al. 2009 (UCI, Wine Quality).
Shapes: tables (11,); no official test part.
Units: as in `wine_quality_red`; the target is the median of the tasters' points, 3 to 8.
Raises: UserError if the file is missing or not the published one, or where `bins` leaves one without a row.
Differs from the source: the file is UCI's without header and with commas in place of semicolons. 240 rows repeat
another exactly and can lie on both sides of a split.
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

COUNTS = {3: 10, 4: 53, 5: 681, 6: 638, 7: 199, 8: 18}  # score -> rows


@dataclass(frozen=True)
class Method(targets.InBins):
    """Red wines, their score."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "score"
    columns: ClassVar[tuple[Column, ...]] = registry.method("datasets", "wine_quality_red").columns
    shape: ClassVar[tuple[int, ...]] = (11,)
    data_hash: ClassVar[str] = "e445e4de50cf79b4451f368a43a1830a0ab3cefb9853c1f96c8c7038d7066f03"
    folder: ClassVar[str] = "wine_quality_red"
    files: ClassVar[Files] = registry.method("datasets", "wine_quality_red").files

    bins: Annotated[int, Interval(ge=2)] = 6
    """Bins of equal width over the target, which are the classes."""

    def __post_init__(self) -> None:
        targets.classes(self.training_targets(), self.bins)

    def training_targets(self) -> np.ndarray:
        """Return the target of every row, in no order."""
        return np.repeat(list(COUNTS), list(COUNTS.values()))

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64)."""
        return _tables.undivided_targets(*_tables.read(locate("winequality-red.csv"), self.columns))
