"""Cross-entropy plus a bonus log(1 - p) for the label's probability p, so that well-classified examples still teach.

Source: Zhao et al. 2022; github.com/lancopku/well-classified-examples-are-underestimated, `EncouragingLoss.py`. From
`log_end` on the bonus is its tangent there: log(1 - log_end) - (p - log_end) / (1 - log_end).
Shapes: logits_BC, labels_B, counts_C (unused) -> scalar.
Units: nats; the loss falls below 0, down to log(1 - log_end) - 1 at p = 1.
Raises: nothing.
Differs from the source: nothing (1 - p is clamped at 1e-5 as in the code, which is felt at `log_end` = 1 only).
"""

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Encouraging loss with the conservative bonus."""

    version: ClassVar[int] = 1
    log_end: Annotated[float, Interval(gt=0, le=1)] = 0.75
    """Probability from which the bonus is linear; 1 is the bonus without an end."""

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the mean over the batch."""
        log_p_B = -F.cross_entropy(logits_BC, labels_B, reduction="none")
        p_B = log_p_B.exp()
        bonus_B = torch.log((1 - p_B).clamp(min=1e-5))
        if self.log_end < 1:
            tangent_B = math.log(1 - self.log_end) - (p_B - self.log_end) / (1 - self.log_end)
            bonus_B = torch.where(p_B > self.log_end, tangent_B, bonus_B)
        return (bonus_B - log_p_B).mean()
