"""Remix: inputs are mixed as in mixup, but a much rarer class gets the whole label where its input has a fair share.

Source: Chou et al. 2020, "Remix: Rebalanced Mixup", equation 10. No official code; checked against the
reimplementations in github.com/ntucllab/imbalanced-DL (`remix_data`) and github.com/zhangyongshun/BagofTricks-LT
(lib/core/combiner.py, `remix`).
Shapes: x_B..., others_B... -> mixed_B..., share_B.
Units: shares; `kappa` is a ratio of class counts.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from counterpoise.methods.mixing import _beta


@dataclass(frozen=True)
class Method:
    """Mixup whose label favours the rarer class."""

    version: ClassVar[int] = 1
    alpha: Annotated[float, Gt(0)] = 1.0
    """Both parameters of the Beta distribution."""
    kappa: Annotated[float, Ge(1)] = 3.0
    """How many times larger the one class must be for the other to get the whole label."""
    tau: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """The larger class loses its label where the share of its input is below this."""

    def mix(
        self,
        x_B: Tensor,
        others_B: Tensor,
        labels_B: Tensor,
        other_labels_B: Tensor,
        counts_C: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return mixed inputs, and the own label's share: 0, 1, or that of the own input."""
        share = _beta.draw(self.alpha, generator)
        own_B, other_B = counts_C.double()[labels_B], counts_C.double()[other_labels_B]
        lost_B = (own_B >= self.kappa * other_B) & (share < self.tau)
        won_B = (self.kappa * own_B <= other_B) & (1 - share < self.tau)
        share_B = x_B.new_full((len(x_B),), share).masked_fill(won_B, 1.0).masked_fill(lost_B, 0.0)
        return share * x_B + (1 - share) * others_B, share_B
