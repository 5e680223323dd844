"""Rotation prediction: turn each image by 0, 90, 180 or 270 degrees and predict which.

Source: Gidaris et al. 2018; as used for imbalanced data by Yang and Xu 2020 (official code: imbalanced-semi-self,
`utils.rotation`): one rotation for each image, the four in equal numbers within a batch.
Shapes: images_BCHW with H = W -> logits_B4.
Units: nats.
Raises: UserError for tables and for images that are not square.
Differs from the source: Gidaris et al. feed all four rotations of an image in one batch (four times the compute
a step); this follows the official code of Yang and Xu. Rotation is ill-posed on digits (6 and 9, 0, 1, 8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """Learn the rotation; the labels are ignored."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    transfers_head: ClassVar[bool] = False

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the classifier of the four rotations."""
        return nn.Linear(features, 4)

    def prepare(
        self, images_BCHW: Tensor, labels_B: Tensor, augment: Callable, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the rotated batch and the quarter turns."""
        if images_BCHW.ndim != 4 or images_BCHW.shape[2] != images_BCHW.shape[3]:
            raise UserError(f"rotation needs square images, got inputs of shape {tuple(images_BCHW.shape[1:])}")
        B = len(images_BCHW)
        drawn_B = (torch.arange(B) % 4)[torch.randperm(B, generator=generator)]
        turns_B = drawn_B.to(images_BCHW.device, non_blocking=True)
        images = augment(images_BCHW, generator)
        rotated = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)])
        return rotated[turns_B, torch.arange(B, device=turns_B.device)], turns_B

    def loss(self, logits_B4: Tensor, turns_B: Tensor, criterion: Callable, counts_C: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy of the turns and the number of right answers."""
        return F.cross_entropy(logits_B4, turns_B), (logits_B4.argmax(1) == turns_B).sum()
