"""Divides all logits by one temperature, fitted by log loss on the validation part.

Source: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", section 4.2.
Shapes: logits_BC -> Scores of shape BC.
Units: the temperature is a pure number.
Raises: ImpossibleCell without a validation part.
Differs from the source: the loss is convex in 1/T, so its stationary point is found by root finding to machine
precision, where the official code stops after 50 steps of L-BFGS. Where validation is separated without an
error, or is worse than chance, there is no minimum: T then stays at the end of [0.05, 1e6].
"""

from dataclasses import dataclass
from math import exp, log
from typing import ClassVar

from torch import Tensor

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Evidence, Rule, score

_LOWEST, _HIGHEST = 0.05, 1e6


@dataclass(frozen=True)
class Method:
    """Temperature scaling."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = True

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that divides by the fitted temperature."""
        if evidence.val_logits_BC is None or evidence.val_labels_B is None:
            raise ImpossibleCell(
                "temperature_scaling is fitted on a validation part and there is none: "
                "set `validation` or `validation_fraction`, or name another `evaluate.rebalancing`"
            )
        t = temperature(evidence.val_logits_BC, evidence.val_labels_B)
        return lambda logits_BC: score(logits_BC / t)


def temperature(logits_BC: Tensor, labels_B: Tensor) -> float:
    """Return the temperature in [0.05, 1e6] with the least log loss; float64 logits."""
    from scipy.optimize import brentq

    truth_B = logits_BC.gather(1, labels_B[:, None])[:, 0]

    def slope(log_t: float) -> float:  # of the log loss in 1/T: never falls as 1/T grows
        expected_B = ((logits_BC / exp(log_t)).softmax(1) * logits_BC).sum(1)
        return float((expected_B - truth_B).mean())

    if slope(log(_LOWEST)) <= 0:
        return _LOWEST
    if slope(log(_HIGHEST)) >= 0:
        return _HIGHEST
    return exp(brentq(slope, log(_LOWEST), log(_HIGHEST), xtol=1e-12))
