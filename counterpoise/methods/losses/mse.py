"""Squared error of the target, the baseline of a regression.

Source: the standard criterion.
Shapes: outputs_B1, target_B -> scalar.
Units: squared standard deviations of the training targets.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Mean squared error."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("target_B",)

    def outputs(self, classes: int) -> int:
        """Return how many outputs the head has: the value."""
        return 1

    def __call__(self, outputs_BK: Tensor, labels_B: Tensor, counts_C: Tensor, target_B: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.mse_loss(outputs_BK[:, 0], target_B)
