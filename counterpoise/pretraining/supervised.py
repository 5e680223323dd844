"""Supervised training on any sample; on a balanced one it is the first phase of two-phase training.

Source: Havaei et al. 2017 (two-phase training), as compared by Buda et al. 2018: pretrain on a balanced sample,
then fine-tune the last layer on the original data.
Shapes: images_BCHW or rows_BD, labels_B -> logits_BC.
Units: the criterion's.
Raises: nothing.
Differs from the source: nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Method:
    """Learn the labels."""

    version: ClassVar[int] = 1
    transfers_head: ClassVar[bool] = True

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the classifier."""
        return nn.Linear(features, classes)

    def prepare(
        self, images: Tensor, labels_B: Tensor, augment: Callable, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the augmented batch and its labels."""
        return augment(images, generator), labels_B

    def loss(
        self, logits_BC: Tensor, labels_B: Tensor, criterion: Criterion, counts_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the criterion and the number of right answers."""
        return criterion(logits_BC, labels_B, counts_C), (logits_BC.argmax(1) == labels_B).sum()
