"""Divides each class's probability by its prior, p(i|x) / p(i), and takes the largest quotient.

Source: Richard and Lippmann 1991; Buda, Maki and Mazurowski 2018 ("thresholding"), with p(i) = |i| / sum_k |k|
and |i| the number of unique examples of class i, as the first author's note
https://mateuszbuda.github.io/2018/09/15/thresholding.html defines it, with a worked example.
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: log-probabilities in nats.
Raises: ImpossibleCell for a class whose prior is 0.
Differs from the source: nothing for decisions. The quotients are not renormalised for ranking, as published, and
dividing a column by a constant cannot change its order: the ranking is that of the uncorrected network, which
keeps this exact where rounding would merge neighbours. So one-vs-rest AUC cannot move, and calibration is
measured on the renormalised quotients, which the paper does not look at.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from counterpoise.scoring.evidence import Evidence, Rule, Scores, log_odds, log_prior


@dataclass(frozen=True)
class Method:
    """Thresholding by prior class probabilities."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    priors: Literal["unique", "seen"] = "unique"
    """Whose shares are the priors: unique training examples (published), or what the batches contained."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that divides by the priors."""
        known = {
            "unique": (evidence.unique_C, "the training part"),
            "seen": (evidence.seen_C, "what the batches contained"),
        }
        log_prior_C = log_prior(*known[self.priors])

        def divide(logits_BC: Tensor) -> Scores:
            quotient_BC = logits_BC - log_prior_C
            return Scores(quotient_BC, log_odds(logits_BC), quotient_BC.log_softmax(1))

        return divide
