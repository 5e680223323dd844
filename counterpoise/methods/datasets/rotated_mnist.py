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

from annotated_types import Interval

from counterpoise import registry
from counterpoise.data import files as data
from counterpoise.data.files import Files
from counterpoise.methods.datasets import _rotated


@dataclass(frozen=True)
class Method(_rotated.Turned):
    """Turned digits."""

    version: ClassVar[int] = 1
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
