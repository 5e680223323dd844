"""Batches that hold an example of every part of the range, the rarest targets always among them.

Source: Moukpe, Chan and Zhang 2025 (CISIR); github.com/Machine-Earning/CISIR, modules/training/ts_modeling.py,
`stratified_groups`: examples sorted by the target are cut into as many groups as a batch has places.
Shapes: positions (groups x the size of the largest group,).
Units: none.
Raises: nothing; fewer examples than groups make one group each.
Differs from the source: within an epoch a group's examples come once each, in random order, and a shorter group repeats
one. The code draws anew for each batch, and shuffles the batch in place within the array of groups, so that examples
wander between groups and its batches are the less stratified the longer training lasts; that is not imitated. Where
there are classes the examples are sorted by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """One example of each group, batch by batch."""

    version: ClassVar[int] = 1
    by_target: ClassVar[bool] = True
    groups: Annotated[int, Ge(1)] = 64
    """Parts of the range; the batch size must be a multiple, and is the same in the source."""

    @property
    def multiple(self) -> int:
        """What a batch must hold a multiple of."""
        return self.groups

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return positions of which every `groups` in a row hold one of each group, in random order."""
        import torch

        parts = labels_N.argsort(stable=True).tensor_split(min(self.groups, len(labels_N)))
        longest = len(parts[0])
        drawn = [part[torch.randperm(len(part), generator=shuffle)] for part in parts]
        block_LG = torch.stack([torch.cat([part, part[:1]])[:longest] for part in drawn], dim=1)
        order_LG = torch.rand(block_LG.shape, generator=shuffle).argsort(dim=1)
        return block_LG.gather(1, order_LG).flatten()
