"""A classifier whose weights are fixed from the start at equal angles, as far apart as can be (a simplex).

Source: Yang et al. 2022, "Inducing neural collapse in imbalanced learning"; Hasegawa and Sato 2024;
github.com/HN410/Exploring-Weight-Balancing-on-Long-Tailed-Recognition-Problem, `ETFClassifier` and `get_general_etf`
of utils/model_units.py: sqrt(C / (C - 1)) (I - 1/C) times C orthonormal directions drawn at random, and a learned bias
drawn uniformly from [-1/D, 1/D].
Shapes: features_BD -> logits_BC; weights C x D, of norm 1 and with cosines -1/(C - 1).
Units: none.
Raises: UserError for fewer features than classes.
Differs from the source: the directions come from the QR decomposition of Gaussian numbers, in float64, which has the
same distribution as the first columns of a random rotation.
"""

from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError


class Simplex(nn.Module):
    """Fixed directions of norm 1; the bias, where there is one, is learned."""

    weight: Tensor

    def __init__(self, weight_CD: Tensor, bias: bool) -> None:
        super().__init__()
        classes, features = weight_CD.shape
        self.register_buffer("weight", weight_CD)
        self.bias = nn.Parameter(torch.empty(classes).uniform_(-1 / features, 1 / features)) if bias else None

    def forward(self, features_BD: Tensor) -> Tensor:
        """Return logits_BC."""
        return F.linear(features_BD, self.weight, self.bias)


def simplex(directions_DC: Tensor) -> Tensor:
    """Return weights_CD of an equiangular frame in the space of orthonormal directions."""
    classes = directions_DC.shape[1]
    centred_CC = torch.eye(classes, dtype=directions_DC.dtype) - 1 / classes
    return (directions_DC @ centred_CC * sqrt(classes / (classes - 1))).T.contiguous()


@dataclass(frozen=True)
class Method:
    """A fixed simplex."""

    version: ClassVar[int] = 1
    bias: bool = True
    """Whether a bias is learned beside the fixed weights."""

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the layer, in directions drawn from torch's global generator."""
        if features < classes:
            raise UserError(f"head etf needs as many features as classes, got {features} for {classes}")
        q_DC, r_CC = torch.linalg.qr(torch.randn(features, classes, dtype=torch.float64))
        directions_DC = q_DC * r_CC.diagonal().sign()  # else the decomposition's own signs would bias the draw
        return Simplex(simplex(directions_DC).to(torch.get_default_dtype()), self.bias)
