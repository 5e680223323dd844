"""Rotated MNIST: 60,000 training and 10,000 test digits, each turned by an angle that is to be predicted.

Source: the images are those of `mnist`; Pintea et al. 2023 vary the sampling of targets of made functions, and
rotation angles are the smallest such task with images.
Shapes: images (1, 28, 28), or (1, 28 / pool, 28 / pool).
Units: intensities of `mnist`; the target is an angle in degrees, anticlockwise.
Raises: UserError if `pool` does not divide 28, or where `bins` leaves one without a training target.
Differs from the source: not applicable. Angles are uniform in both parts, so that an imbalance decides what is rare and
the test part is balanced over bins. The generator fixes the images, not a checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import data, registry, targets
from counterpoise.data import Files, Locate
from counterpoise.datasets import _images, _rotated


@dataclass(frozen=True)
class Method:
    """Turned digits."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    quantity: ClassVar[str] = "angle (degrees)"
    base: ClassVar[str] = "mnist"
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    folder: ClassVar[str] = base
    files: ClassVar[Files] = registry.method("datasets", base).files
    data_hash: ClassVar[str] = data.hash_checksums(files)

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels)."""
    bins: Annotated[int, Interval(ge=2)] = 10
    """Bins of equal width over the training targets, which are the classes."""
    largest: Annotated[float, Interval(gt=0, le=180)] = 60.0
    """Largest angle to either side (degrees)."""
    draw: Annotated[int, Interval(ge=0)] = 0
    """Which angles of those that the same options give."""

    def __post_init__(self) -> None:
        _images.check_pool(self.pool, self.shape)
        targets.classes(self._angles("train", self._rows), self.bins)

    @property
    def _rows(self) -> int:
        return sum(registry.method("datasets", self.base).train_counts)

    def _angles(self, part: str, rows: int) -> np.ndarray:
        return _rotated.angles(rows, self.largest, self.draw, part)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the bins."""
        return targets.classes(self._angles("train", self._rows), self.bins)[0]

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training images of each bin."""
        return targets.classes(self._angles("train", self._rows), self.bins)[1]

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_t_N, test_x_NCHW, test_t_N (float32, float64), not pooled."""
        train_x, _, test_x, _ = registry.build("datasets", {"name": self.base}).read(locate)
        train_t, test_t = self._angles("train", len(train_x)), self._angles("test", len(test_x))
        return _rotated.turned(train_x, train_t), train_t, _rotated.turned(test_x, test_t), test_t
