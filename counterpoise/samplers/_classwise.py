"""Drawing by class, without a loop over examples or classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def shuffled(positions_M: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return the positions in random order."""
    import torch

    return positions_M[torch.randperm(len(positions_M), generator=generator)]


def ranked(labels_N: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all positions grouped by class, in random order within a class, and the rank of each there (from 0)."""
    import torch

    positions_N = torch.randperm(len(labels_N), generator=generator)
    positions_N = positions_N[labels_N[positions_N].argsort(stable=True)]
    counts_C = labels_N.bincount()
    starts_C = counts_C.cumsum(0) - counts_C
    return positions_N, torch.arange(len(labels_N)) - starts_C[labels_N[positions_N]]


def with_replacement(labels_N: torch.Tensor, weights_C: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw N positions: first a class by its weight (which need not sum to 1), then one of its examples uniformly.

    `weights_C` must be 0 for a class without examples. Two steps, because one weight per example loses
    precision, and torch.multinomial takes at most 2^24 of them.
    """
    import torch

    size = len(labels_N)
    by_class_N, counts_C = labels_N.argsort(stable=True), labels_N.bincount()
    starts_C = counts_C.cumsum(0) - counts_C
    drawn_N = torch.multinomial(weights_C.double(), size, replacement=True, generator=generator)
    within_N = (torch.rand(size, generator=generator, dtype=torch.float64) * counts_C[drawn_N]).long()
    return by_class_N[starts_C[drawn_N] + within_N]
