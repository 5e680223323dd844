"""Doubly robust self-training: pseudo-labels everywhere, corrected by how they differ from the labels that are known.

Source: Zhu et al. 2023; github.com/dingmyu/Doubly-Robust-Self-Training, image_classification/train.py
(`train_one_epoch`; its modes 0, 1 and 2 are `pseudo_only`, `self_training` and `doubly_robust`). The mean loss of the
pseudo-labels over all examples plus, with a weight that grows from 0 to 1, the mean loss of the labels minus that of
the pseudo-labels over the labelled examples. The teacher is the network as training finds it, frozen; so pretraining
has to be `supervised`.
Shapes: x_B..., x_U... with U = unlabelled_ratio * B -> scalar.
Units: those of the phase's loss.
Raises: UserError without unlabelled examples, for `mixing` or `ensemble`, and for a loss with parameters of its own.
Differs from the source: a batch holds labelled and unlabelled examples in the fixed proportion `unlabelled_ratio`,
which should be that of the data; there it is a random part of both together. The student starts from the teacher, as
in the source's detection experiments (from scratch in its ImageNet ones, where gradients are clipped at norm 1).
Wherever the teacher errs on a labelled example, the loss has no lower bound. `wrong_by` is ours.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from counterpoise.methods.semi_supervised import _views

if TYPE_CHECKING:
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Step


def doubly_robust(pseudo_all: Tensor, pseudo_labelled: Tensor, true_labelled: Tensor, weight: float) -> Tensor:
    """Return the loss of pseudo-labels on all examples, corrected on the labelled ones."""
    return pseudo_all + weight * (true_labelled - pseudo_labelled)


class Teacher(nn.Module):
    """The network that names pseudo-labels; always in evaluation mode."""

    def open(self, net: "Net") -> None:
        """Copy the network as training finds it."""
        self.encoder, self.head = (deepcopy(part).requires_grad_(False).eval() for part in (net.encoder, net.head))

    def train(self, mode: bool = True) -> "Teacher":
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return the most probable class of each example."""
        return self.head(self.encoder(x)).argmax(1)


@dataclass(frozen=True)
class Method:
    """Learn from labels and from a fixed teacher's pseudo-labels."""

    version: ClassVar[int] = 1
    unlabelled_ratio: Annotated[int, Ge(1)] = 7
    """Unlabelled examples for each labelled one in a batch: as many as in the data."""
    loss: Literal["doubly_robust", "self_training", "pseudo_only", "labelled_only"] = "doubly_robust"
    """The method or a baseline: labels where known and pseudo-labels elsewhere, pseudo-labels alone, labels alone."""
    annealed: bool = True
    """Whether the correction's weight is the share of the steps that are done, this one included, or 1 throughout."""
    wrong_by: Annotated[int, Ge(0)] = 0
    """Added to each pseudo-label, modulo the number of classes: 1 makes an adversarial teacher."""

    @property
    def evaluations(self) -> int:
        """Passes of a step, in labelled batches: one, and the unlabelled examples."""
        return 1 + self.unlabelled_ratio

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the teacher, who copies the network when training opens."""
        return Teacher()

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the loss and the right answers on the labelled batch."""
        images_U, net = _views.unlabelled("doubly_robust_self_training", step), step.net
        images_B, x_B, labels_B = step.images_B, step.inputs_B, step.labels_B
        if rows is not None:
            images_B, x_B, labels_B = images_B[rows], x_B[rows], labels_B[rows]
        B, U = len(images_B), len(images_U)
        x_U = step.augmented(images_U, "augmentation-unlabelled")
        own_BD, other_UD = net.encoder(torch.cat([x_B, x_U])).split([B, U])
        true, hits = _views.criterion(step, own_BD, labels_B)
        if self.loss == "labelled_only":
            return true, hits
        teacher = cast(Teacher, net.extra)
        pseudo_B, pseudo_U = teacher(step.sample.standardise(torch.cat([images_B, images_U]))).split([B, U])
        labelled, others = (
            _views.criterion(step, x_D, (pseudo + self.wrong_by) % net.classes)[0]
            for x_D, pseudo in ((own_BD, pseudo_B), (other_UD, pseudo_U))
        )
        if self.loss == "self_training":
            return (B * true + U * others) / (B + U), hits
        pseudo_all = (B * labelled + U * others) / (B + U)
        if self.loss == "pseudo_only":
            return pseudo_all, hits
        weight = step.progress + 1 / (step.phase.total or step.phase.steps) if self.annealed else 1.0
        return doubly_robust(pseudo_all, labelled, true, weight), hits
