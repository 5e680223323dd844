"""Cross-entropy, plus two terms that draw features to learned class centres and the centres apart from each other.

Source: Liu et al. 2023 (Inducing Neural Collapse in Deep Long-tailed Learning); github.com/Pepper-lll/NCinDLT,
`losses.py` (NC1Loss, NC2Loss, zero_center) and `engine.py`. NC1: the mean squared distance of a class's features to
its centre, averaged over all C classes. NC2: minus the mean over classes of the angle from a centre to its nearest
other, seen from the mean centre. Third: the squared norm of the mean centre.
Shapes: logits_BC, labels_B, counts_C, features_BD, extra (centres, C x D), class_weights_C -> scalar.
Units: nats, squared features and radians, by their weights.
Raises: nothing; a class that is not in the batch has no NC1 term, and still counts in its average.
Differs from the source: the code steps the centres by plain SGD at a constant rate, `alpha` = .5 beside .1 for the
network, after dividing their gradient by lambda1. Here they share the network's optimiser and schedule, at
centre_lr / lambda1 times its rate: with momentum .9 the default moves them as far.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F


class Centres(nn.Module):
    """One learned point of feature space for each class."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(classes, features))


def within(features_BD: Tensor, labels_B: Tensor, means_CD: Tensor) -> Tensor:
    """Return NC1, the average over classes of the mean squared distance to the centre."""
    one_hot_BC = (labels_B[:, None] == torch.arange(len(means_CD), device=labels_B.device)).to(features_BD.dtype)
    distance_B = (features_BD - means_CD[labels_B]).square().sum(1)
    return ((distance_B @ one_hot_BC) / one_hot_BC.sum(0).clamp(min=1)).mean()


def between(means_CD: Tensor) -> Tensor:
    """Return NC2, minus the average over classes of the smallest angle to another centre, in radians."""
    directions_CD = F.normalize(means_CD - means_CD.mean(0), dim=1)
    cosine_CC = directions_CD @ directions_CD.T
    cosine_CC = cosine_CC - 2 * torch.diag(cosine_CC.diagonal())
    return -torch.acos(cosine_CC.max(1).values.clamp(-0.99999, 0.99999)).mean()


@dataclass(frozen=True)
class Method:
    """Regularise towards neural collapse."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C", "features_BD", "extra")
    lambda1: Annotated[float, Gt(0)] = 0.01
    """Weight of NC1."""
    lambda2: Annotated[float, Ge(0)] = 0.1
    """Weight of NC2."""
    lambda3: Annotated[float, Ge(0)] = 0.0
    """Weight of the squared norm of the mean centre."""
    centre_lr: Annotated[float, Gt(0)] = 0.5
    """Learning rate of the centres for NC1 with weight 1, as a multiple of the network's."""
    base: Literal["cross_entropy", "balanced_softmax"] = "cross_entropy"
    """What is regularised; balanced_softmax adds the log prior to the logits, the code's `logit_adj_train`."""

    @property
    def extra_lr(self) -> float:
        """Return the learning rate of the centres as a multiple of the network's."""
        return self.centre_lr / self.lambda1

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the centres."""
        return Centres(features, classes)

    def __call__(
        self,
        logits_BC: Tensor,
        labels_B: Tensor,
        counts_C: Tensor,
        *,
        features_BD: Tensor,
        extra: Centres,
        class_weights_C: Tensor | None = None,
    ) -> Tensor:
        """Return the criterion plus the weighted terms."""
        if self.base == "balanced_softmax":
            prior_C = counts_C.to(logits_BC.dtype) / counts_C.sum()
            logits_BC = logits_BC + prior_C.log()
        weights_C = None if class_weights_C is None else class_weights_C.to(logits_BC.dtype)
        means_CD = extra.means
        regular = self.lambda1 * within(features_BD, labels_B, means_CD) + self.lambda2 * between(means_CD)
        regular = regular + self.lambda3 * means_CD.mean(0).square().sum()
        return F.cross_entropy(logits_BC, labels_B, weight=weights_C) + regular
