"""Square-root sampling: a class with probability proportional to the square root of its count.

Source: Kang et al. 2020, "Decoupling representation and classifier", "Sampling strategies", p_j ~ n_j^q with
q = 1/2; after Mahajan et al. 2018.
Shapes: positions (N,).
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """The probability of a class grows with the square root of its count."""

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
        """Return N positions; p_c is proportional to sqrt(n_c)."""
        return _classwise.with_replacement(labels_N, _classwise.by_class(labels_N).counts_C.double().sqrt(), shuffle)
