"""A multi-layer perceptron on the flattened input.

Source: the standard architecture; two hidden layers of 64 are the size that many-seed studies here use.
Shapes: x_B... -> features_BF with F = the last width.
Units: `hidden` counts units of each hidden layer.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from math import prod
from typing import Annotated, ClassVar

from annotated_types import Ge, Len
from torch import nn


@dataclass(frozen=True)
class Method:
    """Flatten, then one linear layer and ReLU for each width."""

    version: ClassVar[int] = 1
    hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (64, 64)
    """Units of each hidden layer."""
    shared: Annotated[int, Ge(0)] = 3
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for inputs of `shape`."""
        layers: list[nn.Module] = [nn.Flatten()]
        width = prod(shape)
        for units in self.hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        return nn.Sequential(*layers), width
