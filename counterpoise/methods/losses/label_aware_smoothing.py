"""Label smoothing whose strength grows with the training examples of the label's class.

Source: Zhong, Cui, Liu and Jia 2021 (MiSLAS), equations 4 to 7; github.com/dvlab-research/MiSLAS, methods.py,
`LabelAwareSmoothing`.
Shapes: logits_BC, labels_B, counts_C -> scalar.
Units: nats.
Raises: nothing; where all counts are equal, every class is smoothed as the rarest.
Differs from the source: the paper gives the share epsilon_y to the C - 1 other classes, the code to all C, label
included (said by the authors in issue 4): `variant`. The code's shape `exp` is not in the paper and not here.
MiSLAS uses it in its second stage, with learnable weight scaling.
"""

from dataclasses import dataclass
from math import pi
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Label-aware smoothing."""

    version: ClassVar[int] = 1
    head: Annotated[float, Interval(ge=0, le=1)] = 0.3
    """Share taken from labels of the largest class; 0.3 is for CIFAR-10-LT at factor 100, for CIFAR-100-LT 0.4."""
    tail: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share taken from labels of the smallest class; 0 is for CIFAR-10-LT, for CIFAR-100-LT 0.1."""
    shape: Literal["concave", "linear", "convex"] = "concave"
    """How the share rises between the two with the count."""
    variant: Literal["paper", "official_code"] = "official_code"
    """Whether the label has its part of what is taken from it (code) or not."""

    def smoothing(self, counts_C: Tensor) -> Tensor:
        """Return the share taken from the labels of each class."""
        smallest = counts_C.min()
        way_C = (counts_C - smallest).double() / (counts_C.max() - smallest).clamp(min=1)
        if self.shape == "concave":
            return self.tail + (self.head - self.tail) * (way_C * pi / 2).sin()
        if self.shape == "linear":
            return self.tail + (self.head - self.tail) * way_C
        return self.head + (self.head - self.tail) * (1.5 * pi + way_C * pi / 2).sin()

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the mean over the batch."""
        share_B = self.smoothing(counts_C).to(logits_BC.dtype)[labels_B]
        own_B = F.cross_entropy(logits_BC, labels_B, reduction="none")
        all_B = -logits_BC.log_softmax(1).mean(1)
        if self.variant == "paper":
            classes = logits_BC.shape[1]
            all_B = (classes * all_B - own_B) / (classes - 1)
        return ((1 - share_B) * own_B + share_B * all_B).mean()
