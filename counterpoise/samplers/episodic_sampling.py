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

from counterpoise.samplers import _classwise

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
        import torch

        counts_C = labels_N.bincount()
        present = int((counts_C > 0).sum())
        episodes = max(1, len(labels_N) // self.multiple)
        turns = -(-self.ways // present)
        order_ETP = torch.rand(episodes, turns, present, generator=shuffle, dtype=torch.float64).argsort(2)
        class_W = (counts_C > 0).nonzero()[:, 0][order_ETP.flatten(1)[:, : self.ways].flatten()]
        blocks, starts_C = self._blocks(labels_N, class_W.bincount(minlength=len(counts_C)), shuffle)
        return blocks[starts_C[class_W] + _occurrence(class_W)].flatten()

    def _blocks(
        self, labels_N: torch.Tensor, needed_C: torch.Tensor, shuffle: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return at least `needed_C` blocks of each class, class after class, and where each class begins.

        A class is laid out in rounds: one pass through its examples for several blocks, or several for one block.
        """
        import torch

        counts_C = labels_N.bincount()
        passes_C = -(-self.shots // counts_C.clamp(min=1))
        blocks_C = (counts_C // self.shots).clamp(min=1)  # of a round
        rounds_C = -(-needed_C // blocks_C)
        by_class_N = labels_N.argsort(stable=True)
        first_C = counts_C.cumsum(0) - counts_C

        class_P = torch.arange(len(counts_C)).repeat_interleave(rounds_C * passes_C)
        pass_P = _occurrence(class_P) % passes_C[class_P]
        pass_S = torch.arange(len(class_P)).repeat_interleave(counts_C[class_P])
        slot_S, class_S = _occurrence(pass_S), class_P[pass_S]
        mixed_S = _classwise.shuffled(torch.arange(len(pass_S)), shuffle)
        mixed_S = mixed_S[pass_S[mixed_S].argsort(stable=True)]  # passes in order, examples of each at random
        positions_S = by_class_N[first_C[class_S] + slot_S[mixed_S]]
        kept_S = pass_P[pass_S] * counts_C[class_S] + slot_S < blocks_C[class_S] * self.shots
        made_C = rounds_C * blocks_C
        return positions_S[kept_S].view(-1, self.shots), made_C.cumsum(0) - made_C


def _occurrence(groups_S: torch.Tensor) -> torch.Tensor:
    """Return how many equal values stand before each value."""
    import torch

    order_S, counts = groups_S.argsort(stable=True), groups_S.bincount()
    starts = counts.cumsum(0) - counts
    before_S = torch.empty_like(groups_S)
    before_S[order_S] = torch.arange(len(groups_S)) - starts[groups_S[order_S]]
    return before_S
