"""Cross-entropy after scaling each logit by (n / n_max)^gamma and adding tau times its log-prior.

Source: Kini, Paraskevas, Oymak and Thrampoulidis 2021, equation 2; github.com/orparask/VS-Loss,
class_imbalance/losses.py, `VSLoss`.
Shapes: logits_BC, labels_B, counts_C, class_weights_C or None -> scalar.
Units: gamma and tau are pure numbers; nats.
Raises: nothing; a class without examples has no part in the softmax, at tau = 0 its logit counts as 0.
Differs from the source: nothing. Logits are predicted with as they are. gamma = 0 is `logit_adjustment`, tau = 0 is
`cdt`. The binary and the group-sensitive form are not here.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from counterpoise.methods.losses._weighted import cross_entropy


@dataclass(frozen=True)
class Method:
    """Vector-scaling loss."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)
    gamma: Annotated[float, Ge(0)] = 0.3
    """Strength of the multiplicative part; 0.3 is the code's default, its example for CIFAR-10-LT has 0.2."""
    tau: Annotated[float, Ge(0)] = 1.0
    """Strength of the additive part; 1 is the code's default, its example for CIFAR-10-LT has 1.2."""

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the batch."""
        scale_C = (counts_C.double() / counts_C.max()) ** self.gamma
        shift_C = torch.xlogy(self.tau, counts_C.double() / counts_C.sum())  # 0 at tau = 0, whatever the prior
        adjusted_BC = logits_BC * scale_C.to(logits_BC.dtype) + shift_C.to(logits_BC.dtype)
        return cross_entropy(adjusted_BC, labels_B, class_weights_C)
