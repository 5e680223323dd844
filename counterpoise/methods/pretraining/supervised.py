"""Supervised training on any sample; on a balanced one it is the first phase of two-phase training.

Source: Havaei et al. 2017 (two-phase training), as compared by Buda et al. 2018: pretrain on a balanced sample,
then fine-tune the last layer on the original data.
Shapes: images_BCHW or rows_BD, labels_B -> logits_BC.
Units: the criterion's.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from counterpoise.training.objective import Pair, criterion

if TYPE_CHECKING:
    from counterpoise.training.phases import Step


@dataclass(frozen=True)
class Method:
    """Learn the labels."""

    version: ClassVar[int] = 1
    transfers_head: ClassVar[bool] = True
    stackable: ClassVar[bool] = True
    """Seeds of one block can be trained together."""

    def objective(self, step: "Step", rows: Tensor | None = None) -> Pair:
        """Return the criterion, on all or some rows of the batch, and the number of right answers."""
        mixing = step.phase.mixing
        if hasattr(mixing, "mix"):
            return self._mixed(step, mixing, rows)
        x_B, labels_B = (step.inputs_B, step.labels_B) if rows is None else (step.inputs_B[rows], step.labels_B[rows])
        targets_BK = step.targets_BK if rows is None or step.targets_BK is None else step.targets_BK[rows]
        return criterion(step, step.net.encoder(x_B), labels_B, targets_BK)

    def criterion(self, step: "Step", features_BD: Tensor, labels_B: Tensor) -> Pair:
        """Return the phase's loss at features of the encoder and the right answers, for tasks of other kinds."""
        return criterion(step, features_BD, labels_B)

    def _mixed(self, step: "Step", mixing: Any, rows: Tensor | None) -> Pair:
        """Mix before or within the encoder; equal shares are scored together, as the criterion is a mean."""
        encoder, depth = step.net.encoder, 0
        if hasattr(mixing, "layer"):
            depth = mixing.layer(len(list(encoder.children())), step.stream("mixing-layer"))
        layers = list(encoder.children()) if depth else [encoder]  # experts have no layers in a row
        before, after = nn.Sequential(*layers[:depth]), nn.Sequential(*layers[depth:])
        own_B, labels_B = before(step.inputs_B), step.labels_B
        if step.others is None:
            order_B = torch.randperm(len(labels_B), generator=step.stream("mixing-partners")).to(labels_B.device)
            others_B, other_labels_B = own_B[order_B], labels_B[order_B]
        else:
            others_B, other_labels_B = before(step.augmented(step.others[0], "augmentation-partners")), step.others[1]
        mixed_B, share_B = mixing.mix(own_B, others_B, labels_B, other_labels_B, step.counts_C, step.stream("mixing"))
        if rows is not None:
            mixed_B, share_B, labels_B, other_labels_B = (t[rows] for t in (mixed_B, share_B, labels_B, other_labels_B))
        features_B, losses, hits = after(mixed_B), [], []
        for share in share_B.unique():
            chosen = share_B == share
            for weight, target_B in ((share, labels_B), (1 - share, other_labels_B)):
                if weight > 0:
                    loss, right = criterion(step, features_B[chosen], target_B[chosen])
                    part = weight * chosen.to(loss.dtype).mean()
                    losses.append(part * loss)
                    hits.append(weight * right)
        return torch.stack(losses).sum(), torch.stack(hits).sum()
