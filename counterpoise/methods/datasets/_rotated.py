"""Images turned by angles drawn uniformly, one angle each."""

from __future__ import annotations

from functools import cache
from typing import ClassVar

import numpy as np

from counterpoise import registry, streams
from counterpoise.data import pooling, targets
from counterpoise.data.files import Locate


class Turned(targets.InBins):
    """The images of another data set, each turned by an angle that is the target."""

    kind: ClassVar[str] = "image"
    quantity: ClassVar[str] = "angle (degrees)"
    base: ClassVar[str]
    """The data set whose images are turned."""
    shape: ClassVar[tuple[int, ...]]
    """Of its images (channels, height, width)."""

    pool: int
    largest: float
    draw: int

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)
        targets.classes(self.training_targets(), self.bins)

    def training_targets(self) -> np.ndarray:
        """Return the angles of the training images."""
        return self._angles("train", sum(registry.method("datasets", self.base).train_counts))

    def _angles(self, part: str, rows: int) -> np.ndarray:
        return angles(rows, self.largest, self.draw, part)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_t_N, test_x_NCHW, test_t_N (float32, float64), not pooled."""
        train_x, _, test_x, _ = registry.build("datasets", {"name": self.base}).read(locate)
        train_t, test_t = self._angles("train", len(train_x)), self._angles("test", len(test_x))
        return turned(train_x, train_t), train_t, turned(test_x, test_t), test_t


@cache
def angles(rows: int, largest: float, draw: int, part: str) -> np.ndarray:
    """Return the angle of each row of a part, in degrees, anticlockwise; not to be changed."""
    return streams.numpy("preprocess", f"angles-{part}", draw).uniform(-largest, largest, rows)


def turned(x_NCHW: np.ndarray, angle_N: np.ndarray) -> np.ndarray:
    """Return the images turned about their centres, with linear interpolation and black beyond the edge, float32."""
    from scipy.ndimage import rotate

    made = [
        rotate(x, angle, axes=(2, 1), reshape=False, order=1)
        for x, angle in zip(x_NCHW.astype(np.float32), angle_N, strict=True)
    ]
    return np.stack(made).astype(np.float32)
