"""Adds the logits of several networks whose pretraining differs, so that no one's pretraining decides.

Source: Chen, Qin, Li, Chen and Su 2025, "Rethinking the bias of foundation model under long-tailed distribution";
github.com/JiahaoChen1/Pre-train-Imbalance, `backdoor_adjustment` of test.py (CLIP, OpenCLIP and MetaCLIP, each
fine-tuned by itself with the logit-adjusted loss).
Shapes: logits_BEC of the experts -> Scores of shape BC.
Units: log-probabilities in nats.
Raises: nothing.
Differs from the source: the networks are the experts of an `ensemble`. The sum is of logits, as in the official code,
where the adjustment's formula averages probabilities: decisions are those of the product of the experts' probabilities.
"""

from dataclasses import dataclass
from typing import ClassVar

from counterpoise.scoring.evidence import Evidence, Rule, score


@dataclass(frozen=True)
class Method:
    """The sum over experts."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    needs_experts: ClassVar[bool] = True

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that adds the experts' logits."""
        return lambda logits_BEC: score(logits_BEC.sum(1))
