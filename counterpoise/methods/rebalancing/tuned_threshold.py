"""Says positive above the threshold that was best on the validation part: out-of-fold predictions, or rows held out.

Source: Abdelhamid and Desai 2024, "Balancing the Scales" (threshold calibration by F1 on validation data); for costs,
Elkan 2001, "The Foundations of Cost-Sensitive Learning".
Shapes: logits_B2 -> Scores of shape B2.
Units: the threshold is one of log-odds.
Raises: ImpossibleCell for more than two classes, no validation part, or one without a class.
Differs from the source: every cut between two validation scores is tried, where the paper's code may try a grid.
Ranks and probabilities stay as they are: only the decision moves. The positive class is the rarer one.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring import threshold as _threshold
from counterpoise.scoring.evidence import Evidence, Rule, Scores, score


@dataclass(frozen=True)
class Method:
    """A threshold tuned on validation data."""

    version: ClassVar[int] = 1
    needs_validation: ClassVar[bool] = True
    binary: ClassVar[bool] = True
    metric: Literal["f1", "balanced_accuracy", "g_mean", "accuracy", "mcc"] = "f1"
    """What is best there."""

    def fit(self, evidence: Evidence) -> Rule:
        """Return the rule that moves the threshold."""
        labels, logits = evidence.val_labels_B, evidence.val_logits_BC
        if labels is None or logits is None:
            raise ImpossibleCell(
                "tuned_threshold: no validation part to tune on: set `validation` or finetune.inner.folds"
            )
        if logits.shape[1] != 2:
            raise ImpossibleCell(f"tuned_threshold: expected two classes, found {logits.shape[1]}")
        positive = int(evidence.unique_C[1] <= evidence.unique_C[0])
        is_positive = labels == positive
        if is_positive.all() or not is_positive.any():
            raise ImpossibleCell("tuned_threshold: the validation part holds one class only")
        threshold, _ = _threshold.best(logits[:, positive] - logits[:, 1 - positive], is_positive, self.metric)

        def move(logits_B2: Tensor) -> Scores:
            plain = score(logits_B2)
            said_B = logits_B2[:, positive] - logits_B2[:, 1 - positive] > threshold
            decision_B2 = F.one_hot(torch.where(said_B, positive, 1 - positive), 2).double()
            return Scores(decision_B2, plain.ranking_BC, plain.log_prob_BC)

        return move
