"""Metrics of one set of predictions, in float64, by the names that claims and reports use.

Counts come from torchmetrics' confusion matrix; the rest is computed here, because torchmetrics 1.9 scores an
absent class as recall 0, applies a softmax to scores outside [0, 1], and casts to float32: its expected
calibration error of a good classifier was off by a third on 10,000 examples and by 98 % on a million, and 45 of
50 is less than a precision of .9 to it. Tests hold these traps in view. An absent class is an error here.
Legend: N examples, C classes.
"""

from __future__ import annotations

from math import isfinite, log

import torch
from torch import Tensor
from torch.nn import functional as F

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.evidence import Scores
from counterpoise.scoring.log_probabilities import SMALLEST
from counterpoise.scoring.names import COSTS
from counterpoise.scoring.ranking import rank

Values = dict[tuple[str, int | None], float | None]
"""(metric, class or None) -> value; None where the metric is not defined, such as a group that does not exist."""

PER_CLASS = ("recall", "auprc", "prevalence", "log_loss", "brier")
LOWER_IS_BETTER = COSTS
PRECISION = 0.9
BINS = 15
ROWS = 8192  # whose probabilities are held at once


def compute(labels_N: Tensor, scores: Scores, design_C: Tensor) -> Values:
    """Return every metric of the predictions `scores` of examples whose classes are `labels_N` (int64).

    `design_C` counts the examples that the imbalance gives each class, also where an oracle or noise changes them:
    it defines the head and the tail, the positive class of two, and the cost of an error. Raises ImpossibleCell if a
    class has no example, here or in training, or a score is not a number.
    """
    for view in (scores.decision_BC, scores.ranking_BC, scores.log_prob_BC):
        if lost := sum(int(part.isnan().any(1).sum()) for part in view.split(ROWS)):
            raise ImpossibleCell(f"{lost} of {len(view)} examples have a score that is not a number")
    matrix_CC = confusion(labels_N, scores.decision_BC)
    _check_present((matrix_CC.sum(1), "to measure its recall on"), (design_C, "in training"))
    ranking = rank(labels_N, scores.ranking_BC, PRECISION)
    return {
        **_of_counts(matrix_CC, design_C),
        **_of_two(matrix_CC, ranking.auprc_C, design_C),
        **_of_probabilities(labels_N, scores.log_prob_BC, design_C),
        ("auc_ovr", None): ranking.auc_ovr,
        ("auc_ovo", None): ranking.auc_ovo,
        ("auprc", None): float(ranking.auprc_C.mean()),
        **{("auprc", c): value for c, value in enumerate(ranking.auprc_C.tolist())},
        ("recall_at_precision", None): _recall_at_precision(ranking.recall_C, design_C),
    }


def compute_values(target_N: Tensor, value_N: Tensor, bin_N: Tensor, design_C: Tensor) -> Values:
    """Return every metric of the values predicted for targets that lie in the bins `bin_N` (int64).

    Errors are in the target's units. "balanced" is the mean over the bins of each bin's error, as if all were equally
    frequent (Ren et al. 2022); "many", "medium" and "few" are of all examples whose bin is of that group (Yang et al.
    2021). "relative" errors are over the standard deviation of these targets: whoever predicts their mean has
    `relative_rmse` 1. A correlation is 0 where one value is predicted for all, and None where there is one target.
    Raises ImpossibleCell if a bin has no example, here or in training.
    """
    counts_C = torch.bincount(bin_N, minlength=len(design_C))
    _check_present((counts_C, "to measure its error on"), (design_C, "in training"))
    distance_N = (value_N - target_N).abs()
    rmse_C = (torch.bincount(bin_N, distance_N.square(), len(design_C)) / counts_C).sqrt()
    mae_C = torch.bincount(bin_N, distance_N, len(design_C)) / counts_C
    found: Values = {("balanced_rmse", None): float(rmse_C.mean()), ("balanced_mae", None): float(mae_C.mean())}
    found |= {("rmse", c): value for c, value in enumerate(rmse_C.tolist())}
    found |= {("mae", c): value for c, value in enumerate(mae_C.tolist())}
    for name, members in {"": list(range(len(design_C))), **groups(design_C.tolist())}.items():
        own_N, prefix = torch.isin(bin_N, torch.tensor(members, dtype=torch.int64)), f"{name}_" if name else ""
        distance_M = distance_N[own_N]
        found[f"{prefix}rmse", None] = float(distance_M.square().mean().sqrt()) if members else None
        found[f"{prefix}mae", None] = float(distance_M.mean()) if members else None
        found[f"{prefix}pearson", None] = _pearson(target_N[own_N], value_N[own_N])
    spread = float(target_N.std(correction=0))
    for name in ("rmse", "balanced_rmse", "few_rmse"):
        error = found[name, None]
        found[f"relative_{name}", None] = None if error is None or not spread else error / spread
    return found


def _pearson(target_N: Tensor, value_N: Tensor) -> float | None:
    """Return the correlation of targets and values."""
    if len(target_N) < 2 or bool((target_N == target_N[0]).all()):
        return None
    if bool((value_N == value_N[0]).all()):
        return 0.0
    both_2N = torch.stack([target_N, value_N])
    found = float(torch.corrcoef(both_2N)[0, 1])
    if isfinite(found):
        return found
    return float(
        torch.corrcoef(both_2N / both_2N.abs().amax(1, keepdim=True))[0, 1]
    )  # squares left the range of float64


def _check_present(*parts: tuple[Tensor, str]) -> None:
    """Raise ImpossibleCell for a class without an example in one of the parts."""
    for counts_C, where in parts:
        if absent := [c for c, n in enumerate(counts_C.tolist()) if n == 0]:
            raise ImpossibleCell(f"class {', '.join(map(str, absent))} has no example {where}")


def names(has_target: bool) -> list[str]:
    """Return the metrics of whole predictions, of targets or of classes."""
    if has_target:
        three = torch.arange(3)
        found = [compute_values(three.double(), three.double(), three, torch.tensor([3, 2, 1]))]
    else:
        found = [chance([3, 2, 1]), chance([2, 1])]
    return sorted({name for values in found for name, of_class in values if of_class is None})


def _of_two(matrix_CC: Tensor, auprc_C: Tensor, design_C: Tensor) -> Values:
    """Return, of two classes, what is measured of the positive one, the rarer; nothing of more classes.

    F1 and precision are 0 where nothing is called positive. Average precision is the positive class's own.
    """
    if len(matrix_CC) != 2:
        return {}
    positive = positive_class(design_C)
    hits, said = float(matrix_CC[positive, positive]), float(matrix_CC[:, positive].sum())
    actual = float(matrix_CC[positive].sum())
    return {
        ("f1", None): 2 * hits / (said + actual),
        ("precision", None): hits / said if said else 0.0,
        ("positive_recall", None): hits / actual,
        ("average_precision", None): float(auprc_C[positive]),
    }


def positive_class(design_C: Tensor | list[int]) -> int:
    """Return the rarer of two classes; class 1 if they are equal."""
    return 1 if design_C[1] <= design_C[0] else 0


def _recall_at_precision(recall_C: Tensor, design_C: Tensor) -> float:
    """Return that of the minority of two classes (class 1 if they are equal), else the mean over classes."""
    if len(recall_C) > 2:
        return float(recall_C.mean())
    return float(recall_C[positive_class(design_C)])


def confusion(labels_N: Tensor, decision_NC: Tensor) -> Tensor:
    """Return counts [label, predicted], int64; the first of equal largest scores is predicted."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    num_classes = decision_NC.shape[1]
    return multiclass_confusion_matrix(decision_NC.argmax(1), labels_N, num_classes, validate_args=False)


def groups(counts_C: list[int]) -> dict[str, list[int]]:
    """Return the classes of the head ("many"), the middle ("medium") and the tail ("few").

    The top and the bottom floor(C / 3) classes by count, ties by class id; with exactly two distinct counts
    (step imbalance) the majority and the minority classes, and no middle; with equal counts no groups at all.
    """
    order = sorted(range(len(counts_C)), key=lambda c: -counts_C[c])
    distinct = set(counts_C)
    if len(distinct) == 1:
        return {"many": [], "medium": [], "few": []}
    if len(distinct) == 2:
        head = sum(n == max(distinct) for n in counts_C)
        return {"many": order[:head], "medium": [], "few": order[head:]}
    third = len(order) // 3
    return {"many": order[:third], "medium": order[third:-third], "few": order[-third:]}


def _of_counts(matrix_CC: Tensor, design_C: Tensor) -> Values:
    """Return the metrics of decisions."""
    matrix_CC = matrix_CC.double()
    actual_C, predicted_C, correct_C = matrix_CC.sum(1), matrix_CC.sum(0), matrix_CC.diagonal()
    total, correct = matrix_CC.sum(), correct_C.sum()
    recall_C = correct_C / actual_C
    # Matthews' correlation for C classes (Gorodkin 2004); 0, as usual, where only one class is predicted
    spread = (total**2 - predicted_C.square().sum()) * (total**2 - actual_C.square().sum())
    mcc = (correct * total - predicted_C @ actual_C) / spread.sqrt() if spread > 0 else 0.0
    # An error on class c costs 1 / n_c, in units of the cost of being always wrong: 0 is perfect, 1 the worst.
    cost_C = actual_C / design_C
    groups_recall: Values = {
        (f"{name}_recall", None): float(recall_C[members].mean()) if members else None
        for name, members in groups(design_C.tolist()).items()
    }
    return {
        ("accuracy", None): float(correct / total),
        ("balanced_accuracy", None): float(recall_C.mean()),
        **{("recall", c): value for c, value in enumerate(recall_C.tolist())},
        **groups_recall,
        ("worst_recall", None): float(recall_C.min()),
        ("macro_f1", None): float((2 * correct_C / (actual_C + predicted_C)).mean()),
        ("g_mean", None): float(recall_C.log().mean().exp()),
        ("h_mean", None): float(1 / (1 / recall_C).mean()),
        ("mcc", None): float(mcc),
        **{("prevalence", c): value for c, value in enumerate((actual_C / total).tolist())},
        ("expected_cost", None): float((cost_C * (1 - recall_C)).sum() / cost_C.sum()),
    }


def _of_probabilities(labels_N: Tensor, log_prob_NC: Tensor, design_C: Tensor) -> Values:
    """Return the metrics of calibration; log loss and entropy in nats, Brier summed over the classes (0 to 2).

    In the log loss no probability is below float64's epsilon, as in scikit-learn, so an example costs 36.04 at most:
    otherwise one row on which naive Bayes is wrong by a million nats decides the mean of a table.

    The calibration error is the mean over examples of |mean confidence - share correct| of their bin. Memory beyond the
    arguments is a few times N, and that of the probabilities of `ROWS` examples.
    """
    total, num_classes = log_prob_NC.shape
    excess_K, excess_CK = torch.zeros(BINS).double(), torch.zeros(num_classes * BINS).double()
    parts = []
    for labels_B, log_prob_BC in zip(labels_N.split(ROWS), log_prob_NC.split(ROWS), strict=True):
        prob_BC = log_prob_BC.exp()
        confidence_B, predicted_B = prob_BC.max(1)
        excess_K.index_add_(0, _bin(confidence_B), confidence_B - (predicted_B == labels_B).double())
        truth_BC = F.one_hot(labels_B, num_classes).double()
        bin_BC = _bin(prob_BC) + BINS * torch.arange(num_classes)
        excess_CK.index_add_(0, bin_BC.flatten(), (prob_BC - truth_BC).flatten())
        surprise_BC = torch.where(prob_BC > 0, prob_BC * log_prob_BC, 0.0)
        parts.append((prob_BC.square().sum(1), -surprise_BC.sum(1)))
    square_N, entropy_N = (torch.cat(found) for found in zip(*parts, strict=True))
    by_class = [float(own_K.abs().sum() / total) for own_K in excess_CK.view(num_classes, BINS)]
    log_truth_N = log_prob_NC.gather(1, labels_N[:, None])[:, 0]
    losses = {"log_loss": -log_truth_N.clamp(min=log(SMALLEST)), "brier": square_N - 2 * log_truth_N.exp() + 1}
    tail = groups(design_C.tolist())["few"]
    values: Values = {
        ("ece", None): float(excess_K.abs().sum() / total),
        ("classwise_ece", None): sum(by_class) / num_classes,
        ("entropy", None): float(entropy_N.mean()),
    }
    for name, loss_N in losses.items():
        loss_C = torch.bincount(labels_N, weights=loss_N) / torch.bincount(labels_N)
        values[name, None] = float(loss_N.mean())
        values |= {(name, c): value for c, value in enumerate(loss_C.tolist())}
        values["few_" + name, None] = float(loss_C[tail].mean()) if tail else None
    return values


def _bin(probability: Tensor) -> Tensor:
    """Return the bin of each probability, of 15 of equal width."""
    return (probability * BINS).long().clamp(max=BINS - 1)


def chance(design_C: list[int]) -> Values:
    """Return the metrics of a network that learned nothing, for seeds that diverged: never better than guessing.

    A uniform guess on a balanced part: recall, accuracy and F1 of 1/C, AUC .5, correlation 0, probability 1/C.
    Its calibration error would be 0, the best there is, and would reward divergence: that one is charged as a
    guess made with certainty. Prevalence is a property of the data and stays None.
    """
    num_classes = len(design_C)
    guess = 1 / num_classes
    members = groups(design_C)
    # Of a rare positive class these are worth about its prevalence, which is not known here: 0 flatters nobody.
    of_two = ("f1", "precision", "positive_recall", "average_precision") if num_classes == 2 else ()
    same = ("accuracy", "balanced_accuracy", "worst_recall", "macro_f1", "g_mean", "h_mean", "auprc")
    return {
        **{(name, None): guess for name in same},
        **{(name, None): 0.0 for name in of_two},
        **{(f"{name}_recall", None): guess if classes else None for name, classes in members.items()},
        **{(name, c): guess for name in ("recall", "auprc") for c in range(num_classes)},
        **{("prevalence", c): None for c in range(num_classes)},
        **{("brier", c): 1 - guess for c in range(num_classes)},
        **{("log_loss", c): log(num_classes) for c in range(num_classes)},
        ("few_brier", None): 1 - guess if members["few"] else None,
        ("few_log_loss", None): log(num_classes) if members["few"] else None,
        ("entropy", None): log(num_classes),
        ("mcc", None): 0.0,
        ("auc_ovr", None): 0.5,
        ("auc_ovo", None): 0.5,
        ("recall_at_precision", None): 0.0,
        ("expected_cost", None): 1 - guess,
        ("ece", None): 1 - guess,
        ("classwise_ece", None): 2 * guess * (1 - guess),
        ("brier", None): 1 - guess,
        ("log_loss", None): log(num_classes),
    }
