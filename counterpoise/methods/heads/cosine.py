"""The cosine of the feature with one weight vector for each class, which LDAM and its relatives train.

Source: Cao et al. 2019; github.com/kaidic/LDAM-DRW, `NormedLinear` of models/resnet_cifar.py: weights drawn
uniformly from [-1, 1] and then of norm 1, no bias.
Shapes: features_BD -> cosines_BC in [-1, 1]; the loss multiplies by its scale.
Units: none.
Raises: nothing; a feature of norm below 1e-12 has the cosine 0 with everything.
Differs from the source: the weight is stored C x D, as a linear layer's, not D x C.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Cosine(nn.Module):
    """Cosines with learned directions."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, features).uniform_(-1, 1), dim=1))

    def forward(self, features_BD: Tensor) -> Tensor:
        """Return cosines_BC."""
        return F.linear(F.normalize(features_BD, dim=1), F.normalize(self.weight, dim=1))


@dataclass(frozen=True)
class Method:
    """A cosine classifier."""

    version: ClassVar[int] = 1

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the layer."""
        return Cosine(features, classes)
