"""Cross-entropy after dividing each logit by a temperature that is larger for rarer classes, (n_max / n)^gamma.

Source: Ye, Chen, Zhan and Chao 2020, equation 4; the authors' code was not found, compared with
github.com/zhangyongshun/BagofTricks-LT, `CDT`, and `VSLoss` of github.com/orparask/VS-Loss at tau = 0.
Shapes: logits_BC, labels_B, counts_C, class_weights_C or None -> scalar.
Units: nats.
Raises: nothing; the logit of a class without examples counts as 0, the limit of an infinite temperature.
Differs from the source: nothing. Logits are predicted with as they are, at temperature 1. BagofTricks-LT defers the
temperatures themselves where class weights are deferred here.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor

from counterpoise.methods.losses._weighted import cross_entropy


@dataclass(frozen=True)
class Method:
    """Class-dependent temperatures."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)
    gamma: Annotated[float, Ge(0)] = 0.2
    """How fast temperatures rise towards rare classes; 0 is cross-entropy, the authors searched up to 0.4."""

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the batch."""
        coldness_C = (counts_C.double() / counts_C.max()) ** self.gamma
        return cross_entropy(logits_BC * coldness_C.to(logits_BC.dtype), labels_B, class_weights_C)
