"""Every training example once an epoch, in random order.

Source: none; instance-balanced sampling, the control of every other sampler.
Shapes: positions (N,).
Units: none.
Raises: nothing.
Differs from the source: not applicable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Shuffle."""

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
        """Return a permutation of all positions."""
        return _classwise.permutation(len(labels_N), shuffle).long()
