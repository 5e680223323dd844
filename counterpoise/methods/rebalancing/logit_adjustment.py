"""Subtracts tau times the log-prior from each logit, then renormalises.

Source: Menon, Jayasumana, Rawat, Jain, Veit and Kumar 2021, "Long-tail learning via logit adjustment",
equation 9 (post hoc); github.com/google-research/google-research, logit_adjustment/main.py.
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: tau is a pure number; log-probabilities in nats.
Raises: ImpossibleCell for a class without a training example.
Differs from the source: the code subtracts log(prior^tau + 1e-12), the paper and this tau log prior. The two differ by
less than 1e-12 / prior^tau: 8e-9 at tau = 1 and 6.7e-5 at tau = 2 for a prior of 1/8157. At tau = 1 the decisions are
those of `prior_threshold`, but the ranking is that of the renormalised probabilities, so its AUC is another.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge

from counterpoise.scoring.evidence import Evidence, Rule, log_prior, score


@dataclass(frozen=True)
class Method:
    """Post-hoc logit adjustment."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = False
    tau: Annotated[float, Ge(0)] = 1.0
    """Strength; 1 is consistent for the balanced error, 0 changes nothing."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that subtracts tau log-priors."""
        shift_C = self.tau * log_prior(evidence.unique_C, "the training part")
        return lambda logits_BC: score(logits_BC - shift_C)
