"""Holding the weight vector of each class within a ball.

Legend: C classes, D features.
"""

from typing import TYPE_CHECKING

from torch import Tensor, nn

from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.training.network import Net


def projected(weight_CD: Tensor, radius: Tensor | float) -> Tensor:
    """Return the nearest weights whose rows have a norm of at most `radius`."""
    norm_C1 = weight_CD.norm(dim=1, keepdim=True)
    return weight_CD * (radius / norm_C1).where(norm_C1 > radius, 1.0)


def linear_head(net: "Net") -> nn.Linear:
    """Return the head; raise UserError if it is not one linear layer."""
    if not isinstance(net.head, nn.Linear):
        raise UserError(f"MaxNorm needs one linear layer as the head, found {type(net.head).__name__}")
    return net.head
