"""What the methods of this folder share: which recipes they refuse, views of unlabelled images, hard pseudo-labels.

Legend: B labelled batch, C classes, D features, U unlabelled batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.training.phases import Step

STRONG = registry.build("augmentation", {"name": "affine_cutout"})


def unlabelled(name: str, step: Step) -> Tensor:
    """Return the raw unlabelled batch; raise UserError where there is none, or where the recipe would be ignored."""
    phase = step.phase
    if hasattr(phase.mixing, "mix") or phase.ensemble is not None:
        raise UserError(f"{name} makes its own batches: leave `mixing` and `ensemble` at none")
    if hasattr(phase.task, "module") and "extra" in getattr(phase.loss, "uses", ()):
        raise UserError(f"{name} keeps its memory where this `loss` learns parameters of its own: choose another loss")
    if step.unlabelled_B is None:
        raise UserError(f"{name} needs unlabelled examples: set unlabelled.per_class")
    return step.unlabelled_B


def features(name: str, step: Step, rows: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return features_BD and labels_B of the labelled batch, features_UD of a weak and of a strong view of the other.

    Weak is the configured augmentation, strong is another draw of it with `affine_cutout` on top. All images go
    through the encoder together, as batch normalisation sees them in the official code.
    """
    images_U = unlabelled(name, step)
    if images_U.ndim != 4:
        raise UserError(f"{name} needs images, got inputs of shape {tuple(images_U.shape[1:])}")
    own_B, labels_B = (step.inputs_B, step.labels_B) if rows is None else (step.inputs_B[rows], step.labels_B[rows])
    weak_U = step.augmented(images_U, "augmentation-weak")
    again_U = step.phase.augmentation(images_U, step.stream("augmentation-strong"))
    strong_U = step.sample.standardise(STRONG(again_U, step.stream("strong")))
    U = len(images_U)
    parts = step.net.encoder(torch.cat([own_B, weak_U, strong_U])).split([len(own_B), U, U])
    return parts[0], labels_B, parts[1], parts[2]


def criterion(step: Step, features_BD: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the phase's loss at features of the encoder, and the right answers."""
    return registry.build("pretraining", {"name": "supervised"}).criterion(step, features_BD, labels_B)


def logits(step: Step, features_UD: Tensor) -> Tensor:
    """Return the logits of the model at features of the encoder."""
    outputs_UC = step.net.head(features_UD)
    return step.phase.loss.scores(outputs_UC) if hasattr(step.phase.loss, "scores") else outputs_UC


def pseudo_labels(probabilities_UC: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Return the most probable class and, as 1 or 0, whether it is at least as probable as the threshold."""
    confidence_U, labels_U = probabilities_UC.max(1)
    return labels_U, (confidence_U >= threshold).to(probabilities_UC.dtype)


def consistency(logits_UC: Tensor, labels_U: Tensor, kept_U: Tensor) -> Tensor:
    """Return the cross-entropy of the pseudo-labels that are kept, averaged over all of the batch."""
    return (F.cross_entropy(logits_UC, labels_U, reduction="none") * kept_U).mean()
