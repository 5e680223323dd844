"""Train every layer, and hold each class's weight vector of the head within a ball.

Source: Alshammari, Wang, Ramanan and Kong 2022, "Long-tailed recognition via weight balancing", section 3 (MaxNorm by
projected gradient descent); github.com/ShadeAlsha/LTR-weight-balancing, utils/regularizers.py (`MaxNorm_via_PGD`).
Shapes: weight_CD.
Units: `radius` is a norm of weights.
Raises: UserError where the head is not one linear layer.
Differs from the source: the official code derives the radius from a trained head (as `weight_balancing` does) and
projects once an epoch; here the radius is stated, as a head from scratch has none to give, and each step is projected,
as in the paper.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Gt

from counterpoise.methods.finetuning import _max_norm

if TYPE_CHECKING:
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over all parameters, with the head projected."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    radius: Annotated[float, Gt(0)] = 1.0
    """The largest norm of a class's weight vector."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, projected after each step."""
        return [replace(phase, project=self.project)]

    @torch.no_grad()
    def project(self, net: "Net") -> None:
        """Shorten the weight vectors that are too long."""
        head = _max_norm.linear_head(net)
        head.weight.copy_(_max_norm.projected(head.weight, self.radius))
