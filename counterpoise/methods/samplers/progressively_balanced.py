"""Progressively balanced sampling: from instance-balanced at the start to class-balanced at the end.

Source: Kang et al. 2020, "Decoupling representation and classifier", "Sampling strategies", last formula;
github.com/facebookresearch/classifier-balancing, data/MixedPrioritizedSampler.py (cycle 0).
Shapes: positions (N,).
Units: none.
Raises: nothing.
Differs from the source: nothing. Paper and code differ in the share of class-balanced sampling at epoch t of T:
t / T in the paper, t / (T - 1) in the code, which therefore ends at full balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Mix both probabilities linearly in time."""

    version: ClassVar[int] = 1

    variant: Literal["paper", "official_code"] = "paper"
    """Whose share of class-balanced sampling: t / T or t / (T - 1)."""

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return N positions; p_c = (1 - share) n_c / N + share / C, with C the classes that occur."""
        last = epochs if self.variant == "paper" else epochs - 1
        share = min(epoch / last, 1.0) if last > 0 else 0.0
        counts_C = _classwise.by_class(labels_N).counts_C.double()
        occurs_C = (counts_C > 0).double()
        weights_C = (1 - share) * counts_C / counts_C.sum() + share * occurs_C / occurs_C.sum()
        return _classwise.with_replacement(labels_N, weights_C, shuffle)
