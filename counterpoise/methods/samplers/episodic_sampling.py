"""Episodes: a few classes, each with the same number of examples, one block after the other.

Source: Skylitsis, Karkalousos and Išgum 2026, "Disentangling sampling from training budget"; the N-way K-shot episodes
of Vinyals et al. 2016 and Snell et al. 2017.
Shapes: positions (E * ways * shots,), ordered by episode, then class, then shot.
Units: classes and examples.
Raises: nothing.
Differs from the source: one label for an example, where the source's images hold several tissues; its code has not
been published, so how it repeats examples is not known. Here an epoch holds as many whole episodes as the training
part has room for, and at least one; the classes of an episode are drawn without replacement, all alike. Within a block
of one class examples repeat only where it has fewer than `shots`, and then as evenly as can be; over an epoch each
class is gone through in random order, again and again. Where fewer classes than `ways` occur, they fill the ways in
turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """N-way K-shot blocks."""

    version: ClassVar[int] = 1

    ways: Annotated[int, Ge(1)] = 4
    """Classes of an episode."""
    shots: Annotated[int, Ge(1)] = 4
    """Examples of each of them."""

    @property
    def multiple(self) -> int:
        """Return the examples of an episode, of which a batch holds whole ones."""
        return self.ways * self.shots

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return the positions of whole episodes."""
        counts_C = _classwise.by_class(labels_N).counts_C
        class_W = self._classes(counts_C, max(1, len(labels_N) // self.multiple), shuffle)
        blocks, starts_C = self._blocks(labels_N, class_W.bincount(minlength=len(counts_C)), shuffle)
        return blocks.index_select(0, starts_C[class_W] + _occurrence(class_W)).flatten()

    def _classes(self, counts_C: torch.Tensor, episodes: int, shuffle: torch.Generator) -> torch.Tensor:
        """Return the classes of all episodes, one episode after the other."""
        import torch

        present_P = (counts_C > 0).nonzero()[:, 0]
        turns, used = -(-self.ways // len(present_P)), min(self.ways, len(present_P))
        parts, at_once = [], max(1, _classwise.BLOCK // (turns * len(present_P)))
        for first in range(0, episodes, at_once):
            shape = (min(at_once, episodes - first), turns, len(present_P))
            rank_ETP = torch.rand(shape, generator=shuffle, dtype=torch.float64)
            order_ETP = rank_ETP.topk(used, largest=False).indices  # the first of a random order
            parts.append(present_P[order_ETP.flatten(1)[:, : self.ways].flatten()])
        return torch.cat(parts)

    def _blocks(
        self, labels_N: torch.Tensor, needed_C: torch.Tensor, shuffle: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return at least `needed_C` blocks of each class, class after class, and where each class begins.

        A class is laid out in rounds: one pass through its examples for several blocks, or several for one block.
        """
        import torch

        by_class_N, counts_C, first_C = _classwise.by_class(labels_N)
        passes_C = -(-self.shots // counts_C.clamp(min=1))
        blocks_C = (counts_C // self.shots).clamp(min=1)  # of a round
        rounds_C = -(-needed_C // blocks_C)

        passes_of_C = rounds_C * passes_C
        class_P = torch.arange(len(counts_C)).repeat_interleave(passes_of_C)
        pass_P = _counted(passes_of_C) % passes_C[class_P]
        size_P = counts_C[class_P]
        pass_S = torch.arange(len(class_P), dtype=torch.int32).repeat_interleave(size_P)
        slot_S = _counted(size_P)
        mixed_S = _classwise.permutation(len(pass_S), shuffle)
        order_S = _classwise.grouped(pass_S.index_select(0, mixed_S)).positions_N
        mixed_S = mixed_S.index_select(0, order_S)  # passes in order, examples of each at random
        spread_S = first_C[class_P].index_select(0, pass_S) + slot_S.index_select(0, mixed_S)
        kept_S = slot_S < ((blocks_C * self.shots)[class_P] - pass_P * size_P).index_select(0, pass_S)
        positions_S = by_class_N.index_select(0, spread_S[kept_S]).long()
        made_C = rounds_C * blocks_C
        return positions_S.view(-1, self.shots), made_C.cumsum(0) - made_C


def _counted(lengths: torch.Tensor) -> torch.Tensor:
    """Return 0, 1, ... for each length, one after the other."""
    import torch

    return torch.arange(int(lengths.sum())) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)


def _occurrence(groups_S: torch.Tensor) -> torch.Tensor:
    """Return how many equal values stand before each value."""
    import torch

    order_S, counts, _ = _classwise.grouped(groups_S)
    before_S = torch.empty_like(groups_S)
    before_S[order_S] = _counted(counts)
    return before_S
