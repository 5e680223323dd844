"""Cross-entropy of each example divided by its influence on the head, after a first phase of plain cross-entropy.

Source: Park, Lim, Jeon and Choi 2021; github.com/pseulki/IB-Loss, losses.py, `IBLoss`: alpha / (|p - y|_1 |h|_1
+ 0.001) times the class weight, with the gradient through all of it, and no division by the weights.
Shapes: logits_BC, labels_B, counts_C, features_BD, class_weights_C or None, progress -> scalar.
Units: nats, multiplied by alpha; features as the encoder gives them.
Raises: nothing; a class without examples has weight 0.
Differs from the source: nothing in the loss. The code lowers the learning rate to a hundredth when influence comes
in, which is a schedule's matter. IB + CB is `reweight: none` with class weights from a strategy; IB + focal is
not here. alpha only restores the size of the loss (issue 1), so it acts as a learning rate.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Gt, Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Influence-balanced loss."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C", "features_BD", "progress")
    alpha: Annotated[float, Gt(0)] = 1000.0
    """What the inverse influence is multiplied by."""
    reweight: Literal["inverse", "none"] = "inverse"
    """Class weights of the loss's own: 1 / n, summing to the number of classes, or none."""
    start: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Share of the phase that is plain cross-entropy first, without weights; epoch 100 of 200 in the code."""

    def weights(self, counts_C: Tensor) -> Tensor:
        """Return the weight of each class; 0 for a class without examples."""
        present = counts_C > 0
        inverse_C = torch.where(present, 1 / counts_C, 0.0)
        return inverse_C / inverse_C.sum() * present.sum() if self.reweight == "inverse" else present.to(counts_C.dtype)

    def __call__(
        self,
        logits_BC: Tensor,
        labels_B: Tensor,
        counts_C: Tensor,
        features_BD: Tensor,
        class_weights_C: Tensor | None = None,
        progress: float = 1.0,
    ) -> Tensor:
        """Return the mean over the examples."""
        if progress < self.start:
            return F.cross_entropy(logits_BC, labels_B)
        weights_C = self.weights(counts_C.double()) * (1 if class_weights_C is None else class_weights_C)
        own_BC = labels_B[:, None] == torch.arange(logits_BC.shape[1], device=labels_B.device)
        distance_B = (logits_BC.softmax(1) - own_BC.to(logits_BC.dtype)).abs().sum(1)
        influence_B = distance_B * features_BD.abs().sum(1)
        loss_B = F.cross_entropy(logits_BC, labels_B, weight=weights_C.to(logits_BC.dtype), reduction="none")
        return (self.alpha / (influence_B + 1e-3) * loss_B).mean()
