"""Tau-normalisation: each class's weight vector is divided by its norm to the power tau.

Source: Kang et al. 2020, "Decoupling representation and classifier", section 4;
github.com/facebookresearch/classifier-balancing, tau_norm.py (the bias is dropped);
github.com/zhangyongshun/BagofTricks-LT, lib/net/network.py (the bias is kept).
Shapes: logits_BC, norm_C and bias_C of the head -> Scores of shape BC.
Units: tau is a pure number: 0 changes nothing, 1 makes all norms 1.
Raises: ImpossibleCell where the head is not one linear layer.
Differs from the source: it works on logits, since (w x + b - b) / |w|^tau is the rescaled weight's product with x. The
official code sweeps tau from 0 to 2 and reports the best on the test part; here tau is an option. A weight vector of
norm 0 gives the logit 0.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Evidence, Rule, score


@dataclass(frozen=True)
class Method:
    """Tau-normalisation of a linear head."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    tau: Annotated[float, Ge(0)] = 1.0
    """Exponent of the norm."""
    keep_bias: bool = False
    """Whether the bias stays, unscaled; the source drops it."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that rescales what the weights contribute to the logits."""
        norm_C, bias_C = evidence.head_norm_C, evidence.head_bias_C
        if norm_C is None or bias_C is None:
            raise ImpossibleCell("tau_norm rescales the weights of a linear head, and this network's is another")
        factor_C, kept_C = factor(norm_C, self.tau), bias_C if self.keep_bias else torch.zeros_like(bias_C)
        return lambda logits_BC: score((logits_BC - bias_C) * factor_C + kept_C)


def factor(norm_C: Tensor, tau: float) -> Tensor:
    """Return norm_C ** -tau, and 0 for a norm of 0."""
    return torch.where(norm_C > 0, norm_C**-tau, 0.0)


def rescaled(weight_CD: Tensor, bias_C: Tensor, tau: float, keep_bias: bool = False) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of the linear head that gives the corrected logits."""
    return weight_CD * factor(weight_CD.norm(dim=1), tau)[:, None], bias_C if keep_bias else torch.zeros_like(bias_C)
