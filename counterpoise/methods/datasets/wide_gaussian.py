"""A made table of few rows and many columns, on which a careless user may already have worked before any split.

Source: Moscovich and Rosset 2022, "On the cross-validation bias due to unsupervised pre-processing": selection on all
rows before cross-validation [recalled; no code was to be had].
Shapes: tables (columns,), or (20,) after a selection.
Units: standard deviations of a normal column.
Raises: UserError if a class would have no row.
Differs from the source: a rare class in place of a regression; SMOTE on all rows beside selection. `outside` does what
`preprocessing: variance_selection` or `sample: smote` do within a fold, but on all rows of the training part, so that a
cross-validation of it is the one that the source warns of. The official test part is drawn apart and never resampled:
it is the truth. The generator fixes the data, not a checksum: sums differ in the last bit between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Interval

from counterpoise import registry, streams
from counterpoise.data import files as data
from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.errors import UserError

_TESTS = 1000  # rows of the test part
_KEPT = 20  # columns that a selection outside keeps


@dataclass(frozen=True)
class Method:
    """Independent columns, some of which are shifted in the rare class."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("common", "rare")
    data_hash: ClassVar[str] = data.hash_checksums({})
    files: ClassVar[Files] = {}

    draw: Annotated[int, Interval(ge=0)] = 0
    """Which table of those that the same options give."""
    rows: Annotated[int, Interval(ge=2)] = 100
    """Rows of the training part."""
    width: Annotated[int, Interval(ge=1)] = 1000
    """Columns."""
    informative: Annotated[int, Interval(ge=0)] = 20
    """How many of the first columns are shifted in the rare class."""
    shift: Annotated[float, Interval(ge=0)] = 1.5
    """By how much."""
    share: Annotated[float, Interval(gt=0, le=0.5)] = 0.2
    """Share of the rare class, in both parts."""
    tails: Literal["normal", "heavy"] = "normal"
    """Distribution of every column: normal, or Student's with 3 degrees of freedom."""
    outside: Literal["none", "variance_selection", "smote"] = "none"
    """What the careless user did to all rows: kept the 20 columns of greatest variance, or balanced the classes."""

    def __post_init__(self) -> None:
        if not 0 < round(self.share * self.rows) < self.rows:
            raise UserError(f"share: {self.share:g} of {self.rows} rows leaves a class without any")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return (min(_KEPT, self.width) if self.outside == "variance_selection" else self.width,)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Rows of each class in the training part."""
        rare = round(self.share * self.rows)
        return self.rows - rare, self.rows - rare if self.outside == "smote" else rare

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64)."""
        random = streams.numpy("preprocess", "wide_gaussian", self.draw)
        (train_x, train_y), (test_x, test_y) = (self._made(rows, random) for rows in (self.rows, _TESTS))
        if self.outside == "smote":
            train_x, train_y = registry.build("samplers", {"name": "smote"}).resample(train_x, train_y, (), random)
        if self.outside == "variance_selection":
            spec = {"name": "variance_selection", "count": _KEPT, "scale": False}
            columns = tuple(Column(f"x{d}") for d in range(self.width))
            fitted = registry.build("preprocessing", spec).fit(train_x, columns)
            train_x, test_x = fitted(train_x), fitted(test_x)
        return train_x.astype(np.float32), train_y, test_x.astype(np.float32), test_y

    def _made(self, rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y_N = (np.arange(rows) < round(self.share * rows)).astype(np.int64)
        shape = rows, self.width
        x_ND = random.normal(size=shape) if self.tails == "normal" else random.standard_t(3, size=shape)
        x_ND[:, : self.informative] += self.shift * y_N[:, None]
        return x_ND, y_N
