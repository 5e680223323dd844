"""Quality of 4,898 white wines, eleven measurements, and the score that tasters gave.

Source: Cortez et al. 2009 (UCI, Wine Quality).
Shapes: tables (11,); no official test part.
Units: as in `wine_quality_red`; the target is the median of the tasters' points, 3 to 9.
Raises: UserError if the file is missing or not the published one, or where `bins` leaves one without a row.
Differs from the source: the file is UCI's without header and with commas in place of semicolons. 937 rows repeat
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

COUNTS = {3: 20, 4: 163, 5: 1457, 6: 2198, 7: 880, 8: 175, 9: 5}  # score -> rows


@dataclass(frozen=True)
class Method(targets.InBins):
    """White wines, their score."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "score"
    columns: ClassVar[tuple[Column, ...]] = registry.method("datasets", "wine_quality_white").columns
    shape: ClassVar[tuple[int, ...]] = (11,)
    data_hash: ClassVar[str] = "a1e5933be8823597f8c066b8ec1d8be1c01cc2660a44c2053cc05a855fadc0af"
    folder: ClassVar[str] = "wine_quality_white"
    files: ClassVar[Files] = registry.method("datasets", "wine_quality_white").files

    bins: Annotated[int, Interval(ge=2)] = 7
    """Bins of equal width over the target, which are the classes."""

    def __post_init__(self) -> None:
        targets.classes(self.training_targets(), self.bins)

    def training_targets(self) -> np.ndarray:
        """Return the target of every row, in no order."""
        return np.repeat(list(COUNTS), list(COUNTS.values()))

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64)."""
        return _tables.undivided_targets(*_tables.read(locate("winequality-white.csv"), self.columns))
