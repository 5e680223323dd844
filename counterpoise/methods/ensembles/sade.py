"""Three experts for three test distributions: softmax, balanced softmax and inverse softmax.

Source: Zhang, Hooi, Hong and Feng 2022, "Self-supervised aggregation of diverse experts for test-agnostic long-tailed
recognition"; github.com/Vanint/SADE-AgnosticLT, model/loss.py, `DiverseExpertLoss`: to the logits of the second expert
log p is added, to those of the third log p - tau log q, q the priors p in reversed order of rank. The mean is what
is predicted before `sade_aggregation` learns weights of the experts from the test part.
Shapes: outputs_BEC, features_BED, labels_B, counts_C -> scalar; logits_BEC -> logits_BC.
Units: nats, summed over the experts.
Raises: UserError in planning, for another `scale` than the loss's. 1e-9 is added to priors, as in the code, so a class
without examples has a finite logarithm.
Differs from the source: equal counts are ranked in the order of the classes (unspecified there, and it matters where
as many classes tie as do not at the other end). The code's cosine classifier with scale 30 is the head `cosine`,
the loss `ldam` with `max_margin` 0, and `scale` 30 here; with cross_entropy the head is linear.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from counterpoise.methods.ensembles import _scale

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


def reversed_prior(prior_C: Tensor) -> Tensor:
    """Return the priors with the largest given to the class of the smallest, and so on."""
    ascending_C, order_C = prior_C.sort(stable=True)
    return ascending_C.flip(0)[order_C.argsort()]


@dataclass(frozen=True)
class Method:
    """Skill-diverse experts."""

    version: ClassVar[int] = 1
    experts: ClassVar[int] = 3
    keeps_experts: ClassVar[bool] = True
    tau: Annotated[float, Ge(0)] = 2.0
    """How far the third expert is turned to the tail (the source: 2; 1 for Places-LT and iNaturalist)."""
    scale: Annotated[float, Gt(0)] = 1.0
    """What the phase's loss multiplies the head's outputs by to make logits: 30 for ldam on a cosine head."""

    def check(self, phase: "Phase") -> None:
        """Raise UserError unless `scale` is that of the loss."""
        _scale.check("sade", self.scale, phase)

    def shifts(self, counts_C: Tensor) -> Tensor:
        """Return what is added to the logits of each expert, E x C."""
        prior_C = counts_C / counts_C.sum()
        log_p_C, log_q_C = (prior_C + 1e-9).log(), (reversed_prior(prior_C) + 1e-9).log()
        return torch.stack([torch.zeros_like(log_p_C), log_p_C, log_p_C - self.tau * log_q_C])

    def loss(
        self,
        outputs_BEC: Tensor,
        features_BED: Tensor,
        labels_B: Tensor,
        counts_C: Tensor,
        criterion: Callable[[Tensor, Tensor], Tensor],
        *,
        progress: float,
    ) -> Tensor:
        """Return the sum of the three losses: the phase's, at shifted logits."""
        shifted_BEC = outputs_BEC + self.shifts(counts_C.double()).to(outputs_BEC.dtype) / self.scale
        pairs = zip(shifted_BEC.unbind(1), features_BED.unbind(1), strict=True)
        return torch.stack([criterion(outputs_BC, features_BD) for outputs_BC, features_BD in pairs]).sum()

    def combine(self, logits_BEC: Tensor) -> Tensor:
        """Return the mean of the experts' logits."""
        return logits_BEC.mean(1)
