"""Random oversampling: examples of the smaller classes are repeated.

Source: Buda, Maki and Mazurowski 2018, "Methods of addressing imbalance" (random minority oversampling).
Shapes: positions (M,), M >= N.
Units: none.
Raises: nothing.
Differs from the source: `balance` below 1 raises class c only to round(n_c^(1-balance) * n_max^balance). Copies
within a class differ by at most one (whole copies, and a remainder drawn without replacement), and are the same
in every epoch.
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
    """Repeat examples until every class has its target count."""

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
        """Return each class n_c' times, where n_c' = round(n_c^(1-balance) * n_max^balance), shuffled."""
        counts_C = labels_N.bincount()
        targets_C = _classwise.interpolated(counts_C, counts_C.max(), self.balance)
        positions_N, rank_N = _classwise.ranked(labels_N, fixed)
        count_N, target_N = counts_C[labels_N[positions_N]], targets_C[labels_N[positions_N]]
        copies_N = target_N // count_N + (rank_N < target_N % count_N)
        return _classwise.shuffled(positions_N.repeat_interleave(copies_N), shuffle)
