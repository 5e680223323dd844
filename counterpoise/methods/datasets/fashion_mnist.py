"""Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28 x 28, one channel.

Source: Xiao, Rasul and Vollgraf 2017, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms" (github.com/zalandoresearch/fashion-mnist).
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
    """Fashion-MNIST."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    classes: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    train_counts: ClassVar[tuple[int, ...]] = (6000,) * 10
    data_hash: ClassVar[str] = "47773364131f4e93235c55f9ab55deaff854c0b622e915c757a7b02f66c74919"
    files: ClassVar[Files] = _idx.files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        {
            _idx.TRAIN_IMAGES: "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
            _idx.TRAIN_LABELS: "md5:9018921c3c673c538a1fc5bad174d6f9",
            _idx.TEST_IMAGES: "md5:8181f5470baa50b63fa0f6fddb340f0a",
            _idx.TEST_LABELS: "md5:15d484375f8d13e6eb1aabb0c3f46965",
        },
    )

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels); 2 makes 14 x 14."""

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N as published (uint8, int64), not pooled."""
        return _idx.read_parts(locate)
