"""Squared error of the target, plus the cross-entropy of its bin from outputs that prediction leaves out.

Source: Pintea, Lin, Dijkstra and van Gemert 2023; github.com/SilviaLauraPintea/reg-cls, 1d/model.py, `Reg_Cls.loss`,
and 1d/data.py: bins of equal width over the training targets, on a linear layer beside that of the value.
Shapes: outputs_BK with K = 1 + C, the value first; labels_B, target_B -> scalar.
Units: squared standard deviations of the training targets, plus nats by `weight`.
Raises: nothing.
Differs from the source: nothing in the loss. `weight` is on the cross-entropy in the paper's sum and on the squared
error in the code, where it is 100 to 10,000 for targets that are not standardised, and 0 means no cross-entropy. The
code's option to equalise classes (equalize_segments: other bins, and examples of frequent ones left out) is not here.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Regression and classification of the same target."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("target_B",)
    weight: Annotated[float, Ge(0)] = 1.0
    """Of the cross-entropy (paper), or of the squared error (code)."""
    variant: Literal["paper", "official_code"] = "paper"
    """Which of the two terms is weighted."""

    def outputs(self, classes: int) -> int:
        """Return how many outputs the head has: the value, and a logit for each bin."""
        return 1 + classes

    def __call__(self, outputs_BK: Tensor, labels_B: Tensor, counts_C: Tensor, target_B: Tensor) -> Tensor:
        """Return the mean over the batch."""
        error = F.mse_loss(outputs_BK[:, 0], target_B)
        bins = F.cross_entropy(outputs_BK[:, 1:], labels_B)
        if self.variant == "paper":
            return error + self.weight * bins
        return self.weight * error + bins if self.weight else error
