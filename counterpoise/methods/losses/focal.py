"""Cross-entropy times (1 - p)^gamma, with p the probability of the label, so that easy examples count less.

Source: Lin, Goyal, Girshick, He and Dollar 2017, equation 4, with a softmax in place of the sigmoid, as the
long-tail literature uses it: github.com/kaidic/LDAM-DRW, losses.py, `FocalLoss`.
Shapes: logits_BC, labels_B, counts_C (unused), class_weights_C or None -> scalar.
Units: nats.
Raises: nothing.
Differs from the source: nothing without class weights. With them the code takes p = exp(-w CE), so a weight bends
the focus too, where the paper's alpha multiplies the loss and leaves p alone: `variant` says which. Both are means
over the examples, not over the weights. 1 - p is computed without cancellation and kept above 0, where the
code's gradient is NaN for gamma < 1. The sigmoid form of Cui et al. 2019 is `class_balanced`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor

from counterpoise.methods.losses._weighted import cross_entropy


@dataclass(frozen=True)
class Method:
    """Focal loss."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)
    gamma: Annotated[float, Ge(0)] = 1.0
    """Focus; 0 is cross-entropy, 1 is LDAM-DRW's setting, 2 was the best for detection."""
    variant: Literal["paper", "official_code"] = "official_code"
    """Whether class weights enter the probability (LDAM-DRW's code) or only the loss."""

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the examples."""
        loss_B = cross_entropy(logits_BC, labels_B, class_weights_C, reduction="none")
        nats_B = loss_B if self.variant == "official_code" else cross_entropy(logits_BC, labels_B, None, "none")
        miss_B = -torch.expm1(-nats_B)  # 1 - p
        return (miss_B.clamp(min=torch.finfo(miss_B.dtype).tiny) ** self.gamma * loss_B).mean()
