"""Class-balanced sampling: a class uniformly, then one of its examples uniformly, with replacement.

Source: Kang et al. 2020, "Decoupling representation and classifier", "Sampling strategies", p_j ~ n_j^q with q = 0.
Shapes: positions (N,).
Units: none.
Raises: nothing.
Differs from the source: examples are drawn independently; the official ClassAwareSampler goes through each class
in turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Every class has the same probability."""

    version: ClassVar[int] = 1

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return N positions; each class that occurs has the same probability."""
        return _classwise.with_replacement(labels_N, _classwise.by_class(labels_N).counts_C > 0, shuffle)
