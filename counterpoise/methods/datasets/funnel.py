"""A made funnel: four ordered outcomes, of which the last is rare, and boundaries whose weights change a little.

Source: Faletto and Bien 2023, "Predicting rare events by shrinking towards proportional odds", section 4.1;
github.com/gregfaletto/presto, Simulations/model_functions.R (`relax_prop_odds_model_rand`) and 4_1_sparse_diffs.R.
Shapes: tables (width,).
Units: columns are uniform from -1 to 1.
Raises: UserError where no weights are found that give every outcome a probability.
Differs from the source: an independent test part of 10,000 rows, at which too no probability may be negative (the code
asks it of the training rows). The generator fixes the data, not a checksum: sums differ in the last bit between
machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import streams
from counterpoise.data import files as data
from counterpoise.data.files import Files, Locate
from counterpoise.errors import UserError

_TESTS = 10_000  # rows of the test part
_TRIES = 1000  # draws of weights and rows


@dataclass(frozen=True)
class Method:
    """Each boundary keeps the weights of the one before, except for some of them."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("left", "looked", "clicked", "bought")
    data_hash: ClassVar[str] = data.hash_checksums({})
    files: ClassVar[Files] = {}

    draw: Annotated[int, Interval(ge=0)] = 0
    """Which weights and rows of those that the same options give."""
    rows: Annotated[int, Interval(ge=10)] = 2500
    """Rows of the training part."""
    width: Annotated[int, Interval(ge=1)] = 10
    """Columns."""
    rarity: Annotated[float, Interval(ge=0)] = 0.0
    """How much later the second and third boundary come than at 3 and 5 (the source: 0, 0.5 and 1)."""
    changing: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Chance of a weight to be there at the first boundary, and to change at each later one (the source: also 1/3)."""
    change: Annotated[float, Interval(ge=0)] = 0.5
    """Size of a weight, and of its change up or down."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return (self.width,)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Rows of each class in the training part."""
        return tuple(np.bincount(self._drawn()[1], minlength=len(self.classes)).tolist())

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64)."""
        return self._drawn()

    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        from scipy.special import expit

        random = streams.numpy("preprocess", "funnel", self.draw)
        alpha_B = np.array([0.0, 3 + self.rarity, 5 + self.rarity])
        for _ in range(_TRIES):
            first_D = self.change * (random.random(self.width) < self.changing)
            sign_DB = random.choice([-1.0, 1.0], (self.width, 2))
            later_DB = self.change * sign_DB * (random.random((self.width, 2)) < self.changing)
            beta_DB = np.cumsum(np.column_stack([first_D, later_DB]), axis=1)
            x_ND = random.uniform(-1, 1, (self.rows + _TESTS, self.width)).astype(np.float32)
            below_NB = expit(alpha_B + x_ND @ beta_DB)
            if (np.diff(below_NB, axis=1) < 0).any():
                continue
            y_N = (random.random((len(x_ND), 1)) > below_NB).sum(1)
            parts = x_ND[: self.rows], y_N[: self.rows], x_ND[self.rows :], y_N[self.rows :]
            if all(len(np.unique(labels)) == len(self.classes) for labels in parts[1::2]):
                return parts
        raise UserError(
            f"change: in {_TRIES} draws an outcome had no row, or a negative probability; lower change or rarity"
        )
