"""A small convolutional network for 14x14 images: two 3x3 convolutions, each pooled, and one hidden layer.

Source: the standard architecture, at the size (8-16-64) that leaves room for many seeds on a CPU.
Shapes: x_BCHW -> features_BF with F = `hidden`; H and W of 4 or more.
Units: `channels` counts filters, `hidden` units.
Raises: UserError for a table, or an image smaller than 4x4.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import nn

from counterpoise.errors import UserError

Width = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class Method:
    """conv 3x3 - ReLU - max-pool 2, twice; then a hidden layer with ReLU."""

    version: ClassVar[int] = 1
    channels: tuple[Width, Width] = (8, 16)
    """Filters of the two convolutions."""
    hidden: Width = 64
    """Units of the hidden layer, which are the features."""
    shared: Annotated[int, Ge(0)] = 7
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for images of `shape` = (C, H, W)."""
        if len(shape) != 3 or min(shape[1:]) < 4:
            raise UserError(f"model cnn needs images of at least 4x4, got inputs of shape {shape}")
        first, second = self.channels
        flat = second * (shape[1] // 4) * (shape[2] // 4)
        module = nn.Sequential(
            nn.Conv2d(shape[0], first, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(flat, self.hidden),
            nn.ReLU(),
        )
        return module, self.hidden
