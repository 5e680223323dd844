"""Cross-entropy with targets that give the share epsilon to all classes alike and the rest to the label.

Source: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna 2016, section 7: (1 - epsilon) onehot + epsilon / C.
Shapes: logits_BC, labels_B, counts_C (unused) -> scalar.
Units: nats.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Label smoothing."""

    version: ClassVar[int] = 1
    epsilon: Annotated[float, Interval(ge=0, le=1)] = 0.1
    """Share of the target that all classes divide among them."""

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(logits_BC, labels_B, label_smoothing=self.epsilon)
