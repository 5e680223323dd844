"""What a post-hoc rule may read, and the log-odds of classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from counterpoise.errors import ImpossibleCell

_ROWS = 65536  # rows handled at once, so that temporaries stay small beside the result


@dataclass(frozen=True)
class Evidence:
    """What a correction may use; counts are int64, logits float64."""

    unique_C: Tensor
    """Unique training examples of each class."""
    seen_C: Tensor
    """Examples of each class that training batches really contained."""
    val_logits_BC: Tensor | None = None
    val_labels_B: Tensor | None = None
    test_logits_BC: Tensor | None = None
    """Of the test part, without labels, for transductive corrections."""
    head_norm_C: Tensor | None = None
    """Norm of each class's weight vector, where the head is linear."""
    head_bias_C: Tensor | None = None
    expert_views_VBEC: Tensor | None = None
    """What each expert says of two augmented views of the test part, where the ensemble keeps it."""


@dataclass(frozen=True)
class Scores:
    """Corrected predictions, three float64 views of the same thing."""

    decision_BC: Tensor
    """The predicted class is the argmax of a row."""
    ranking_BC: Tensor
    """Orders the examples by class membership; only the order within a column means anything."""
    log_prob_BC: Tensor
    """Normalised log-probabilities, for calibration."""


Rule = Callable[[Tensor], Scores]


def score(logits_BC: Tensor) -> Scores:
    """Return the scores of a softmax over float64 logits, as they stand."""
    return Scores(logits_BC, log_odds(logits_BC), logits_BC.log_softmax(1))


def log_odds(logits_BC: Tensor) -> Tensor:
    """Return log p / (1 - p) of each class: the order of the softmax, without its saturation.

    In float64 even a log-softmax rounds to 0 once a class leads by some 36 nats, as it does in a network
    trained to the end, and all such examples tie. The log-odds are the logit less the log-sum-exp of the
    *other* logits, here from running sums from both sides: no difference of nearly equal numbers.
    """
    return torch.cat([_log_odds(block) for block in logits_BC.split(_ROWS)])


def _log_odds(logits_BC: Tensor) -> Tensor:
    nothing = logits_BC.new_full((len(logits_BC), 1), -torch.inf)
    before = torch.cat([nothing, logits_BC.logcumsumexp(1)[:, :-1]], dim=1)
    after = torch.cat([logits_BC.flip(1).logcumsumexp(1).flip(1)[:, 1:], nothing], dim=1)
    return logits_BC - torch.logaddexp(before, after)


def log_prior(counts_C: Tensor, source: str) -> Tensor:
    """Return the float64 log of each class's share; ImpossibleCell if a class has no example in `source`."""
    if absent := [c for c, n in enumerate(counts_C.tolist()) if n == 0]:
        raise ImpossibleCell(
            f"prior of class {', '.join(map(str, absent))} is 0: {source} has no example of it, "
            "and a correction divides by the prior; keep at least one example of every class"
        )
    counts = counts_C.double()
    return (counts / counts.sum()).log()
