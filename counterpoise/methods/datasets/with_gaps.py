"""A table that comes with scikit-learn, some of whose values were lost.

Source: Kia et al. 2022, "PROMISSING: pruning missing values in neural networks", whose experiments remove values from
complete tables.
Shapes: tables (30,) or (64,), by `table`.
Units: those of the table.
Raises: nothing.
Differs from the source: other tables. `completely_at_random` loses each value with the same chance;
`not_at_random` only values above the median of their column, so with twice the chance (up to half of all). Both parts
lose values alike. The generator fixes the gaps, not a checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Interval

from counterpoise import registry, streams
from counterpoise.data import files as data
from counterpoise.data.files import Files, Locate


@dataclass(frozen=True)
class Method:
    """A complete table with holes made in it."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    data_hash: ClassVar[str] = data.hash_checksums({})
    files: ClassVar[Files] = {}

    table: Literal["breast_cancer", "digits"] = "breast_cancer"
    """The table; images of digits as 64 columns."""
    share: Annotated[float, Interval(ge=0, le=0.95)] = 0.3
    """Share of the values that are lost."""
    mechanism: Literal["completely_at_random", "not_at_random"] = "completely_at_random"
    """Which values are lost."""
    draw: Annotated[int, Interval(ge=0)] = 0
    """Which gaps of those that the same options give."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return registry.method("datasets", self.table).classes

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Rows of each class in the training part."""
        return registry.method("datasets", self.table).train_counts

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return (int(np.prod(registry.method("datasets", self.table).shape)),)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32 with NaN, int64)."""
        train_x, train_y, test_x, test_y = registry.build("datasets", {"name": self.table}).read(locate)
        train_x, test_x = (x.reshape(len(x), -1).astype(np.float32) for x in (train_x, test_x))
        random, middle_D = streams.numpy("preprocess", "with_gaps", self.draw), np.median(train_x, axis=0)
        return self._lost(train_x, middle_D, random), train_y, self._lost(test_x, middle_D, random), test_y

    def _lost(self, x_ND: np.ndarray, middle_D: np.ndarray, random: np.random.Generator) -> np.ndarray:
        chance = self.share if self.mechanism == "completely_at_random" else 2 * self.share * (x_ND > middle_D)
        return np.where(random.random(x_ND.shape) < chance, np.float32(np.nan), x_ND)
