"""A convolutional network for the 8x8 digits of scikit-learn: two 3x3 convolutions, one pooling, one hidden layer.

Source: the standard architecture; pooled once only, because 8x8 pixels leave nothing after two poolings.
Shapes: x_BCHW -> features_BF with F = 32; H and W of 2 or more.
Units: none.
Raises: UserError for a table.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import nn

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """conv 8 - ReLU - conv 16 - ReLU - max-pool 2 - linear 32 - ReLU."""

    version: ClassVar[int] = 1
    shared: Annotated[int, Ge(0)] = 6
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for images of `shape` = (C, H, W)."""
        if len(shape) != 3 or min(shape[1:]) < 2:
            raise UserError(f"model digits_cnn needs images of at least 2x2, got inputs of shape {shape}")
        module = nn.Sequential(
            nn.Conv2d(shape[0], 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * (shape[1] // 2) * (shape[2] // 2), 32),
            nn.ReLU(),
        )
        return module, 32
