"""CIFAR-100: 50,000 training and 10,000 test photographs of 100 classes, 32 x 32, three channels.

Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images" (the binary version).
Shapes: images (3, 32, 32), or (3, 32 / pool, 32 / pool).
Units: intensities of red, green and blue from 0 to 255.
Raises: UserError if `pool` does not divide 32, or a file is missing or not the published one.
Differs from the source: nothing with `pool` 1; above it, squares of pixels are averaged to save time. Labels are the
fine ones. The page publishes a checksum of the archive; those of its members are as github.com/rai-project lists
them and were not checked against the archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.data import pooling
from counterpoise.data.files import Files, Locate, hash_checksums
from counterpoise.methods.datasets import _cifar

_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class Method:
    """CIFAR-100, fine labels."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    classes: ClassVar[tuple[str, ...]] = tuple(_CLASSES.split())
    shape: ClassVar[tuple[int, ...]] = _cifar.SHAPE
    train_counts: ClassVar[tuple[int, ...]] = (500,) * 100
    files: ClassVar[Files] = _cifar.files(
        "cifar-100-binary.tar.gz",
        "cifar-100-binary",
        {
            "train.bin": "md5:6172c7755cfe09b2fe270c85cebc1b15",
            "test.bin": "md5:4499cfba6c016c1be1438163640a0898",
        },
    )
    data_hash: ClassVar[str] = hash_checksums(files)

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels); 2 makes 16 x 16."""

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N as published (uint8, int64)."""
        train, test = map(locate, self.files)
        return *_cifar.read([train], 2, 100), *_cifar.read([test], 2, 100)
