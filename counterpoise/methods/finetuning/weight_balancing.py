"""The second stage of weight balancing: the head alone, with a class-balanced loss, weight decay and MaxNorm.

Source: Alshammari, Wang, Ramanan and Kong 2022, "Long-tailed recognition via weight balancing";
github.com/ShadeAlsha/LTR-weight-balancing, demo2_second-stage-training.py and utils/regularizers.py
(`MaxNorm_via_PGD`): head from the first stage, radius = least norm + .1 (largest - least) of it, bias free, weight
decay .1, learning rate .01, cosine schedule over 10 epochs, beta = .9999. The first stage is plain training with weight
decay .005.
Shapes: weight_CD, bias_C.
Units: `threshold` is a share of the range of norms.
Raises: UserError where the head is not one linear layer, for another `loss` than cross_entropy, mixing, or an ensemble.
Differs from the source: weight decay, rate and schedule are those of the configured optimiser and schedule. The loss is
cross-entropy with weights, as in the paper and in the code of Hasegawa and Sato 2024; the official demo takes a binary
cross-entropy of the softmax and divides it by the classes too. The paper projects after each step, the official code
after each epoch (`every`).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from counterpoise import registry
from counterpoise.methods.finetuning import _max_norm, _own_loss

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over the head, from the first stage's, with balanced loss and bounded weights."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    beta: Annotated[float, Interval(ge=0, lt=1)] = 0.9999
    """Of the effective number that weights the loss."""
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.1
    """Where the radius lies between the least norm (0) and the largest (1) of the first stage's weight vectors."""
    every: Annotated[int, Ge(1)] = 1
    """Steps between projections: 1 as in the paper, an epoch's steps as in the official code."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head, with its loss replaced, projected."""
        _own_loss.check("weight_balancing", phase)
        loss = registry.build("losses", {"name": "class_balanced", "beta": self.beta})
        return [replace(phase, head_only=True, loss=loss, project=self.project)]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Keep the radius, and a count of steps, beside the head's weights."""
        head = _max_norm.linear_head(net)
        norm_C = head.weight.detach().norm(dim=1)
        head.register_buffer("radius", norm_C.min() + self.threshold * (norm_C.max() - norm_C.min()))
        head.register_buffer("stepped", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def project(self, net: "Net") -> None:
        """Shorten the weight vectors that are too long, every so many steps."""
        head = _max_norm.linear_head(net)
        if head.get_buffer("stepped").add_(1) % self.every == 0:
            head.weight.copy_(_max_norm.projected(head.weight, head.get_buffer("radius")))

    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Leave a plain linear head."""
        head = _max_norm.linear_head(net)
        del head.radius, head.stepped
