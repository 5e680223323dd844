"""Supervised training of every expert's whole network on a corpus of its own, which fine-tuning does not see.

Source: Chen, Qin, Li, Chen and Su 2025, "Rethinking the bias of foundation model under long-tailed distribution": the
foundation models that its backdoor adjustment adds up were pretrained apart.
Shapes: images_BCHW, labels_B -> logits_BC of each expert, on its own rows: row i is for expert i modulo E, as the
sampler `skewed_corpora` lays them out.
Units: the criterion's, summed over the experts.
Raises: UserError for mixing, which would carry images from one corpus to another.
Differs from the source: classifiers of a few thousand images stand in for CLIP. The pool of all corpora is the part
`unlabelled`, here with its labels. For experts without shared layers give the model `shared: 0`. One network (no
ensemble) learns from all rows.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Tensor

from counterpoise.errors import UserError
from counterpoise.registry import build
from counterpoise.training.network import Experts, Heads, Net

if TYPE_CHECKING:
    from counterpoise.training.phases import Step


@dataclass(frozen=True)
class Method:
    """Learn the labels, each expert by itself."""

    version: ClassVar[int] = 1
    quicker: ClassVar[tuple[str, ...]] = ()  # calls the encoder's branches
    transfers_head: ClassVar[bool] = True
    reads: ClassVar[str] = "unlabelled"

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sum of the experts' criteria, each on its own rows, and the number of right answers."""
        if hasattr(step.phase.mixing, "mix"):
            raise UserError("separate_corpora keeps the corpora apart: leave `mixing` at none")
        encoder, supervised = step.net.encoder, build("pretraining", {"name": "supervised"})
        if not isinstance(encoder, Experts):
            return supervised.objective(step, rows)
        heads, losses, hits = cast(Heads, step.net.head).heads, [], []
        rows_B = torch.arange(len(step.labels_B)) if rows is None else rows
        for e, branch in enumerate(encoder.branches):
            mine = rows_B[rows_B % len(heads) == e]
            if len(mine):
                alone = Net(branch, heads[e], step.net.features, step.net.classes)
                alone.extra = step.net.extra
                seen = replace(step, net=alone, phase=replace(step.phase, ensemble=None))
                loss, right = supervised.criterion(
                    seen, branch(encoder.trunk(step.inputs_B[mine])), step.labels_B[mine]
                )
                losses.append(loss)
                hits.append(right)
        return torch.stack(losses).sum(), torch.stack(hits).sum()
