"""What the methods of this folder share: which recipes they refuse, and the views of unlabelled images.

Legend: B labelled batch, D features, U unlabelled batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from counterpoise.augmentation import affine_cutout
from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.train import Step

STRONG = affine_cutout.Method()


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
