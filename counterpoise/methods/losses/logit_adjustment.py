"""Cross-entropy after adding tau times the log-prior to each logit, so that rare classes need a larger margin.

Source: Menon, Jayasumana, Rawat, Jain, Veit and Kumar 2021, equation 10;
github.com/google-research/google-research, logit_adjustment/utils.py, `build_loss_fn`.
Shapes: logits_BC, labels_B, counts_C -> scalar.
Units: tau is a pure number; nats.
Raises: nothing; a class without examples has no part in the softmax, the limit of its prior -> 0.
Differs from the source: the code adds log(prior^tau + 1e-12), which is the paper's tau log prior for any prior^tau
far above 1e-12; where it is not, and for a class without examples, `variant` says which. Logits are predicted
with as they are. The correction of a trained network is the rebalancing of the same name.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Logit-adjusted softmax cross-entropy."""

    version: ClassVar[int] = 1
    tau: Annotated[float, Ge(0)] = 1.0
    """Strength; 1 is consistent for the balanced error, 0 is cross-entropy."""
    variant: Literal["paper", "official_code"] = "paper"
    """Whether 1e-12 is added to prior^tau (code) or not."""

    def shifts(self, counts_C: Tensor) -> Tensor:
        """Return what is added to the logits of each class."""
        prior_C = counts_C.double() / counts_C.sum()
        if self.variant == "official_code":
            return (prior_C**self.tau + 1e-12).log()
        return torch.xlogy(self.tau, prior_C)  # 0 at tau = 0, whatever the prior

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(logits_BC + self.shifts(counts_C).to(logits_BC.dtype), labels_B)
