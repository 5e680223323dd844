"""How much a mixup of two classes improves a metric, and how often to mix them.

The metric is a function of the confusion matrix C, whose rows each sum to 1/K for K classes. Its rows are taken to move
as softmaxes of free logits A, so that dC_kj / dA_kl = C_kj (1[j = l] - K C_kl).
Legend: C classes, D features; of a matrix CC the row is the true class, or the class that gives a mixup its label.
"""

from typing import Literal

import torch
from torch import Tensor

Objective = Literal[
    "mean_recall", "min_recall", "g_mean", "h_mean", "mean_recall_with_coverage", "h_mean_with_coverage"
]
Variant = Literal["paper", "official_code"]


def confusion(predicted_B: Tensor, labels_B: Tensor, classes: int) -> Tensor:
    """Return the float64 confusion matrix whose rows sum to 1/K; every class must occur."""
    counts_CC = (labels_B * classes + predicted_B).bincount(minlength=classes**2).view(classes, classes).double()
    return counts_CC / counts_CC.sum(1, keepdim=True) / classes


def recall_multipliers(confusion_CC: Tensor, before_C: Tensor, memory: float, rate: float) -> Tensor:
    """Return the weight of each class's recall after an exponentiated step: the worst gets the most."""
    clipped_CC = confusion_CC.clamp(min=1e-7)
    recall_C = clipped_CC.diagonal() / clipped_CC.sum(1)
    return (torch.xlogy(before_C.new_full((), memory), before_C) - rate * recall_C).softmax(0)


def coverage_multipliers(confusion_CC: Tensor, target: float, width: float, largest: float) -> Tensor:
    """Return the weight of each class's coverage: positive where it is predicted less than `target` / K of the time."""
    short_C = confusion_CC.clamp(min=1e-7).sum(0) - target / len(confusion_CC)
    return (-largest * (short_C / width).expm1()).clamp(min=0)


def metric_gain(objective: Objective, confusion_CC: Tensor, multipliers_C: Tensor) -> Tensor:
    """Return d metric / dA; multipliers are those of the recalls or of the coverages, as the objective has them."""
    classes = len(confusion_CC)
    clipped_CC = confusion_CC.clamp(min=1e-7)
    own_CC, hits_C1 = torch.eye(classes).to(clipped_CC), clipped_CC.diagonal()[:, None]
    recall_C = confusion_CC.diagonal() / confusion_CC.sum(1)
    if objective == "min_recall":
        of_metric_CC = own_CC * multipliers_C * classes
    elif objective == "g_mean":
        of_metric_CC = recall_C.log().mean().exp() / classes * (own_CC / hits_C1 - 1 / clipped_CC.sum(1, keepdim=True))
    elif objective.startswith("h_mean"):
        scale = (1 / recall_C).mean() ** -2 / classes
        of_metric_CC = scale * (own_CC * clipped_CC.sum(1, keepdim=True) / hits_C1 - 1) / hits_C1
    else:
        of_metric_CC = own_CC
    if covered := objective.endswith("coverage"):
        of_metric_CC = of_metric_CC + multipliers_C
    inner_C1 = (of_metric_CC * clipped_CC).sum(1, keepdim=True)
    gain_CC = clipped_CC * (of_metric_CC - classes * inner_C1)
    return gain_CC / (multipliers_C.max() + 1) if covered else gain_CC


def mixed(means_CD: Tensor, least_share: float) -> Tensor:
    """Return mixtures_CCD of the class means, at the mean share of the class that gives the label."""
    share = (least_share + 1) / 2
    return share * means_CD[:, None] + (1 - share) * means_CD[None]


def mixup_gain(
    metric_gain_CC: Tensor, means_CD: Tensor, mixtures_CCD: Tensor, predicted_CCC: Tensor, variant: Variant
) -> Tensor:
    """Return the gain of the metric by a gradient step on the mixture of each pair of classes.

    `predicted_CCC` are the classifier's probabilities of the mixtures. A step moves the logit l of class q's mean z_q
    by (1[l = i] - p_l) m_ij z_q; the official code has z_i z_q where the label is.
    """
    toward_CCC = mixtures_CCD @ means_CD.T
    away_CC = (toward_CCC * (predicted_CCC @ metric_gain_CC.T)).sum(2)
    own_CCC = (means_CD @ means_CD.T)[:, None] if variant == "official_code" else toward_CCC
    return (own_CCC * metric_gain_CC.T[:, None]).sum(2) - away_CC


def pair_shares(gain_CC: Tensor, temperature: float, floor: float) -> Tensor:
    """Return how often to mix each pair: a softmax over all gains, of which only the positive keep their share."""
    share_CC = (gain_CC / temperature).flatten().softmax(0).view_as(gain_CC) * (gain_CC > 0)
    return (share_CC + floor) / (share_CC + floor).sum()
