"""The loss of labelled batches: logits, mixing and the loss's own terms."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from counterpoise.training.phases import Step


Pair = tuple[Tensor, Tensor]


def criterion(step: "Step", features_BD: Tensor, labels_B: Tensor, targets_BK: Tensor | None = None) -> Pair:
    """Return the phase's loss at features of the encoder, given whatever it asks for, and the right answers."""
    phase, loss = step.phase, step.phase.loss
    uses = getattr(loss, "uses", ())

    def of(outputs_BC: Tensor, features_BD: Tensor) -> Tensor:
        given: dict[str, Callable[[], Any]] = {
            "class_weights_C": lambda: step.class_weights_C,
            "features_BD": lambda: features_BD,
            "progress": lambda: step.progress,
            "noise": lambda: step.noise(labels_B),
            "extra": lambda: step.net.extra,
            "target_B": lambda: targets_BK[:, 0],  # type: ignore[index]
            "importance_BK": lambda: targets_BK[:, 1:],  # type: ignore[index]
        }
        return loss(outputs_BC, labels_B, step.counts_C, **{name: given[name]() for name in uses})

    outputs = step.net.head(features_BD)
    if hasattr(loss, "outputs"):  # a value is not right or wrong
        return of(outputs, features_BD), torch.zeros((), dtype=torch.int64, device=outputs.device)
    if phase.ensemble is None:
        return of(outputs, features_BD), (scores(loss, outputs).argmax(1) == labels_B).sum()
    value = phase.ensemble.loss(outputs, features_BD, labels_B, step.counts_C, of, progress=step.progress)
    return value, (phase.ensemble.combine(scores(loss, outputs)).argmax(1) == labels_B).sum()


def scores(loss: Any, outputs: Tensor) -> Tensor:
    """Return the logits of the model that a loss fits, from the head's outputs."""
    return loss.scores(outputs) if hasattr(loss, "scores") else outputs
