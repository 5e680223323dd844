"""Random undersampling: examples of the larger classes are left out.

Source: Buda, Maki and Mazurowski 2018, "Methods of addressing imbalance" (random majority undersampling).
Shapes: positions (M,), M <= N.
Units: `ratio` is largest class / smallest class after sampling.
Raises: nothing.
Differs from the source: the examples kept are the same in every epoch, and those kept at a lower ratio are among
those kept at a higher one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Leave out examples until every class has its target count."""

    version: ClassVar[int] = 1

    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return min(n_c, floor(ratio * n_min)) examples of each class (n_min over classes that have any), shuffled."""
        kept_M = _classwise.same_every_epoch(labels_N, self, fixed, lambda: self._kept(labels_N, fixed))
        return _classwise.shuffled(kept_M, shuffle)

    def _kept(self, labels_N: torch.Tensor, fixed: torch.Generator) -> torch.Tensor:
        counts_C = labels_N.bincount()
        targets_C = counts_C.clamp(max=floor(self.ratio * int(counts_C[counts_C > 0].min())))
        positions_N, rank_N = _classwise.ranked(labels_N, fixed)
        return positions_N[rank_N < targets_C.repeat_interleave(counts_C)]
