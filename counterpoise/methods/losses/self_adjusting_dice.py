"""A soft Dice loss for each example and class, in which (1 - p)^alpha p stands for p: easy examples count for less.

Source: Li et al. 2020, the self-adjusting loss; github.com/ShannonAI/dice_loss_for_NLP, `loss/dice_loss.py`. With
q = (1 - p)^alpha p: 1 - (2 q y + gamma) / (q + y + gamma), or q^2 + y^2 below; summed over the classes, each against
the rest after one softmax, and averaged over the examples. Defaults: the authors' scripts (`scripts/*/*dice.sh`).
Shapes: logits_BC, labels_B, counts_C (unused) -> scalar.
Units: none; at most C.
Raises: nothing.
Differs from the source: `official_code` without squares divides by sums over the batch, not by each example's own
(the paper and every published script divide by the example's). The paper writes the loss for a binary label: here,
as in the code, two classes give two terms. Hard-example mining (`ohem_ratio`, 0 in the scripts) is left out.
At alpha near 1 the loss of a label is least at p = 1/2, not at 1. The code's gradient is not a number at p = 1; this
one takes its limit. The largest logit of a row is taken off first, so that a shift of all logits changes nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional as F


def log_rest(logits_BC: Tensor) -> Tensor:
    """Return log(1 - p) of the softmax, without cancellation where p is close to 1."""
    top_BC = logits_BC.argmax(1, keepdim=True) == torch.arange(logits_BC.shape[1], device=logits_BC.device)
    others_B1 = logits_BC.masked_fill(top_BC, float("-inf")).logsumexp(1, keepdim=True)
    others_B1 = others_B1 - logits_BC.logsumexp(1, keepdim=True)
    return torch.where(top_BC, others_B1, torch.log1p(-logits_BC.softmax(1).masked_fill(top_BC, 0)))


@dataclass(frozen=True)
class Method:
    """Self-adjusting Dice loss."""

    version: ClassVar[int] = 2
    alpha: Annotated[float, Ge(0)] = 0.01
    """Exponent of 1 - p; 0 is the plain Dice loss (the code's default)."""
    gamma: Annotated[float, Gt(0)] = 1.0
    """Added above and below, without which negatives have no gradient (the code's default is 1e-4)."""
    square_denominator: bool = True
    """Square q and y below, as Milletari et al. do and as every published script does; the paper's loss does not."""
    variant: Literal["paper", "official_code"] = "paper"
    """Whose denominator it is without squares: each example's own, or the sum over the batch."""

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the sum over classes of the mean over the batch."""
        logits_BC = logits_BC - logits_BC.detach().amax(1, keepdim=True)
        y_BC = (labels_B[:, None] == torch.arange(logits_BC.shape[1], device=labels_B.device)).to(logits_BC.dtype)
        q_BC = torch.exp(self.alpha * log_rest(logits_BC) + F.log_softmax(logits_BC, dim=1))
        if self.square_denominator:
            below_BC = q_BC.square() + y_BC
        elif self.variant == "paper":
            below_BC = q_BC + y_BC
        else:
            below_BC = (q_BC + y_BC).sum(0)
        return (1 - (2 * q_BC * y_BC + self.gamma) / (below_BC + self.gamma)).mean(0).sum()
