"""A small network weighs each example's loss by how the model sees it, and learns that from noisy batches it weighs.

Source: Heck et al. 2025, STORM, algorithm 1; official code (gitlab.cs.uni-duesseldorf.de/general/dsml/storm-public):
`call_rescaler`, `Results`, `Filter` and the rescaler of `modeling.py`. The rescaler sees 19 numbers: mean and
deviation of the loss and of the largest probability over several passes, the divergence and overlap of the loss with
those of its kin (same class; agreeing with the label or not), the mean and deviation of each of these over the kin,
and the agreement. One virtual step of the model follows the weighted loss of the batch; the weighted loss after it,
on another random batch of the same noisy sample, is what the rescaler descends, both through the step and directly.
Shapes: losses of P passes over B examples, losses_PB -> summaries_BS -> features_BF -> weights_B in (0, 1).
Units: nats; the virtual step has the current learning rate.
Raises: UserError for another `loss` than cross_entropy.
Differs from the source: passes differ by their augmentation, not by dropout. The virtual step is plain gradient
descent (a first step of Adam there), and the model's own step is the configured optimiser's, with the weights from
before the rescaler's step. The memory of kin outlives an epoch. Binary weights are left out. The single-label code
(`storm.py`, read in a derived copy) is followed: that for dialogue states (`storm_dst.py`) rescales every sum of
losses back to its unweighted value, which leaves the rescaler no gradient.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from counterpoise.methods.finetuning import _own_loss
from counterpoise.methods.finetuning._signals import Memory, summaries

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase, Step


class Standardise(nn.Module):
    """Batch normalisation without scale, shift or running statistics; it also takes a batch of one."""

    def forward(self, x_BF: Tensor) -> Tensor:
        """Return columns of mean 0 and variance 1."""
        return (x_BF - x_BF.mean(0)) / (x_BF.var(0, unbiased=False) + 1e-5).sqrt()


class Rescaler(nn.Module):
    """One network for each class, or one for all, and what it remembers of the batches and of the meta batches."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(19, 19), Standardise(), nn.ReLU(), nn.Linear(19, 2), Standardise())
            for _ in range(classes)
        )
        self.own, self.meta = Memory(classes, size), Memory(classes, size)

    def forward(self, logits_PBC: Tensor, labels_B: Tensor, memory: Memory, number: int) -> Tensor:
        """Return the weight of each example, by the network of its class."""
        kin_B = labels_B if len(self.networks) > 1 else torch.zeros_like(labels_B)
        features_BF = memory.features(summaries(logits_PBC, labels_B), kin_B, number).to(logits_PBC.dtype)
        weights_BC = torch.stack([network(features_BF).softmax(1)[:, 1] for network in self.networks], dim=1)
        return weights_BC.gather(1, kin_B[:, None])[:, 0]


@dataclass(frozen=True)
class Task:
    """Learn from weighted losses, and the weights from what they lead to."""

    passes: int
    separate: bool
    size: int
    extra_lr: float

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the rescaler."""
        return Rescaler(classes if self.separate else 1, self.size)

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weighted loss, with the rescaler's objective added in its gradient only, and the right answers."""
        rescaler, model = cast(Rescaler, step.net.extra), nn.Sequential(step.net.encoder, step.net.head)
        labels_B, number = step.labels_B if rows is None else step.labels_B[rows], step.phase.first + step.number
        views = self._views(step, step.images_B, "augmentation", step.inputs_B)
        if rows is not None:
            views = [view[rows] for view in views]
        logits_BC = model(views[0])
        weights_B = rescaler(self._all(logits_BC, views, model, {}), labels_B, rescaler.own, number)
        losses_B = F.cross_entropy(logits_BC, labels_B, reduction="none")
        loss, hits = (weights_B.detach() * losses_B).mean(), (logits_BC.argmax(1) == labels_B).sum()

        schedule, total = step.phase.schedule, step.phase.total or step.phase.steps
        lr = step.phase.optimizer.lr * schedule.factor(number, total)
        start = {name: p.detach().requires_grad_() for name, p in model.named_parameters() if p.requires_grad}
        inner = F.cross_entropy(functional_call(model, start, views[0]), labels_B, reduction="none")
        slopes = torch.autograd.grad((weights_B * inner).mean(), list(start.values()), create_graph=True)
        ahead = {name: p - lr * slope for (name, p), slope in zip(start.items(), slopes, strict=True)}

        positions = torch.randperm(len(step.sample.labels), generator=step.stream("meta-batch"))[: len(labels_B)]
        images, labels_M = step.sample.batch(positions)
        views = self._views(step, images.to(step.images_B.dtype), "augmentation-meta")
        logits_MC = functional_call(model, ahead, views[0])
        weights_M = rescaler(self._all(logits_MC, views, model, ahead), labels_M, rescaler.meta, number)
        meta = (weights_M * F.cross_entropy(logits_MC, labels_M, reduction="none")).mean()
        return loss + (meta - meta.detach()), hits

    def _views(self, step: "Step", images: Tensor, purpose: str, first: Tensor | None = None) -> list[Tensor]:
        """Return one augmented view for each pass."""
        views = [step.augmented(images, purpose) if first is None else first]
        return views + [step.augmented(images, f"{purpose}-{n}") for n in range(1, self.passes)]

    def _all(self, logits: Tensor, views: list[Tensor], model: nn.Module, parameters: dict[str, Tensor]) -> Tensor:
        """Return the logits of all passes, of which only the first has a gradient."""
        with torch.no_grad():
            return torch.stack([logits.detach(), *(functional_call(model, parameters, view) for view in views[1:])])


@dataclass(frozen=True)
class Method:
    """One phase over all parameters, with a rescaler trained beside them."""

    version: ClassVar[int] = 1
    quicker: ClassVar[tuple[str, ...]] = ("precision",)  # compiled code is differentiated once
    evaluations: ClassVar[int] = 3
    fresh_head: ClassVar[bool] = False
    passes: Annotated[int, Ge(1)] = 3
    """Forward passes that an example is summarised by; one has a gradient (the source: two more by dropout)."""
    separate: bool = True
    """A rescaler and statistics for each class; else one for all."""
    rescaler_lr: Annotated[float, Gt(0)] = 1.0
    """Learning rate of the rescaler as a multiple of the network's (the source: Adam for both, 200 times)."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with the task in place of its own."""
        _own_loss.check("meta_loss_rescaling", phase)
        return [replace(phase, task=Task(self.passes, self.separate, phase.batch_size, self.rescaler_lr))]
