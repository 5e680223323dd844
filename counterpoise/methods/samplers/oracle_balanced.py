"""Oracle balance: a training part of the same size, but balanced with other real examples.

Source: none; the upper control of every sampler (what balance itself is worth, free of copies and omissions).
Shapes: positions (N,); counts (C,).
Units: examples.
Raises: ImpossibleCell if a class has too few real examples.
Differs from the source: not applicable. Only the sample stage can do it, since it alone sees the unused examples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from counterpoise.errors import ImpossibleCell
from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """The same number of examples, split evenly over the classes."""

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
        """Return a permutation of all positions: the rows are balanced already."""
        return _classwise.permutation(len(labels_N), shuffle).long()

    def redraw(self, counts_C: np.ndarray, available_C: np.ndarray) -> np.ndarray:
        """Return the same total split as evenly as possible; the first classes take the remainder."""
        whole, remainder = divmod(int(counts_C.sum()), len(counts_C))
        even_C = whole + (np.arange(len(counts_C)) < remainder).astype(np.int64)
        for label in np.flatnonzero(even_C > available_C).tolist():
            raise ImpossibleCell(
                f"oracle_balanced: class {label} has {available_C[label]} examples available for training, "
                f"{even_C[label]} are needed for a balanced set of {int(counts_C.sum())}"
            )
        return even_C
