"""Puts the true shares of the classes back into the probabilities of a model that was trained on resampled rows.

Source: Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a Classifier to New a Priori Probabilities",
equation 2.4; for undersampling, Dal Pozzolo et al. 2015, "Calibrating Probability with Undersampling", equation 4.
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: log-probabilities in nats.
Raises: ImpossibleCell for a class without an example.
Differs from the source: nothing; the shares that training saw are those of the batches or of the resampled rows.
Weights in the loss also act as a prior, and are not known here: correct a resampled model, not a weighted one.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from counterpoise.scoring.evidence import Evidence, Rule, Scores, log_prior, score


@dataclass(frozen=True)
class Method:
    """Probabilities under the shares of the training part before resampling."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that multiplies by the true share and divides by the one seen."""
        true_C = log_prior(evidence.unique_C, "the training part")
        shift_C = true_C - log_prior(evidence.seen_C, "what the model was fitted on")

        def correct(logits_BC: Tensor) -> Scores:
            return score(logits_BC + shift_C)

        return correct
