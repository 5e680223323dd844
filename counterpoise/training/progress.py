"""How far a run has come, and what its steps add up to: read from the device for many steps at once.

Legend: B batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class State:
    """Everything that a killed run needs in order to go on, beside the network."""

    phase: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    images: int = 0
    seconds: float = 0.0
    seen: list[int] = field(default_factory=list)
    diverged: dict[str, Any] | None = None


@dataclass(frozen=True)
class Taken:
    """A step that was taken, its tensors still where they were computed."""

    number: int
    epoch: float
    lr: float
    loss: Tensor
    hits: Tensor
    labels_B: Tensor


def read(pending: list[Taken], state: State) -> None:
    """Add steps to the sums, in order, and forget them; one whose loss is not finite ends the run.

    Here and nowhere else does the host wait for a card: for all steps since the last row at once.
    """
    losses = numbers([taken.loss for taken in pending])
    last = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    for loss, hits in zip(losses[:last], numbers([taken.hits for taken in pending])[:last], strict=True):
        state.loss_sum, state.hits = state.loss_sum + loss, state.hits + int(hits)
    if last:
        labels = torch.cat([taken.labels_B for taken in pending[:last]])
        state.images += len(labels)
        for c, n in enumerate(torch.bincount(labels, minlength=len(state.seen)).tolist()):
            state.seen[c] += n
    if last < len(pending):
        taken = pending[last]
        state.step, state.diverged = taken.number, divergence(losses[last], taken.number, taken.epoch, taken.lr)
    pending.clear()


def numbers(scalars: list[Tensor]) -> list[float]:
    """Return what scalars hold, by one transfer."""
    return torch.stack(scalars).tolist() if len(scalars) > 1 else [scalar.item() for scalar in scalars]


def divergence(loss: float, step: int, epoch: float, lr: float) -> dict[str, Any]:
    """Return how a run ended whose loss is not finite."""
    reason = f"loss {loss} at step {step}, epoch {epoch:.2f}, learning rate {lr:g}"
    return {"step": step, "epoch": epoch, "lr": lr, "reason": reason}


def row(
    state: State,
    stage: str,
    seed: int,
    number: int,
    epoch: float,
    lr: float,
    every: int,
    phase: Any,
    val: Any,
) -> dict[str, Any]:
    """Return a row of history: means over the steps since the last row."""
    since = (state.step - 1) % every + 1
    return {
        "seed": seed,
        "phase": stage.partition("-")[0] + (f"-{number}" if number else ""),
        "step": state.step,
        "epoch": round(epoch, 4),
        "loss": state.loss_sum / since,
        "accuracy": None if hasattr(phase.loss, "outputs") else state.hits / (since * phase.batch_size),
        "lr": lr,
        "val_balanced_accuracy": val,
    }
