"""Stochastic gradient descent with momentum and weight decay.

Source: Sutskever et al. 2013 in torch's form (velocity without dampening; decay added to the gradient).
Shapes: any.
Units: `lr` per step.
Raises: nothing.
Differs from the source: nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Interval


@dataclass(frozen=True)
class Method:
    """SGD with momentum."""

    version: ClassVar[int] = 1
    stackable: ClassVar[bool] = True
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Share of the last velocity that is kept."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """L2 coefficient added to the gradient."""

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )
