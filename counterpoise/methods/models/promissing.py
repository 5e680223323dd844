"""A perceptron whose first layer leaves missing inputs out, instead of being given guesses of them.

Source: Kia et al. 2022, "PROMISSING: pruning missing values in neural networks", equations 3 and 5 [recalled; checked
against an independent replica, as no official code was to be had].
Shapes: x_B... with NaN where a value is missing -> features_BF with F = the last width.
Units: `hidden` counts units of each hidden layer.
Raises: nothing; `preprocessing: gaps_kept` leaves values missing.
Differs from the source: nothing known. A unit's sum is that of its observed inputs, its bias counts by the share of
inputs that are observed, and `compensate` adds a weight of its own by the share that is not (mPROMISSING); at a row
without any gap it is the model `mlp`.
"""

from dataclasses import dataclass
from math import prod
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Len
from torch import Tensor, nn
from torch.nn import functional as F


class Pruned(nn.Linear):
    """A linear layer of the inputs that are there."""

    def __init__(self, width: int, units: int, compensate: bool) -> None:
        """Initialise as torch does; compensation begins at 0."""
        super().__init__(width, units)
        self.compensation_U = nn.Parameter(torch.zeros(units)) if compensate else None

    def forward(self, x_BD: Tensor) -> Tensor:
        """Return sums_BU."""
        is_missing_BD = x_BD.isnan()
        missing_B1 = is_missing_BD.to(x_BD.dtype).mean(1, keepdim=True)
        sums_BU = F.linear(torch.where(is_missing_BD, 0.0, x_BD), self.weight) + (1 - missing_B1) * self.bias
        return sums_BU if self.compensation_U is None else sums_BU + missing_B1 * self.compensation_U


@dataclass(frozen=True)
class Method:
    """Flatten, then one layer and ReLU for each width, the first of them pruned."""

    version: ClassVar[int] = 1
    hidden: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1)] = (64, 64)
    """Units of each hidden layer."""
    compensate: bool = False
    """Whether each unit of the first layer learns what a missing input is worth (mPROMISSING)."""
    shared: Annotated[int, Ge(0)] = 3
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for inputs of `shape`."""
        first, *others = self.hidden
        layers: list[nn.Module] = [nn.Flatten(), Pruned(prod(shape), first, self.compensate), nn.ReLU()]
        for before, units in zip(self.hidden, others, strict=False):
            layers += [nn.Linear(before, units), nn.ReLU()]
        return nn.Sequential(*layers), self.hidden[-1]
