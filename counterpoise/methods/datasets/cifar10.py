"""CIFAR-10: 50,000 training and 10,000 test photographs of animals and vehicles, 32 x 32, three channels.

Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images" (the binary version).
Shapes: images (3, 32, 32), or (3, 32 / pool, 32 / pool).
Units: intensities of red, green and blue from 0 to 255.
Raises: UserError if `pool` does not divide 32, or a file is missing or not the published one.
Differs from the source: nothing with `pool` 1; above it, squares of pixels are averaged to save time. The page
publishes a checksum of the archive only; those of its members are as github.com/rai-project and others list them,
and batches rebuilt from the images in the official order have them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.data import pooling
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _cifar


@dataclass(frozen=True)
class Method:
    """CIFAR-10."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    classes: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    shape: ClassVar[tuple[int, ...]] = _cifar.SHAPE
    train_counts: ClassVar[tuple[int, ...]] = (5000,) * 10
    data_hash: ClassVar[str] = "6a71ed561862094e54d3b25e81b6c690c0ea2762e880e95d84de8f6ddf90f7f3"
    files: ClassVar[Files] = _cifar.files(
        "cifar-10-binary.tar.gz",
        "cifar-10-batches-bin",
        {
            "data_batch_1.bin": "md5:5dd7e06a14cb22eb9f671a540d1b7c25",
            "data_batch_2.bin": "md5:5ea93a67294ea407fff1d09f752e9692",
            "data_batch_3.bin": "md5:942cd6a4bcdd0dd3c604fbe906cb4421",
            "data_batch_4.bin": "md5:ae636b3ba5c66a11e91e8cb52e771fcb",
            "data_batch_5.bin": "md5:53f37980c15c3d472c316c40844f3f0d",
            "test_batch.bin": "md5:803d5f7f4d78ea53de84dbe85f74fb6d",
        },
    )

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels); 2 makes 16 x 16."""

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N as published (uint8, int64), batch by batch."""
        *train, test = map(locate, self.files)
        return *_cifar.read(train, 1, 10), *_cifar.read([test], 1, 10)
