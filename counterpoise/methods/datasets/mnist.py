"""MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28, one channel.

Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition".
Shapes: images (1, 28, 28), or (1, 28 / pool, 28 / pool).
Units: intensities from 0 (background) to 255.
Raises: UserError if `pool` does not divide 28, or a file is missing or not the published one.
Differs from the source: nothing with `pool` 1; above it, squares of pixels are averaged to save time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.data import pooling
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _idx


@dataclass(frozen=True)
class Method:
    """MNIST."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    train_counts: ClassVar[tuple[int, ...]] = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    data_hash: ClassVar[str] = "4142535bc9e8b9de0dc548fbc810cd4796a9278169c289c0c288ce2ddcbbae3c"
    files: ClassVar[Files] = _idx.files(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        {
            _idx.TRAIN_IMAGES: "md5:6bbc9ace898e44ae57da46a324031adb",
            _idx.TRAIN_LABELS: "md5:a25bea736e30d166cdddb491f175f624",
            _idx.TEST_IMAGES: "md5:2646ac647ad5339dbf082846283269ea",
            _idx.TEST_LABELS: "md5:27ae3e4e09519cfbb04c329615203637",
        },
    )

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels); 2 makes 14 x 14."""

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N as published (uint8, int64), not pooled."""
        return _idx.read_parts(locate)
