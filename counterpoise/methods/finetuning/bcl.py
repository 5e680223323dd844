"""Balanced contrastive learning: cross-entropy on one view, a class-balanced contrast of two more with prototypes.

Source: Zhu et al. 2022; github.com/FlamieZhu/Balanced-Contrastive-Learning, `loss/contrastive.py` (BalSCL),
`loss/logitadjust.py`, `models/resnext.py` (BCLModel) and `main.py`, whose weights and temperature are the defaults.
Each class counts once below the fraction (class-averaging), and a prototype of every class takes part in every batch
(class-complement): an MLP of the classifier's weight vector. The logits of the first view are compensated by the log
prior. Sizes of the MLPs: the paper's for CIFAR.
Shapes: images_BCHW, labels_B -> three views, V = 2B of which are contrasted; features_BD -> projections_VP.
Units: nats; `temperature` divides the cosine similarity.
Raises: UserError when the augmentation is `none`, for another `loss` than cross_entropy, and for a head without one
weight vector for each class.
Differs from the source: all views share the configured augmentation (RandAugment for the first there, SimCLR's for
the others). The head is the configured one; the source's is `cosine` with `scale` 30. The MLPs have no weight decay.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _own_loss

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase, Step


def balanced_contrast(views_VP: Tensor, labels_V: Tensor, prototypes_CP: Tensor, temperature: float) -> Tensor:
    """Return BalSCL: each view against all views and prototypes, averaged over its positives, then over the views."""
    V, C = len(views_VP), len(prototypes_CP)
    classes_C = torch.arange(C, device=labels_V.device)
    own_VC = labels_V[:, None] == classes_C
    owner_K = torch.cat([labels_V, classes_C])
    itself_VK = torch.eye(V, V + C, dtype=torch.bool, device=labels_V.device)
    positive_VK = ((labels_V[:, None] == owner_K) & ~itself_VK).to(views_VP.dtype)
    size_C = own_VC.sum(0) + 1
    similarity_VK = views_VP @ torch.cat([views_VP, prototypes_CP]).T / temperature
    shared_VK = (similarity_VK - (size_C[owner_K] - positive_VK).log()).masked_fill(itself_VK, float("-inf"))
    log_p_VK = similarity_VK - shared_VK.logsumexp(1, keepdim=True)
    return -((positive_VK * log_p_VK).sum(1) / positive_VK.sum(1)).mean()


class Projections(nn.Module):
    """An MLP for features and one for the classifier's weights; batch statistics only, as nothing is predicted here."""

    def __init__(self, features: int, hidden: int, projection: int) -> None:
        super().__init__()
        self.of_features, self.of_weights = (
            nn.Sequential(
                nn.Linear(features, hidden),
                nn.BatchNorm1d(hidden, track_running_stats=False),
                nn.ReLU(),
                nn.Linear(hidden, projection),
            )
            for _ in range(2)
        )


@dataclass(frozen=True)
class Task:
    """Classify one view and contrast two."""

    temperature: float
    contrast_weight: float
    scale: float
    hidden: int
    projection: int

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the two projections."""
        return Projections(features, self.hidden, self.projection)

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sum of both losses, on all or some rows of the batch, and the right answers on the first view."""
        weight_CD = getattr(step.net.head, "weight", None)
        if weight_CD is None:
            raise UserError("bcl needs a head with one weight vector for each class, such as linear or cosine")
        second, third = (
            step.phase.augmentation(step.images_B, step.stream(f"augmentation-{view}")) for view in ("second", "third")
        )
        if second is step.images_B:
            raise UserError("bcl needs an augmentation: set finetune.augmentation, e.g. affine_cutout")
        views, labels_B = (
            [step.inputs_B, step.sample.standardise(second), step.sample.standardise(third)],
            step.labels_B,
        )
        if rows is not None:
            views, labels_B = [view[rows] for view in views], labels_B[rows]
        B, projections = len(labels_B), cast(Projections, step.net.extra)
        features = step.net.encoder(torch.cat(views))
        projections_VP = F.normalize(projections.of_features(features), dim=1)[B:]
        prototypes_CP = F.normalize(projections.of_weights(weight_CD), dim=1)
        contrast = balanced_contrast(projections_VP, labels_B.repeat(2), prototypes_CP, self.temperature)
        logits_BC = self.scale * step.net.head(features[:B])
        prior_C = step.counts_C.to(logits_BC.dtype) / step.counts_C.sum()
        loss = F.cross_entropy(logits_BC + prior_C.log(), labels_B) + self.contrast_weight * contrast
        return loss, (logits_BC.argmax(1) == labels_B).sum()


@dataclass(frozen=True)
class Method:
    """One phase over all parameters with the two-branch objective."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    temperature: Annotated[float, Gt(0)] = 0.07
    """Divides the similarities before the softmax."""
    contrast_weight: Annotated[float, Ge(0)] = 0.35
    """Weight of the contrastive loss beside cross-entropy."""
    scale: Annotated[float, Gt(0)] = 1.0
    """Multiplies the head's outputs before the softmax (30 for a cosine head)."""
    hidden: Annotated[int, Ge(2)] = 512
    """Width of the projections' hidden layer."""
    projection: Annotated[int, Ge(2)] = 128
    """Size of the projected vector."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with the task in place of its own."""
        _own_loss.check("bcl", phase)
        task = Task(self.temperature, self.contrast_weight, self.scale, self.hidden, self.projection)
        return [replace(phase, task=task)]
