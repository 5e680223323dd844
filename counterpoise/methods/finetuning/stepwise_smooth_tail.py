"""After pretraining on all data: an encoder tuned by the head classes, then a head tuned by the tail classes.

Source: Dong et al. 2023, "Boosting long-tailed object detection via step-wise learning on smooth-tail data";
github.com/dongnana777/Long-tailed-object-detection, main.py and models/deformable_detr_local1.py. Step 1, training on
all data, is the pretraining here. Step 2 tunes what no class owns on a sample that head classes dominate; step 3 tunes
what classes own on one that tail classes dominate, and stays near the expert of step 2 in its probabilities of head
classes, at the expert's features (weight .1 there, beside 3 for the labels).
Shapes: features_BD, logits_BC.
Units: nats.
Raises: UserError for another `loss` than cross_entropy, mixing, or an ensemble.
Differs from the source: it is an analogue, for classification. Classes own the head; there they own a projection before
the transformer too, which is held to the expert's by a squared difference. Samples are drawn at random, of the sizes
that `_replay.py` says: there up to 200 of a class with more than 30 objects, 100 of one with 10 to 30, and all of the
rare, those of which the pretrained detector is most certain.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from counterpoise.methods.finetuning import _own_loss
from counterpoise.methods.finetuning._replay import Replay, head_classes

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step


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
    strength: Annotated[float, Ge(0)] = 0.1
    """Weight of the distillation."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return both steps; each has the whole schedule to itself."""
        _own_loss.check("stepwise_smooth_tail", phase)
        switch = ceil(self.at * phase.steps)
        head, tail = (Replay(self.head_share, self.ratio, head) for head in (True, False))
        kept = Kept(self.head_share, self.strength)
        return [
            replace(phase, steps=switch, sampler=head, task=Expert()),
            replace(phase, steps=phase.steps - switch, sampler=tail, task=kept, head_only=True),
        ]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Keep the head, which the expert shares with the pretrained network."""
        net.extra = deepcopy(net.head).requires_grad_(False)

    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Forget it."""
        net.extra = nn.Module()


@dataclass(frozen=True)
class Expert:
    """Cross-entropy that moves the encoder and not the head."""

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean over the batch, or some rows of it, and the right answers."""
        inputs_B, labels_B = (t if rows is None else t[rows] for t in (step.inputs_B, step.labels_B))
        fixed = {name: p.detach() for name, p in step.net.head.named_parameters()}
        logits_BC = functional_call(step.net.head, fixed, (step.net.encoder(inputs_B),))
        return F.cross_entropy(logits_BC, labels_B), (logits_BC.argmax(1) == labels_B).sum()


@dataclass(frozen=True)
class Kept:
    """Cross-entropy plus distillation from the expert, on its features."""

    head_share: float
    strength: float

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean over the batch, or some rows of it, and the right answers."""
        inputs_B, labels_B = (t if rows is None else t[rows] for t in (step.inputs_B, step.labels_B))
        features_BD = step.net.encoder(inputs_B)
        logits_BC, known_BC = step.net.head(features_BD), step.net.extra(features_BD)
        of_head_C = head_classes(step.counts_C, self.head_share)
        loss = F.cross_entropy(logits_BC, labels_B)
        loss = loss + self.strength * divergence(logits_BC[:, of_head_C], known_BC[:, of_head_C])
        return loss, (logits_BC.argmax(1) == labels_B).sum()


def divergence(logits_BC: Tensor, known_BC: Tensor) -> Tensor:
    """Return the mean divergence of the network's probabilities from the expert's."""
    return F.kl_div(logits_BC.log_softmax(1), known_BC.log_softmax(1), reduction="batchmean", log_target=True)
