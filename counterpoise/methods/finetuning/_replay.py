"""Small samples of the training part that the larger, or the smaller, half of the classes dominates.

Legend: N training examples, C classes.
"""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor


def head_classes(counts_C: Tensor, share: float) -> Tensor:
    """Return whether each class is one of the largest; `share` is of the classes that have examples, rounded up."""
    size = ceil(share * int((counts_C > 0).sum()))
    of_head_C = torch.zeros_like(counts_C, dtype=torch.bool)
    of_head_C[counts_C.argsort(descending=True, stable=True)[:size]] = True
    return of_head_C


def caps(counts_C: Tensor, share: float, ratio: float, head: bool) -> Tensor:
    """Return the most examples of each class, so that the chosen half dominates and the rest decays smoothly.

    With m the count of the smallest head class: ratio * m of a head and m / ratio of a tail class; or all of a tail
    class, and of a head class the mean count of the tail over `ratio`, at least 1.
    """
    of_head_C, counts_C = head_classes(counts_C, share), counts_C.double()
    if head:
        smallest = counts_C[of_head_C].min()
        return torch.where(of_head_C, ratio * smallest, smallest / ratio).ceil()
    tail_C = counts_C[~of_head_C & (counts_C > 0)]
    few = (tail_C.mean() / ratio).ceil() if len(tail_C) else counts_C.max()
    return torch.where(of_head_C, few, counts_C)


@dataclass(frozen=True)
class Replay:
    """A sampler: the same examples in every epoch, in another order."""

    share: float
    ratio: float
    head: bool

    def draw(
        self, labels_N: Tensor, *, epoch: int, epochs: float, fixed: torch.Generator, shuffle: torch.Generator
    ) -> Tensor:
        """Return positions of up to `caps` examples of each class, shuffled."""
        counts_C = labels_N.bincount()
        positions_N = torch.randperm(len(labels_N), generator=fixed)
        positions_N = positions_N[labels_N[positions_N].argsort(stable=True)]
        class_N, starts_C = labels_N[positions_N], counts_C.cumsum(0) - counts_C
        rank_N = torch.arange(len(labels_N)) - starts_C[class_N]
        kept = positions_N[rank_N < caps(counts_C, self.share, self.ratio, self.head)[class_N]]
        return kept[torch.randperm(len(kept), generator=shuffle)]
