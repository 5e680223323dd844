"""Random oversampling: examples of the smaller classes are repeated.

Source: Buda, Maki and Mazurowski 2018, "Methods of addressing imbalance" (random minority oversampling).
Shapes: positions (M,), M >= N.
Units: `ratio` is largest class / smallest class after sampling.
Raises: nothing.
Differs from the source: copies within a class differ by at most one (whole copies, and a remainder drawn without
replacement), and are the same in every epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Repeat examples until every class has its target count."""

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
        """Return max(n_c, ceil(n_max / ratio)) positions of each class that has examples, shuffled."""
        repeated_M = _classwise.same_every_epoch(labels_N, self, fixed, lambda: self._repeated(labels_N, fixed))
        return _classwise.shuffled(repeated_M, shuffle)

    def _repeated(self, labels_N: torch.Tensor, fixed: torch.Generator) -> torch.Tensor:
        counts_C = labels_N.bincount()
        targets_C = counts_C.clamp(min=ceil(int(counts_C.max()) / self.ratio))
        positions_N, rank_N = _classwise.ranked(labels_N, fixed)
        count_N, target_N = (of_C.repeat_interleave(counts_C) for of_C in (counts_C, targets_C))
        copies_N = target_N // count_N + (rank_N < target_N % count_N)
        return positions_N.repeat_interleave(copies_N)
