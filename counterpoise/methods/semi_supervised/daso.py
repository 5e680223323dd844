"""DASO: FixMatch whose pseudo-labels of over-predicted classes lean on similarity to balanced class prototypes.

Source: Oh et al. 2022, equations 1 to 5; github.com/ytaek-oh/daso, lib/models/daso_model.py (`forward_train`),
lib/models/feature_queue.py, lib/models/ema_model.py, lib/algorithm/daso.py, lib/utils/dist_logger.py.
A linear pseudo-label p of class k gives way to the semantic one q by (m_k / max m)^(1 / T), where m are the shares of
recent pseudo-labels. q is the softmax of the cosine similarities to the prototypes: the mean features, by a moving
average of the encoder, of the last labelled examples of each class. The strong view also learns q (semantic alignment).
Shapes: images_BCHW, images_UCHW with U = unlabelled_ratio * B -> scalar.
Units: nats; `threshold` is a probability; the temperatures divide similarities and exponents.
Raises: UserError without unlabelled examples, for tables, for `mixing` or `ensemble`, and for a loss with parameters
of its own.
Differs from the source: see `fixmatch` for the strong view and the averaged weights. `start` is a share of the steps
(5,000 of 250,000), and shares of pseudo-labels are also taken when it is reached, which matters where it is not a
multiple of `period`. Official numbers have T 1.5 where labelled and unlabelled parts are equally distributed and .3
otherwise. Statistics that batch normalisation keeps are not averaged, as features here never use them.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.methods.semi_supervised import _views

if TYPE_CHECKING:
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Step


def blend(linear_UC: Tensor, semantic_UC: Tensor, seen_C: Tensor, temperature: float) -> Tensor:
    """Return probabilities between both pseudo-labels, by how often the linear one's class was a pseudo-label.

    Before any pseudo-label was counted, the linear ones alone.
    """
    weight_C = (seen_C / seen_C.max().clamp(min=torch.finfo(seen_C.dtype).tiny)) ** (1 / temperature)
    weight_U1 = weight_C[linear_UC.argmax(1), None]
    return (1 - weight_U1) * linear_UC + weight_U1 * semantic_UC


def similarities(features_UD: Tensor, prototypes_CD: Tensor, temperature: float) -> Tensor:
    """Return cosines to the prototypes over the temperature; 0 for a class that has none yet."""
    return F.normalize(features_UD, dim=1) @ F.normalize(prototypes_CD, dim=1).T / temperature


def alignment(strong_UC: Tensor, semantic_UC: Tensor) -> Tensor:
    """Return the mean cross-entropy of the strong view's similarities with the weak view's, taken as a target."""
    return -(semantic_UC * strong_UC.log_softmax(1)).sum(1).mean()


class Memory(nn.Module):
    """The moving average of the encoder, the last features of each class, and the pseudo-labels counted so far."""

    last: Tensor
    queue_CQD: Tensor
    held_C: Tensor
    counting_C: Tensor
    counted_C: Tensor

    def __init__(self, features: int, classes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("last", torch.tensor(-1))
        self.register_buffer("queue_CQD", torch.zeros(classes, size, features))
        for name in ("held_C", "counting_C", "counted_C"):
            self.register_buffer(name, torch.zeros(classes))

    def open(self, net: "Net") -> None:
        """Copy the encoder as training finds it."""
        self.encoder = deepcopy(net.encoder).requires_grad_(False)

    @torch.no_grad()
    def average(self, encoder: nn.Module, decay: float) -> None:
        """Move the average towards the encoder."""
        for mean, p in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            mean.mul_(decay).add_(p, alpha=1 - decay)

    @torch.no_grad()
    def enqueue(self, features_BD: Tensor, labels_B: Tensor) -> None:
        """Add features to the queues of their classes, which forget the oldest."""
        size = self.queue_CQD.shape[1]
        for c in labels_B.unique().tolist():
            new = features_BD[labels_B == c]
            self.queue_CQD[c] = torch.cat([self.queue_CQD[c], new])[-size:]
            self.held_C[c] = (self.held_C[c] + len(new)).clamp(max=size)

    def prototypes(self) -> Tensor:
        """Return the mean feature of each class, 0 where there is none."""
        return self.queue_CQD.sum(1) / self.held_C.clamp(min=1)[:, None]

    def close_period(self) -> None:
        """Make the pseudo-labels since the last time those that count."""
        self.counted_C.copy_(self.counting_C)
        self.counting_C.zero_()


@dataclass(frozen=True)
class Method:
    """The phase's loss on labelled images, consistency with blended pseudo-labels, and semantic alignment."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    unlabelled_ratio: Annotated[int, Ge(1)] = 2
    """Unlabelled images for each labelled one in a batch."""
    threshold: Annotated[float, Interval(gt=0, le=1)] = 0.95
    """A pseudo-label is used where its probability is at least this."""
    unlabelled_weight: Annotated[float, Ge(0)] = 1.0
    """Weight of the consistency loss."""
    alignment_weight: Annotated[float, Ge(0)] = 1.0
    """Weight of the semantic alignment loss."""
    distribution_temperature: Annotated[float, Gt(0)] = 1.5
    """T of the blend: the higher, the more classes lean on prototypes."""
    prototype_temperature: Annotated[float, Gt(0)] = 0.05
    """Divides the cosines before the softmax."""
    start: Annotated[float, Interval(gt=0, lt=1)] = 0.02
    """Share of the steps that are plain FixMatch."""
    period: Annotated[int, Ge(1)] = 100
    """Steps over which pseudo-labels are counted."""
    queue: Annotated[int, Ge(1)] = 256
    """Features held of each class."""
    decay: Annotated[float, Interval(ge=0, lt=1)] = 0.999
    """Share of the moving average that is kept at a step."""

    @property
    def evaluations(self) -> int:
        """Passes of a step, in labelled batches: one, and two views of each unlabelled image."""
        return 1 + 2 * self.unlabelled_ratio

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the memory, which copies the encoder when training opens."""
        return Memory(features, classes, self.queue)

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sum of the losses and the right answers on the labelled batch."""
        memory, now = cast(Memory, step.net.extra), step.phase.first + step.number
        start = max(1, round(self.start * (step.phase.total or step.phase.steps)))
        own_BD, labels_B, weak_UD, strong_UD = _views.features("daso", step, rows)
        if first := int(memory.last) != now:  # a step may be evaluated more than once, and is remembered once
            self._remember(memory, step, now, start)
        loss, hits = _views.criterion(step, own_BD, labels_B)
        with torch.no_grad():
            target_UC = _views.logits(step, weak_UD).softmax(1)
        if now >= start:
            prototypes_CD = memory.prototypes()
            with torch.no_grad():
                semantic_UC = similarities(weak_UD, prototypes_CD, self.prototype_temperature).softmax(1)
                target_UC = blend(target_UC, semantic_UC, memory.counted_C, self.distribution_temperature)
            strong_UC = similarities(strong_UD, prototypes_CD, self.prototype_temperature)
            loss = loss + self.alignment_weight * alignment(strong_UC, semantic_UC)
        labels_U, kept_U = _views.pseudo_labels(target_UC, self.threshold)
        if first:
            memory.counting_C += labels_U.bincount(minlength=step.net.classes)
        agreement = _views.consistency(_views.logits(step, strong_UD), labels_U, kept_U)
        return loss + self.unlabelled_weight * agreement, hits

    def _remember(self, memory: Memory, step: "Step", now: int, start: int) -> None:
        """Do what the official code does at the end of a step, then enqueue this one's labelled features."""
        memory.last.fill_(now)
        if now:
            memory.average(step.net.encoder, min(1 - 1 / now, self.decay))
        if now and (now % self.period == 0 or now == start):
            memory.close_period()
        with torch.no_grad():
            memory.enqueue(memory.encoder(step.inputs_B), step.labels_B)
