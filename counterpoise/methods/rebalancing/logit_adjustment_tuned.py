"""Post-hoc logit adjustment whose strength is chosen by balanced accuracy on the validation part.

Source: Menon, Jayasumana, Rawat, Jain, Veit and Kumar 2021, "Long-tail learning via logit adjustment", equation 9,
with tau tuned on a holdout.
Shapes: logits_BC, counts of shape C -> Scores of shape BC.
Units: tau is a pure number; log-probabilities in nats.
Raises: ImpossibleCell without a validation part, or for a class without a training example.
Differs from the source: the grid is stated here, from 0 to `highest` in equal steps; of equally good values the one
nearest to 1 wins, which is the consistent one. The code's 1e-12 is left out, as in `logit_adjustment`.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Evidence, Rule, log_prior, score


@dataclass(frozen=True)
class Method:
    """Logit adjustment, tuned."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = True
    highest: Annotated[float, Gt(0)] = 2.0
    """The largest tau of the grid."""
    points: Annotated[int, Ge(2)] = 41
    """Values of tau in the grid, both ends included."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that subtracts the chosen tau times the log-priors."""
        if evidence.val_logits_BC is None or evidence.val_labels_B is None:
            raise ImpossibleCell(
                "logit_adjustment_tuned chooses tau on a validation part and there is none: "
                "set `validation` or `validation_fraction`, or name another `evaluate.rebalancing`"
            )
        log_prior_C = log_prior(evidence.unique_C, "the training part")
        logits_BC, labels_B = evidence.val_logits_BC, evidence.val_labels_B
        grid = torch.linspace(0, self.highest, self.points, dtype=torch.float64).tolist()
        worth = {tau: (balanced_accuracy(logits_BC - tau * log_prior_C, labels_B), -abs(tau - 1)) for tau in grid}
        shift_C = max(grid, key=lambda tau: worth[tau]) * log_prior_C
        return lambda logits_BC: score(logits_BC - shift_C)


def balanced_accuracy(logits_BC: Tensor, labels_B: Tensor) -> float:
    """Return the mean recall of the classes that occur."""
    total_C = labels_B.bincount(minlength=logits_BC.shape[1])
    right_C = labels_B[logits_BC.argmax(1) == labels_B].bincount(minlength=logits_BC.shape[1])
    return float((right_C[total_C > 0].double() / total_C[total_C > 0]).mean())
