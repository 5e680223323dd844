"""The best threshold of two-class scores, over every cut that separates two of them.

Legend: N examples, K cuts.
"""

from __future__ import annotations

import torch
from torch import Tensor


def best(margin_N: Tensor, is_positive_N: Tensor, metric: str) -> tuple[float, float]:
    """Return the threshold above which positive is best said, and the metric there; of equals the highest threshold.

    `margin_N` is the score of the positive class less that of the other. A threshold lies half-way between two
    scores; calling nothing positive is one of the cuts.
    """
    sorted_N, order_N = margin_N.double().sort(descending=True)
    hits_N = is_positive_N[order_N].double().cumsum(0)
    ends = torch.cat([sorted_N[1:] < sorted_N[:-1], torch.ones(1, dtype=torch.bool)]).nonzero()[:, 0]
    said_K = torch.cat([torch.zeros(1), ends + 1.0]).double()
    hits_K = torch.cat([torch.zeros(1).double(), hits_N[ends]])
    positives = is_positive_N.sum().double()
    value_K = measure(hits_K, said_K, positives, len(margin_N), metric)
    at = int(value_K.argmax())
    edges = torch.cat([sorted_N[:1] + 2, sorted_N[ends], sorted_N[-1:] - 2])  # beyond the scores on either side
    return float((edges[at] + edges[at + 1]) / 2), float(value_K[at])


def measure(hits_K: Tensor, said_K: Tensor, positives: Tensor, total: int, metric: str) -> Tensor:
    """Return a metric of decisions from how many are called positive and how many of them are."""
    negatives = total - positives
    recall_K, specificity_K = hits_K / positives, 1 - (said_K - hits_K) / negatives
    if metric == "f1":
        return 2 * hits_K / (said_K + positives)
    if metric == "balanced_accuracy":
        return (recall_K + specificity_K) / 2
    if metric == "g_mean":
        return (recall_K * specificity_K).sqrt()
    if metric == "accuracy":
        return (hits_K + negatives - (said_K - hits_K)) / total
    spread_K = said_K * (total - said_K) * positives * negatives
    covariance_K = hits_K * total - said_K * positives
    return torch.where(spread_K > 0, covariance_K / spread_K.clamp(min=1).sqrt(), 0.0)  # Matthews' correlation
