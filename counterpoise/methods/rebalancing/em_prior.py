"""Re-estimates the class shares of the unlabelled test part by expectation maximisation, and corrects for them.

Source: Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities",
equation 2.9.
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: probabilities; log-probabilities in nats.
Raises: ImpossibleCell without test logits, or for a class without a training example.
Differs from the source: in logarithms, so that no share becomes 0. The priors of training are the shares of unique
training examples. The estimate reads the test images (never their labels), so it is compared with other transductive
methods; it starts from the training priors and ends when no share moves by more than 1e-8, or after `iterations`.
"""

from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Evidence, Rule, log_prior, score

_TOLERANCE = 1e-8


@dataclass(frozen=True)
class Method:
    """Prior correction with estimated test priors."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    iterations: Annotated[int, Ge(1)] = 10_000
    """The most steps of the estimation."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that multiplies by estimated test priors over training priors."""
        if evidence.test_logits_BC is None:
            raise ImpossibleCell("em_prior estimates the class shares of the test part and there are no test logits")
        before_C = log_prior(evidence.unique_C, "the training part")
        shift_C = log_shares(evidence.test_logits_BC, before_C, self.iterations) - before_C
        return lambda logits_BC: score(logits_BC + shift_C)


def log_shares(logits_BC: Tensor, log_prior_C: Tensor, iterations: int) -> Tensor:
    """Return the logarithm of the estimated shares, for logits that were fitted under `log_prior_C`."""
    log_p_BC, estimate_C = logits_BC.log_softmax(1), log_prior_C
    for _ in range(iterations):
        posterior_BC = (log_p_BC + (estimate_C - log_prior_C)).log_softmax(1)
        last_C, estimate_C = estimate_C, posterior_BC.logsumexp(0) - log(len(logits_BC))
        if (estimate_C.exp() - last_C.exp()).abs().max() <= _TOLERANCE:
            break
    return estimate_C
