"""Cross-entropy of a softmax in which each class counts in proportion to its training examples.

Source: Ren, Yu, Sheng, Ma, Zhao, Yi and Li 2020, equation 3;
github.com/jiawei-ren/BalancedMetaSoftmax-Classification, loss/BalancedSoftmaxLoss.py.
Shapes: logits_BC, labels_B, counts_C, class_weights_C or None -> scalar.
Units: nats.
Raises: nothing; a class without examples has no part in the softmax, the limit of n -> 0.
Differs from the source: nothing. Logits are predicted with as they are: the counts are the loss's alone. It is
`logit_adjustment` at tau = 1. The meta-sampler is another method.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from counterpoise.methods.losses._weighted import cross_entropy


@dataclass(frozen=True)
class Method:
    """Balanced softmax."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the batch."""
        return cross_entropy(logits_BC + counts_C.double().log().to(logits_BC.dtype), labels_B, class_weights_C)
