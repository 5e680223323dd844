"""Squared error of the target, each example weighted by the inverse frequency of its bin.

Source: the inverse-frequency weighting that papers on imbalanced regression start from, for instance Yang et al. 2021,
"Delving into deep imbalanced regression" (INV).
Shapes: outputs_B1, labels_B, counts_C, target_B -> scalar.
Units: squared standard deviations of the training targets.
Raises: nothing; a bin without examples has weight 0.
Differs from the source: weights have mean 1 over the training part, so that the learning rate means the same.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Method:
    """Weighted squared error."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("target_B",)

    def outputs(self, classes: int) -> int:
        """Return how many outputs the head has: the value."""
        return 1

    def weights(self, counts_C: Tensor) -> Tensor:
        """Return the weight of each bin; the mean over the examples is 1."""
        present = counts_C > 0
        return torch.where(present, counts_C.sum() / (present.sum() * counts_C.clamp(min=1)), 0.0)

    def __call__(self, outputs_BK: Tensor, labels_B: Tensor, counts_C: Tensor, target_B: Tensor) -> Tensor:
        """Return the mean over the batch."""
        weight_B = self.weights(counts_C.double()).to(outputs_BK.dtype)[labels_B]
        return (weight_B * (outputs_BK[:, 0] - target_B).square()).mean()
