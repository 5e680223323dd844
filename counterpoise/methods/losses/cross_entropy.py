"""The mean negative log-likelihood of the labels under a softmax.

Source: the standard loss.
Shapes: logits_BC, labels_B, counts_C (unused), class_weights_C or None -> scalar.
Units: nats.
Raises: nothing.
Differs from the source: nothing. With class weights the sum is divided by the sum of the weights in the batch.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Cross-entropy."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the batch."""
        if class_weights_C is None:
            return F.cross_entropy(logits_BC, labels_B)
        return F.cross_entropy(logits_BC, labels_B, weight=class_weights_C.to(logits_BC.dtype))
