"""Mixup: each input is mixed with another of the batch, and so are their labels, by one share for the whole batch.

Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", equation 2 and figure 1a;
github.com/facebookresearch/mixup-cifar10, train.py, `mixup_data`.
Shapes: x_B..., others_B... -> mixed_B..., share_B.
Units: shares.
Raises: nothing.
Differs from the source: nothing; the code's alpha = 0, no mixing, is the method `none`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Gt
from torch import Tensor

from counterpoise.methods.mixing import _beta


@dataclass(frozen=True)
class Method:
    """One share of Beta(alpha, alpha) for the inputs and the labels of a batch."""

    version: ClassVar[int] = 1
    alpha: Annotated[float, Gt(0)] = 1.0
    """Both parameters of the Beta distribution; 1 is uniform, less leaves most examples nearly as they are."""

    def mix(
        self,
        x_B: Tensor,
        others_B: Tensor,
        labels_B: Tensor,
        other_labels_B: Tensor,
        counts_C: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return share * x + (1 - share) * other, and the share."""
        share = _beta.draw(self.alpha, generator)
        return share * x_B + (1 - share) * others_B, x_B.new_full((len(x_B),), share)
