"""After pretraining on all data: an expert of the head classes, then one network that keeps what the expert knows.

Source: Dong et al. 2023, "Boosting long-tailed object detection via step-wise learning on smooth-tail data", whose
step 1, training on all data, is the pretraining here. Step 2 tunes the class-agnostic modules on a sample that head
classes dominate; step 3 trains on one that tail classes dominate, with distillation from the expert of step 2.
Shapes: features_BD, logits_BC.
Units: nats, and squared features.
Raises: UserError for another `loss` than cross_entropy, mixing, or an ensemble.
Differs from the source: it is an analogue for classification, after the abstract; no official code was found. The
class-agnostic modules are the encoder; samples are drawn at random, with the sizes of `_replay.py` (the source chooses
exemplars by confidence [recalled]); distillation is the divergence from the expert over head classes plus the mean
squared difference of features; step 3 trains everything.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from counterpoise.finetuning import _own_loss
from counterpoise.finetuning._replay import Replay, head_classes

if TYPE_CHECKING:
    from counterpoise.network import Net
    from counterpoise.train import Phase, Sample, Step


class Expert(nn.Module):
    """The network as step 2 left it; always in evaluation mode."""

    taken: Tensor

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = deepcopy(encoder), deepcopy(head)
        self.register_buffer("taken", torch.tensor(False))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Expert":
        """Stay in evaluation mode."""
        return super().train(False)

    def take(self, net: "Net") -> None:
        """Become the network, once."""
        if not self.taken:
            self.encoder.load_state_dict(net.encoder.state_dict())
            self.head.load_state_dict(net.head.state_dict())
            self.taken.fill_(True)


@dataclass(frozen=True)
class Method:
    """Steps 2 and 3, in two phases."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    at: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    """Share of the steps that make the expert."""
    head_share: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    """Share of the classes, the largest, that are head classes."""
    ratio: Annotated[float, Ge(1)] = 2.0
    """How strongly one half of the classes dominates a sample."""
    strength: Annotated[float, Ge(0)] = 1.0
    """Weight of the distillation."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return both steps; each has the whole schedule to itself."""
        _own_loss.check("stepwise_smooth_tail", phase)
        switch = ceil(self.at * phase.steps)
        head, tail = (Replay(self.head_share, self.ratio, head) for head in (True, False))
        return [
            replace(phase, steps=switch, sampler=head, task=HeadExpert()),
            replace(phase, steps=phase.steps - switch, sampler=tail, task=Unified(self.head_share, self.strength)),
        ]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Make room for the expert."""
        net.extra = Expert(net.encoder, net.head)

    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Forget the expert."""
        net.extra = nn.Module()


@dataclass(frozen=True)
class HeadExpert:
    """Cross-entropy that moves the encoder and not the head."""

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean over the batch, or some rows of it, and the right answers."""
        inputs_B, labels_B = (t if rows is None else t[rows] for t in (step.inputs_B, step.labels_B))
        fixed = {name: p.detach() for name, p in step.net.head.named_parameters()}
        logits_BC = functional_call(step.net.head, fixed, (step.net.encoder(inputs_B),))
        return F.cross_entropy(logits_BC, labels_B), (logits_BC.argmax(1) == labels_B).sum()


@dataclass(frozen=True)
class Unified:
    """Cross-entropy plus distillation from the expert."""

    head_share: float
    strength: float

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean over the batch, or some rows of it, and the right answers."""
        inputs_B, labels_B = (t if rows is None else t[rows] for t in (step.inputs_B, step.labels_B))
        expert = cast(Expert, step.net.extra)
        expert.take(step.net)
        features_BD = step.net.encoder(inputs_B)
        logits_BC = step.net.head(features_BD)
        with torch.no_grad():
            known_BD = expert.encoder(inputs_B)
            known_BC = expert.head(known_BD)
        of_head_C = head_classes(step.counts_C, self.head_share)
        kept = distillation(logits_BC[:, of_head_C], known_BC[:, of_head_C]) + F.mse_loss(features_BD, known_BD)
        loss = F.cross_entropy(logits_BC, labels_B) + self.strength * kept
        return loss, (logits_BC.argmax(1) == labels_B).sum()


def distillation(logits_BC: Tensor, known_BC: Tensor) -> Tensor:
    """Return the mean divergence of the network's probabilities from the expert's."""
    return F.kl_div(logits_BC.log_softmax(1), known_BC.log_softmax(1), reduction="batchmean", log_target=True)
