"""Digits: 1,797 images of handwritten digits, 8 x 8, one channel, that come with scikit-learn.

Source: Alpaydin and Kaynak 1998, "Optical recognition of handwritten digits" (UCI), test part, as bundled in
`sklearn.datasets.load_digits`.
Shapes: images (1, 8, 8), or (1, 8 / pool, 8 / pool).
Units: ink from 0 to 16 (pixels of a 4 x 4 square that are set).
Raises: UserError if `pool` does not divide 8.
Differs from the source: a fixed stratified 30 % is the test part; the source's own training part is not bundled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.data import pooling
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _holdout


@dataclass(frozen=True)
class Method:
    """Digits of scikit-learn."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    train_counts: ClassVar[tuple[int, ...]] = (125, 127, 124, 128, 127, 127, 127, 125, 122, 126)
    data_hash: ClassVar[str] = "7823445dff9409337c5c267d24e02ef78265f174ca48a6349ee8cceba219624c"
    files: ClassVar[Files] = {}
    white: ClassVar[float] = 16.0

    pool: Annotated[int, Interval(ge=1)] = 1
    """Side of the squares averaged into one pixel (pixels)."""

    def __post_init__(self) -> None:
        pooling.check_pool(self.pool, self.shape)

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N (uint8, int64), not pooled."""
        from sklearn.datasets import load_digits

        images_NHW, y_N = load_digits().images, load_digits().target
        return _holdout.set_aside(images_NHW[:, None].astype(np.uint8), y_N.astype(np.int64))
