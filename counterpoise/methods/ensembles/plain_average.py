"""Experts that each learn the phase's loss by themselves, averaged: the control of RIDE and SADE at equal parameters.

Source: none; it is the ensemble of both without what sets its members apart, beside their initialisation.
Shapes: outputs_BEC, features_BED -> scalar; logits_BEC -> logits_BC.
Units: the criterion's, summed over the experts.
Raises: nothing.
Differs from the source: nothing. The sum gives each expert's own layers the gradient that they would have alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor


@dataclass(frozen=True)
class Method:
    """A plain ensemble on shared early layers."""

    version: ClassVar[int] = 1
    experts: Annotated[int, Ge(2)] = 3
    """How many late parts and heads there are."""
    keeps_experts: bool = False
    """Keep what each expert says of the test part, for a correction that reads it (backdoor_adjustment)."""

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
        """Return the sum of the experts' losses."""
        pairs = zip(outputs_BEC.unbind(1), features_BED.unbind(1), strict=True)
        return torch.stack([criterion(outputs_BC, features_BD) for outputs_BC, features_BD in pairs]).sum()

    def combine(self, logits_BEC: Tensor) -> Tensor:
        """Return the mean of the experts' logits."""
        return logits_BEC.mean(1)
