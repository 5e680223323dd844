"""The mean negative log-likelihood of the labels under a softmax.

Source: the standard loss.
Shapes: logits_BC, labels_B, counts_C (unused) -> scalar.
Units: nats.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Cross-entropy."""

    version: ClassVar[int] = 1

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(logits_BC, labels_B)
