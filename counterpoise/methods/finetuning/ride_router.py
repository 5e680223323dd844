"""Second stage of RIDE: with all experts frozen, learn after which of them an example needs no further one.

Source: Wang, Lian, Miao, Liu and Yu 2021, "Long-tailed recognition by routing diverse distribution-aware experts";
github.com/frank-xwang/RIDE-LongTailRecognition, model/ldam_drw_resnets/ea_resnet_cifar.py and
configs/config_imbalance_cifar100_ride_ea.json. After each expert but the last, a binary classifier reads the largest
logits of the mean so far and a hidden layer of that expert's normalised feature; its target is that the mean so far
is wrong and a later one right. In prediction an example stops at the first "no". Batches are class-balanced.
Shapes: features_BED -> outputs_BEC, where slot e is the mean of those of the first e + 1 experts that are consulted.
Units: nats.
Raises: UserError for a network without experts, mixing, `semi_supervised`, or a `scale` that is not the network's.
Differs from the source: predictions are those of the routed network, but all experts are computed, so nothing is
saved; `experts_used` counts what would be, from the kept `expert-<e>` predictions. A feature of norm 0 stays 0 (NaN
there).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step


def experts_used(outputs_BEC: Tensor) -> Tensor:
    """Return how many experts each example consulted, from what the routed network returned of it."""
    return 1 + (outputs_BEC[:, 1:] != outputs_BEC[:, :-1]).any(2).sum(1)


class Routed(nn.Module):
    """Frozen heads, and classifiers that say whether another expert is wanted."""

    heads: nn.Module

    def __init__(self, features: int, classes: int, experts: int, method: "Method") -> None:
        super().__init__()
        decisions, self.scale, self.choices = experts - 1, method.scale, min(method.top_choices, classes)
        self.hidden = nn.ModuleList(nn.Linear(features, method.hidden) for _ in range(decisions))
        outs = 1 if method.share else decisions
        self.out = nn.ModuleList(nn.Linear(method.hidden + self.choices, 1) for _ in range(outs))
        for layer in (*self.hidden, *self.out):
            nn.init.kaiming_normal_(cast(nn.Linear, layer).weight)

    def open(self, net: "Net") -> None:
        """Take the place of the network's heads."""
        self.heads, net.head, net.extra = net.head.requires_grad_(False), self, nn.Module()

    def decide(self, features_BED: Tensor) -> tuple[Tensor, Tensor]:
        """Return the running means of the outputs, and the logit of "another" after each expert but the last."""
        outputs_BEC = self.heads(features_BED)
        numbers_E1 = torch.arange(1, outputs_BEC.shape[1] + 1, device=outputs_BEC.device)[:, None]
        means_BEC, wanted = outputs_BEC.cumsum(1) / numbers_E1, []
        for e, hidden in enumerate(self.hidden):
            top_BK = (self.scale * means_BEC[:, e]).topk(self.choices, dim=1).values
            seen_BH = hidden(F.normalize(features_BED[:, e], dim=1)).relu()
            wanted.append(self.out[e % len(self.out)](torch.cat([top_BK, seen_BH], dim=1)))
        return means_BEC, torch.cat(wanted, dim=1)

    def forward(self, features_BED: Tensor) -> Tensor:
        """Return the running means, constant after the last expert that an example consults."""
        means_BEC, wanted = self.decide(features_BED)
        last_B = (wanted.sigmoid() > 0.5).cumprod(1).sum(1)
        slot_BE = torch.arange(means_BEC.shape[1], device=last_B.device).minimum(last_B[:, None])
        return means_BEC.gather(1, slot_BE[:, :, None].expand_as(means_BEC))


@dataclass(frozen=True)
class Consulted:
    """The ensemble of a routed network: what was said last."""

    ensemble: Any
    keeps_experts: ClassVar[bool] = True

    def combine(self, logits_BEC: Tensor) -> Tensor:
        """Return the prediction of the experts that were consulted."""
        return self.ensemble.combine(logits_BEC[:, -1:])


@dataclass(frozen=True)
class Task:
    """Learn when to stop."""

    method: "Method"
    experts: int

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the router, which then moves into the head."""
        return Routed(features, classes, self.experts, self.method)

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean binary cross-entropy over decisions and examples, and the right answers of all experts."""
        x_B, labels_B = (step.inputs_B, step.labels_B) if rows is None else (step.inputs_B[rows], step.labels_B[rows])
        means_BEC, wanted = cast(Routed, step.net.head).decide(step.net.encoder(x_B))
        right_BE = means_BEC.argmax(2) == labels_B[:, None]
        later = right_BE[:, 1:].flip(1).cumsum(1).flip(1) > 0
        target = (~right_BE[:, :-1] & later).to(wanted.dtype)
        weight = wanted.new_full((), self.method.pos_weight)
        loss = F.binary_cross_entropy_with_logits(wanted, target, pos_weight=weight)
        return loss, right_BE[:, -1].sum()


@dataclass(frozen=True)
class Method:
    """One phase over the router, class-balanced."""

    version: ClassVar[int] = 2
    fresh_head: ClassVar[bool] = False
    pos_weight: Annotated[float, Gt(0)] = 20.0
    """Weight of "another expert is wanted" in the loss: more experts the larger it is (the source's recipes: 100)."""
    top_choices: Annotated[int, Ge(1)] = 5
    """How many of the largest logits are read; all where there are fewer (the source's recipes: 30 of 100, 50)."""
    hidden: Annotated[int, Ge(1)] = 16
    """Units of the layer on the feature."""
    share: bool = True
    """One last layer for all decisions; else one for each."""
    scale: Annotated[float, Gt(0)] = 1.0
    """What the head's outputs are multiplied by to make logits: 30 for ldam on a cosine head."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head, with its own task and sampler."""
        if hasattr(phase.mixing, "mix"):
            raise UserError("ride_router classifies examples as they are: leave `mixing` at none")
        if hasattr(phase.task, "unlabelled_ratio"):
            raise UserError("ride_router has a task of its own: leave `semi_supervised` at none")
        if phase.ensemble is None:
            raise UserError("ride_router chooses among experts: name an `ensemble`, such as ride")
        scores = getattr(phase.loss, "scores", lambda outputs: outputs)
        factor = float(phase.ensemble.combine(scores(torch.ones(1, 2, 1))))
        if self.scale != factor:
            raise UserError(
                f"ride_router has `scale` {self.scale:g} where `ensemble` and `loss` make {factor:g}: write it"
            )
        sampler = registry.build("samplers", {"name": "class_balanced"})
        task = Task(self, phase.ensemble.experts)
        return [replace(phase, head_only=True, task=task, sampler=sampler, ensemble=Consulted(phase.ensemble))]
