"""Several imbalanced corpora of one pool of examples, one for each expert, whose frequent classes differ.

Source: Chen, Qin, Li, Chen and Su 2025, "Rethinking the bias of foundation model under long-tailed distribution": what
CLIP, OpenCLIP and MetaCLIP were pretrained on, each with an imbalance of its own (parameter imbalance).
Shapes: positions (E * M,); position i is for expert i modulo E.
Units: examples.
Raises: nothing.
Differs from the source: corpora are made here. The classes are put in one random order, and expert e's corpus counts
them from place e C / E on, in a circle: the first has `largest` examples, the last 1 / `factor` of that, as in the
imbalance `long_tailed`. An example of a class is in every corpus whose count reaches it. An epoch holds the longest
corpus once; the others begin again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Interval

from counterpoise.methods.samplers import _classwise

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Method:
    """One long-tailed corpus for each expert."""

    version: ClassVar[int] = 1

    experts: Annotated[int, Ge(1)] = 3
    """How many corpora there are, as many as the ensemble has experts; 1 is the first of them alone."""
    factor: Annotated[float, Interval(ge=1)] = 100.0
    """Largest count over smallest count of a corpus; 1 is balanced."""
    largest: Annotated[int, Ge(1)] | None = None
    """Examples of a corpus's largest class (fewer where there are not so many); None: of the pool's largest."""
    alike: bool = False
    """The first corpus for every expert: the control, whose experts differ by their initialisation alone."""

    @property
    def multiple(self) -> int:
        """Return the number of experts, of whose examples a batch holds equally many."""
        return self.experts

    def draw(
        self,
        labels_N: torch.Tensor,
        *,
        epoch: int,
        epochs: float,
        fixed: torch.Generator,
        shuffle: torch.Generator,
    ) -> torch.Tensor:
        """Return the corpora, each shuffled, in turns of one example for each expert."""
        import torch

        corpora = self.corpora(labels_N, fixed)
        length = max(map(len, corpora))
        turns = [[corpus[torch.randperm(len(corpus), generator=shuffle)] for _ in range(0, length, len(corpus))]
                 for corpus in corpora]  # fmt: skip
        return torch.stack([torch.cat(turn)[:length] for turn in turns], dim=1).flatten()

    def corpora(self, labels_N: torch.Tensor, fixed: torch.Generator) -> list[torch.Tensor]:
        """Return the positions of each expert's corpus."""
        import torch

        counts_C = labels_N.bincount()
        present_P = counts_C.nonzero()[:, 0]
        P, most = len(present_P), self.largest or int(counts_C.max())
        order_P = present_P[torch.randperm(P, generator=fixed)]
        positions_N, rank_N = _classwise.ranked(labels_N, fixed)
        targets_P = torch.tensor([max(1, int(most * (1 / self.factor) ** (i / max(1, P - 1)))) for i in range(P)])
        found = []
        for expert in range(self.experts):
            targets_C = torch.zeros_like(counts_C)
            targets_C[order_P.roll(0 if self.alike else -(expert * P // self.experts))] = targets_P
            found.append(positions_N[rank_N < targets_C[labels_N[positions_N]]].long())
        return found
