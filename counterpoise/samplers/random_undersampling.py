"""Random undersampling: examples of the larger classes are left out.

Source: Buda, Maki and Mazurowski 2018, "Methods of addressing imbalance" (random majority undersampling).
Shapes: positions (M,), M <= N.
Units: none.
Raises: nothing.
Differs from the source: `balance` below 1 lowers class c only to round(n_c^(1-balance) * n_min^balance). The
examples kept are the same in every epoch, and those kept at a higher balance are among those kept at a lower one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Interval

from counterpoise.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """Leave out examples until every class has its target count."""

    version: ClassVar[int] = 1

    balance: Annotated[float, Interval(ge=0, le=1)] = 1.0
    """Level of balance reached, on a logarithmic scale: 0 leaves the data as it is, 1 makes all classes equal."""

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return n_c' examples of each class, where n_c' = round(n_c^(1-balance) * n_min^balance), shuffled."""
        counts_C = labels_N.bincount()
        targets_C = _classwise.interpolated(counts_C, counts_C[counts_C > 0].min(), self.balance)
        positions_N, rank_N = _classwise.ranked(labels_N, fixed)
        return _classwise.shuffled(positions_N[rank_N < targets_C[labels_N[positions_N]]], shuffle)
