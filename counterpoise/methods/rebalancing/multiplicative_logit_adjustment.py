"""Multiplies each logit by its class's prior to the power minus tau.

Source: Kim and Kim 2020, "Adjusting decision boundary for class imbalanced learning"; Hasegawa and Sato 2024;
github.com/HN410/Exploring-Weight-Balancing-on-Long-Tailed-Recognition-Problem, `LogitAdjuster` of
utils/model_units.py (tau 1.6 for CIFAR-10-LT and .65 for CIFAR-100-LT, both of factor 100).
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: tau is a pure number.
Raises: ImpossibleCell for a class without a training example.
Differs from the source: nothing. It turns boundaries about the origin of the logits, so it suits a network whose
weight vectors have equal norms, as that of `finetuning/wb_one_stage.py`; its probabilities are not calibrated.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from counterpoise.scoring.evidence import Evidence, Rule, log_prior, score


@dataclass(frozen=True)
class Method:
    """Multiplicative logit adjustment."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    tau: Annotated[float, Ge(0)] = 1.0
    """Strength; 0 changes nothing."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that multiplies the logits."""
        factor_C = (-self.tau * log_prior(evidence.unique_C, "the training part")).exp()
        return lambda logits_BC: score(logits_BC * factor_C)
