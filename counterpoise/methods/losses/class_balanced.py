"""Weights each class by the inverse of its effective number of examples, (1 - beta) / (1 - beta^n).

Source: Cui, Jia, Lin, Song and Belongie 2019; github.com/richardaecn/class-balanced-loss, src/cifar_main.py.
Shapes: logits_BC, labels_B, counts_C -> scalar.
Units: nats.
Raises: nothing; a class without examples has weight 0, and the weights sum to the number of the others.
Differs from the source: the initial bias of the head, -log(C - 1) for `sigmoid` and `focal`, and its freedom from
weight decay are no matter of the loss and are left out. Ports differ: LDAM-DRW and BagofTricks-LT divide the
softmax loss by the sum of the weights in the batch (`divide_by: weights`) where the authors divide by the
examples; vandit15's Class-balanced-loss-pytorch takes a binary cross-entropy of the softmax for `softmax` and
divides it by B C, which is another loss, and its `sigmoid` does not run (a misspelt argument).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Class-balanced loss."""

    version: ClassVar[int] = 1
    beta: Annotated[float, Interval(ge=0, lt=1)] = 0.9999
    """How slowly examples of a class become redundant; 0 weights all classes alike, towards 1 it is 1 / n."""
    base: Literal["softmax", "sigmoid", "focal"] = "softmax"
    """What is weighted: softmax cross-entropy, one sigmoid for each class, or that with the focal factor."""
    gamma: Annotated[float, Ge(0)] = 0.5
    """Focus of `focal`, else unused; the authors tried 0.5, 1 and 2."""
    divide_by: Literal["examples", "weights"] = "examples"
    """What the sum over the batch is divided by: its examples (authors) or their weights (LDAM-DRW)."""

    def weights(self, counts_C: Tensor) -> Tensor:
        """Return the weight of each class; 0 for a class without examples."""
        present = counts_C > 0
        volume_C = 1 - self.beta ** counts_C.double()  # float32 leaves 3 digits of 1 - 0.9999
        inverse_C = torch.where(present, 1 / volume_C, 0.0)
        return (inverse_C / inverse_C.sum() * present.sum()).to(counts_C.dtype)

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the weighted mean over the batch."""
        if self.base == "softmax":
            loss_B = F.cross_entropy(logits_BC, labels_B, reduction="none")
        else:
            own_BC = labels_B[:, None] == torch.arange(logits_BC.shape[1], device=labels_B.device)
            toward_BC = torch.where(own_BC, logits_BC, -logits_BC)
            gamma = self.gamma if self.base == "focal" else 0.0
            loss_B = -(F.logsigmoid(toward_BC) * (gamma * F.logsigmoid(-toward_BC)).exp()).sum(1)
        weight_B = self.weights(counts_C.double()).to(logits_BC.dtype)[labels_B]
        total = (weight_B * loss_B).sum()
        return total / (len(labels_B) if self.divide_by == "examples" else weight_B.sum())
