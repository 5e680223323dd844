"""Stochastic weight averaging: the result is the plain mean of the weights that the last part of training visits.

Source: Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization", algorithm 1 with a
constant cycle; torch.optim.swa_utils has the same mean. The schedule should stay high from `start` on.
Shapes: any.
Units: `lr` per step; `start` a share of the steps, `every` in steps.
Raises: UserError where training ends before `start`, or where nothing says how far it is.
Differs from the source: the average begins with the weights after the first step from `start` on, as in the authors'
code [recalled], not with those before it; buffers (statistics of batch normalisation) are not computed anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """SGD with momentum, and the mean of its late weights beside it."""

    version: ClassVar[int] = 1
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Share of the last velocity that is kept."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """L2 coefficient added to the gradient."""
    start: Annotated[float, Interval(ge=0, lt=1)] = 0.75
    """Share of the steps after which averaging begins."""
    every: Annotated[int, Ge(1)] = 50
    """Steps from one set of weights in the mean to the next."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`; its loop keeps `progress`, the share of steps done, in the groups."""
        optimizer = torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )
        for group in optimizer.param_groups:
            group["progress"] = 0.0
        optimizer.register_step_post_hook(self._collect)
        return optimizer

    @torch.no_grad()
    def _collect(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            if group["progress"] < self.start:
                continue
            for p in group["params"]:
                state = optimizer.state[p]
                seen = int(state.get("seen", 0))
                if seen == 0:
                    state["average"] = p.detach().clone()
                elif seen % self.every == 0:
                    state["average"].lerp_(p, 1 / (seen // self.every + 1))
                state["seen"] = torch.tensor(seen + 1)

    @torch.no_grad()
    def finish(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the parameters by their means."""
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            if "average" not in optimizer.state[p]:
                raise UserError(f"optimizer sgd_swa: training never reached the share {self.start} of its steps")
            p.copy_(optimizer.state[p]["average"])
