"""Friedman's function of five columns beside five of noise, drawn so that all parts of its range are equally frequent.

Source: Friedman 1991, "Multivariate adaptive regression splines", example 1, as in scikit-learn's `make_friedman1`:
10 sin(pi x1 x2) + 20 (x3 - .5)^2 + 10 x4 + 5 x5 + noise.
Shapes: tables (10,).
Units: columns from 0 to 1; the target has none.
Raises: UserError where `bins` leaves one without a training target.
Differs from the source: of 400,000 rows for each part those with targets from 2 to 26 are kept, and of each of the
`bins` the first 1,500 (training) or 100 (test), so that an imbalance decides what is rare. The generator fixes the
data, not a checksum: sums differ in the last bit between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import streams
from counterpoise.data import files as data
from counterpoise.data import targets
from counterpoise.data.files import Files, Locate

LOW, HIGH = 2.0, 26.0
DRAWN = 400_000
KEPT = {"train": 1500, "test": 100}


@cache
def part(name: str, bins: int, noise: float, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND and target_N of a part; not to be changed."""
    random = streams.numpy("preprocess", f"friedman-{name}", draw)
    x_ND = random.random((DRAWN, 10))
    signal_N = 10 * np.sin(np.pi * x_ND[:, 0] * x_ND[:, 1]) + 20 * (x_ND[:, 2] - 0.5) ** 2 + x_ND[:, 3:5] @ [10, 5]
    target_N = signal_N + noise * random.standard_normal(DRAWN)
    bin_N = np.floor((target_N - LOW) / (HIGH - LOW) * bins).astype(np.int64)
    kept = np.sort(np.concatenate([np.flatnonzero(bin_N == b)[: KEPT[name]] for b in range(bins)]))
    return x_ND[kept].astype(np.float32), target_N[kept]


@dataclass(frozen=True)
class Method(targets.InBins):
    """Friedman 1, level over its range."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "value"
    shape: ClassVar[tuple[int, ...]] = (10,)
    data_hash: ClassVar[str] = data.hash_checksums({})
    files: ClassVar[Files] = {}

    bins: Annotated[int, Interval(ge=2, le=20)] = 10
    """Bins of equal width over the training targets, which are the classes."""
    noise: Annotated[float, Interval(ge=0)] = 1.0
    """Standard deviation of the noise."""
    draw: Annotated[int, Interval(ge=0)] = 0
    """Which table of those that the same options give."""

    def _part(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        return part(name, self.bins, self.noise, self.draw)

    def training_targets(self) -> np.ndarray:
        """Return the targets of the training part."""
        return self._part("train")[1]

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_t_N, test_x_ND, test_t_N (float32, float64)."""
        return *self._part("train"), *self._part("test")
