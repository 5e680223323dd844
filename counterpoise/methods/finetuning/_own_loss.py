"""What a strategy that brings its own loss has to refuse, so that nothing in a configuration is silently ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from counterpoise import registry
from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


def check(name: str, phase: Phase) -> None:
    """Raise UserError if the phase asks for a loss, mixing, ensemble or task, which the strategy would not use."""
    if not isinstance(phase.loss, registry.method("losses", "cross_entropy")):
        raise UserError(f"{name} brings its own loss: leave `loss` at cross_entropy")
    if hasattr(phase.mixing, "mix") or phase.ensemble is not None:
        raise UserError(f"{name} makes its own batches: leave `mixing` and `ensemble` at none")
    if hasattr(phase.task, "unlabelled_ratio"):
        raise UserError(f"{name} has a task of its own: leave `semi_supervised` at none")
