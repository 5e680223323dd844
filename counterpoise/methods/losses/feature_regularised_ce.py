"""Cross-entropy plus half the mean squared norm of the features.

Source: Hasegawa and Sato 2024, "Exploring weight balancing on long-tailed recognition problem";
github.com/HN410/Exploring-Weight-Balancing-on-Long-Tailed-Recognition-Problem, `set_features_regularization` of
utils/regularizers.py, with .01 in jsons/Cifar10/first.json.
Shapes: logits_BC, labels_B, counts_C (unused), features_BD, class_weights_C or None -> scalar.
Units: nats, and squared features by their weight.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Cross-entropy with small features."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C", "features_BD")
    strength: Annotated[float, Ge(0)] = 0.01
    """Weight of half the mean squared norm of the features."""

    def __call__(
        self,
        logits_BC: Tensor,
        labels_B: Tensor,
        counts_C: Tensor,
        features_BD: Tensor,
        class_weights_C: Tensor | None = None,
    ) -> Tensor:
        """Return the mean over the batch; class weights do not weigh the features."""
        weights_C = None if class_weights_C is None else class_weights_C.to(logits_BC.dtype)
        loss = F.cross_entropy(logits_BC, labels_B, weight=weights_C)
        return loss + self.strength * features_BD.square().sum(1).mean() / 2
