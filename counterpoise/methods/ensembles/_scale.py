"""What ensembles share that read logits where the loss is given outputs: both must scale them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


def check(name: str, scale: float, phase: Phase) -> None:
    """Raise UserError unless `scale` is what the phase's loss multiplies the head's outputs by to make logits."""
    scores = getattr(phase.loss, "scores", None)
    factor = float(scores(torch.ones(1))) if scores else 1.0
    if scale != factor:
        loss = type(phase.loss).__module__.rpartition(".")[2]
        raise UserError(f"{name} has `scale` {scale:g} and loss {loss} has {factor:g}: write scale: {factor:g}")
