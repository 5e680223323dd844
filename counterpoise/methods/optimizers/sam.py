"""Sharpness-aware minimisation: the gradient is taken where the loss is about highest within `rho` of the weights.

Source: Foret et al. 2021, "Sharpness-Aware Minimization", algorithm 1, with p = 2; github.com/davda54/sam, sam.py,
whose `adaptive` is ASAM (Kwon et al. 2021) without its eta.
Shapes: any.
Units: `lr` per step; `rho` is a distance between weights.
Raises: nothing.
Differs from the source: nothing. As there, weight decay and momentum act on the gradient at the perturbed weights and
take no part in the perturbation. Statistics of batch normalisation see both evaluations.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn

from counterpoise.methods.optimizers import _ascent


@dataclass(frozen=True)
class Method:
    """SGD with momentum on the sharpness-aware gradient."""

    version: ClassVar[int] = 1
    evaluations: ClassVar[int] = 2
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Share of the last velocity that is kept."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """L2 coefficient added to the gradient."""
    rho: Annotated[float, Ge(0)] = 0.05
    """How far the weights are moved uphill."""
    adaptive: bool = False
    """Whether the distance counts each weight in multiples of itself; `rho` is then about ten times as large."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )

    def gradients(
        self,
        objective: Callable[[Tensor | None], tuple[Tensor, Tensor]],
        parameters: Sequence[nn.Parameter],
        labels_B: Tensor,
        counts_C: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Leave the gradient at the perturbed weights; return loss and hits at the weights themselves."""
        loss, hits = objective(None)
        _ascent.gradient(loss, parameters)
        with _ascent.climbed(parameters, self.rho, epsilon=1e-12, adaptive=self.adaptive):
            _ascent.gradient(objective(None)[0], parameters)
        return loss.detach(), hits
