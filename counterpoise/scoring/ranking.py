"""Metrics of an ordering: exact AUC and precision-recall from one sort of each class's column.

Ties count half (midranks, the Mann-Whitney statistic), whatever their number. Only the order of scores is
used, never their values, so scores need not be probabilities: torchmetrics would silently pass prior-divided
scores through a softmax, which mixes the classes and changes the order.
Legend: N examples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranking:
    """What the orderings of all classes come to, float64; every class must have an example."""

    auc_CC: Tensor
    """[i, j]: chance that an example of i outranks one of j by the score of i (Hand and Till's A(i|j)); diagonal 0."""
    auc_C: Tensor
    """The same against all other classes together."""
    auprc_C: Tensor
    """Average precision: precision at each distinct score, weighted by the recall that it adds."""
    recall_C: Tensor
    """Largest recall at a threshold whose precision is at least that asked for; 0 if there is none."""

    @property
    def auc_ovr(self) -> float:
        """Macro one-vs-rest AUC."""
        return float(self.auc_C.mean())

    @property
    def auc_ovo(self) -> float:
        """Hand and Till 2001, equation 7: the mean of A(i|j) over ordered pairs of classes."""
        num_classes = len(self.auc_CC)
        return float(self.auc_CC.sum() / (num_classes * (num_classes - 1)))


def rank(labels_N: Tensor, scores_NC: Tensor, precision: float) -> Ranking:
    """Return the metrics of `scores_NC`, whose column c orders the examples by membership of class c.

    `precision` is that of `Ranking.recall_C`. Memory beyond the arguments is a few times N.
    """
    num_classes = scores_NC.shape[1]
    columns = [_column(c, labels_N, scores_NC[:, c], num_classes, precision) for c in range(num_classes)]
    credit_CC = torch.stack([credit for credit, _, _ in columns])
    n_C = torch.bincount(labels_N, minlength=num_classes).double()
    return Ranking(
        auc_CC=credit_CC / (n_C[:, None] * n_C),
        auc_C=credit_CC.sum(1) / (n_C * (len(labels_N) - n_C)),
        auprc_C=torch.tensor([auprc for _, auprc, _ in columns], dtype=torch.float64),
        recall_C=torch.tensor([recall for _, _, recall in columns], dtype=torch.float64),
    )


def _column(
    c: int, labels_N: Tensor, scores_N: Tensor, num_classes: int, precision: float
) -> tuple[Tensor, float, float]:
    """Return what one class earns against each class (pairs won, a tie half), its AUPRC, and its recall."""
    sorted_N, order_N = scores_N.sort()
    label_N = labels_N[order_N]
    _, group_N, size_G = torch.unique_consecutive(sorted_N, return_inverse=True, return_counts=True)  # G = tied groups
    upto_G = size_G.cumsum(0)
    positives_upto_G = (label_N == c).cumsum(0)[upto_G - 1]
    positives_G = positives_upto_G.diff(prepend=positives_upto_G.new_zeros(1))
    above_G = positives_upto_G[-1] - positives_upto_G

    # Each example of another class gives its own class's entry the positives above it: whole and half numbers,
    # exact below 2^53 pairs.
    credit_C = torch.bincount(label_N, weights=(above_G + 0.5 * positives_G)[group_N], minlength=num_classes)
    credit_C[c] = 0

    hits_G = (above_G + positives_G).double()  # true positives when the threshold is the score of the group
    precision_G = hits_G / (len(label_N) - upto_G + size_G)
    recall_G = hits_G / positives_upto_G[-1]
    auprc = (precision_G * positives_G).sum() / positives_upto_G[-1]
    reached_G = torch.where(precision_G >= precision, recall_G, 0.0)
    return credit_C, float(auprc), float(reached_G.max())
