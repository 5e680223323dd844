"""What a strategy that brings its own loss has to refuse, so that nothing in a configuration is silently ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from counterpoise.errors import UserError

if TYPE_CHECKING:
    from counterpoise.train import Phase


def check(name: str, phase: Phase) -> None:
    """Raise UserError if the phase asks for a loss, mixing or ensemble, which the strategy would not use."""
    from counterpoise.losses import cross_entropy

    if not isinstance(phase.loss, cross_entropy.Method):
        raise UserError(f"{name} brings its own loss: leave `loss` at cross_entropy")
    if hasattr(phase.mixing, "mix") or phase.ensemble is not None:
        raise UserError(f"{name} makes its own batches: leave `mixing` and `ensemble` at none")
