"""The network's own softmax, uncorrected.

Source: the standard decision rule.
Shapes: logits_BC -> Scores of shape BC.
Units: log-probabilities in nats.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from counterpoise.scoring.evidence import Evidence, Rule, score


@dataclass(frozen=True)
class Method:
    """No correction."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False

    def fit(self, evidence: Evidence) -> Rule:
        """Return the plain softmax."""
        return score
