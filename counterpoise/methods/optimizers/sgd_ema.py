"""SGD whose result is the exponential moving average of the weights, not their last values.

Source: Polyak and Juditsky 1992 for the idea; the form is that of torch.optim.swa_utils.get_ema_multi_avg_fn, which
starts at the weights after the first step.
Shapes: any.
Units: `lr` per step; `decay` per step.
Raises: nothing.
Differs from the source: buffers (statistics of batch normalisation) are left as training leaves them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import nn


@dataclass(frozen=True)
class Method:
    """SGD with momentum, and an average beside it."""

    version: ClassVar[int] = 1
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Share of the last velocity that is kept."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """L2 coefficient added to the gradient."""
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.999
    """Share of the average that each step keeps; it looks back over about 1 / (1 - decay) steps."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`; after each step it moves `state[p]["average"]` towards p."""
        optimizer = torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )
        optimizer.register_step_post_hook(self._follow)
        return optimizer

    @torch.no_grad()
    def _follow(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            state = optimizer.state[p]
            if "average" in state:
                state["average"].lerp_(p, 1 - self.decay)
            else:
                state["average"] = p.detach().clone()

    @torch.no_grad()
    def finish(self, optimizer: torch.optim.Optimizer) -> None:
        """Replace the parameters by their averages."""
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            p.copy_(optimizer.state[p]["average"])
