"""Cross-entropy weighted by the inverse of each class's training count, w_c = N / (K n_c), K = classes present.

Source: King and Zeng 2001 (weights N / (C n_c), scikit-learn's "balanced"). The batch mean is divided by the
sum of the weights in the batch, as torch's weighted mean and the long-tail literature do.
Shapes: logits_BC, labels_B, counts_C -> scalar.
Units: nats.
Raises: nothing; a class without examples has weight 0 and never occurs in a batch.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Class-weighted cross-entropy."""

    version: ClassVar[int] = 1

    def weights(self, counts_C: Tensor) -> Tensor:
        """Return the weight of each class; 0 for a class without examples."""
        present = counts_C > 0
        return torch.where(present, counts_C.sum() / (present.sum() * counts_C.clamp(min=1)), 0.0)

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the weighted mean over the batch."""
        return F.cross_entropy(logits_BC, labels_B, weight=self.weights(counts_C).to(logits_BC.dtype))
