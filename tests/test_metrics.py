"""Metrics against hand arithmetic, scikit-learn and torchmetrics, and the traps that torchmetrics sets."""

import math
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.functional.classification as tm

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring import metrics
from counterpoise.scoring.evidence import log_odds, score
from counterpoise.scoring.ranking import rank

HAND_LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2])
HAND_PREDICTED = torch.tensor([0, 0, 0, 1, 1, 0, 2, 2])
HAND_COUNTS = torch.tensor([40, 20, 10])


def sample(n=400, classes=5, seed=0, gain=2.0, levels=None):
    """Return labels and float64 logits; `levels` rounds them to that many steps a unit, which makes ties."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(classes), torch.randint(classes, (n - classes,), generator=generator)])
    logits = torch.randn(n, classes, generator=generator, dtype=torch.float64)
    logits[torch.arange(n), labels] += gain
    return labels, (logits * levels).round() / levels if levels else logits


def compute(labels, logits, counts=None):
    counts = torch.arange(logits.shape[1], 0, -1) if counts is None else counts
    return metrics.compute(labels, score(logits), counts)


def one_hot(predicted, classes, scale=5.0):
    return torch.nn.functional.one_hot(predicted, classes).double() * scale


# Decisions ---------------------------------------------------------------------------------------------------


def test_decision_metrics_by_hand():
    values = compute(HAND_LABELS, one_hot(HAND_PREDICTED, 3), HAND_COUNTS)
    recall = [3 / 4, 1 / 2, 1]
    expected = {
        "accuracy": 6 / 8,
        "balanced_accuracy": 2.25 / 3,
        "many_recall": 3 / 4,
        "medium_recall": 1 / 2,
        "few_recall": 1,
        "worst_recall": 1 / 2,
        "macro_f1": (3 / 4 + 1 / 2 + 1) / 3,
        "g_mean": (3 / 8) ** (1 / 3),
        "h_mean": 3 / (4 / 3 + 2 + 1),
        "mcc": (6 * 8 - 24) / (64 - 24),  # predicted and actual totals are both 4, 2, 2
        # costs of an error 1/40, 1/20, 1/10: one on class 0 and one on class 1, of 4, 2 and 2 examples
        "expected_cost": (1 / 40 + 1 / 20) / (4 / 40 + 2 / 20 + 2 / 10),
    }
    assert {name: values[name, None] for name in expected} == pytest.approx(expected, abs=1e-15)
    assert [values["recall", c] for c in range(3)] == recall
    assert [values["prevalence", c] for c in range(3)] == [1 / 2, 1 / 4, 1 / 4]


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_decision_metrics_agree_with_sklearn(classes):
    labels, logits = sample(classes=classes)
    predicted = logits.argmax(1)
    values = compute(labels, logits)
    for name, function in {
        "accuracy": sk.accuracy_score,
        "balanced_accuracy": sk.balanced_accuracy_score,
        "mcc": sk.matthews_corrcoef,
        "macro_f1": lambda y, p: sk.f1_score(y, p, average="macro"),
    }.items():
        assert values[name, None] == pytest.approx(function(labels, predicted), abs=1e-12)
    assert [values["recall", c] for c in range(classes)] == sk.recall_score(labels, predicted, average=None).tolist()
    assert metrics.confusion(labels, logits).tolist() == sk.confusion_matrix(labels, predicted).tolist()


@pytest.mark.parametrize("classes", [2, 4])
def test_always_one_class(classes):
    labels = torch.arange(classes).repeat(5)
    values = compute(labels, one_hot(torch.zeros_like(labels), classes))
    assert values["balanced_accuracy", None] == values["accuracy", None] == 1 / classes
    for name in ("mcc", "g_mean", "h_mean", "worst_recall", "few_recall"):
        assert values[name, None] == 0
    assert values["macro_f1", None] == pytest.approx(2 / (classes + 1) / classes)


def test_a_perfect_network():
    labels = torch.arange(4).repeat(3)
    values = compute(labels, one_hot(labels, 4, scale=1e4))
    for name in ("accuracy", "macro_f1", "g_mean", "h_mean", "mcc", "auc_ovr", "auc_ovo", "auprc", "worst_recall"):
        assert values[name, None] == pytest.approx(1, abs=1e-15)
    for name in set(metrics.LOWER_IS_BETTER) & set(metrics.names(has_target=False)):
        assert values[name, None] == 0


def test_expected_cost_runs_from_0_to_1():
    labels = torch.arange(3).repeat(4)
    assert compute(labels, one_hot(labels, 3))["expected_cost", None] == 0
    assert compute(labels, one_hot((labels + 1) % 3, 3))["expected_cost", None] == 1


@pytest.mark.parametrize("view", ["decision_BC", "ranking_BC", "log_prob_BC"])
def test_a_score_that_is_not_a_number_is_an_error_and_no_metric(view):
    scores = score(one_hot(torch.tensor([0, 0, 1, 1]), 2).double())
    broken = getattr(scores, view).clone()
    broken[2:, 1] = torch.nan
    with pytest.raises(ImpossibleCell, match="2 of 4 examples have a score that is not a number"):
        metrics.compute(torch.tensor([0, 0, 1, 1]), replace(scores, **{view: broken}), torch.tensor([2, 2]))


def test_an_absent_class_is_an_error_and_not_recall_0():
    labels, logits = torch.tensor([0, 0, 2]), torch.eye(3, dtype=torch.float64)
    with pytest.raises(ImpossibleCell, match="class 1 has no example to measure"):
        compute(labels, logits)
    with pytest.raises(ImpossibleCell, match="class 0 has no example in training"):
        compute(torch.arange(3), logits, torch.tensor([0, 1, 1]))
    # the trap: the same predictions, all right, through torchmetrics
    assert tm.multiclass_recall(labels, labels, 3, average=None).tolist() == [1, 0, 1]


# Groups ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "many", "medium", "few"),
    [
        ([10, 20, 30, 40, 50, 60, 70, 80, 90, 100], [9, 8, 7], [6, 5, 4, 3], [2, 1, 0]),
        ([5, 100, 5, 100], [1, 3], [], [0, 2]),  # step imbalance
        ([100, 5, 100, 100], [0, 2, 3], [], [1]),
        ([7, 7, 7], [], [], []),
        ([3, 9], [1], [], [0]),
        ([9, 5, 1], [0], [1], [2]),
        ([4, 4, 4, 3, 2], [0], [1, 2, 3], [4]),  # ties by class id
        ([50, 40, 30, 20, 10, 5, 2, 1], [0, 1], [2, 3, 4, 5], [6, 7]),  # floor of a third
    ],
)
def test_groups(counts, many, medium, few):
    assert metrics.groups(counts) == {"many": many, "medium": medium, "few": few}


def test_a_group_that_does_not_exist_has_no_recall():
    labels, logits = sample(classes=4)
    step = compute(labels, logits, torch.tensor([50, 50, 5, 5]))
    assert step["medium_recall", None] is None
    assert step["many_recall", None] == pytest.approx((step["recall", 0] + step["recall", 1]) / 2)
    balanced = compute(labels, logits, torch.tensor([5, 5, 5, 5]))
    assert [balanced[f"{name}_recall", None] for name in ("many", "medium", "few")] == [None] * 3


# Orderings ---------------------------------------------------------------------------------------------------


def test_auc_by_hand_with_ties():
    labels = torch.tensor([0, 0, 1, 1, 2])
    scores = torch.tensor([[3.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 1, 0]], dtype=torch.float64)
    ranking = rank(labels, scores, 0.9)
    assert ranking.auc_CC[0].tolist() == [0, (1 + 1 + 0.5 + 1) / 4, (1 + 0.5) / 2]
    assert ranking.auc_CC[1].tolist() == [1, 0, 0.5]
    assert ranking.auc_CC[2].tolist() == [0.5, 0.5, 0]
    assert ranking.auc_C.tolist() == pytest.approx([5 / 6, 5 / 6, 0.5])
    assert ranking.auc_ovo == pytest.approx((3.5 / 4 + 0.75 + 1 + 0.5 + 0.5 + 0.5) / 6)
    # class 0: its first example alone (precision 1), then all but the last by tie (precision 2/4)
    assert ranking.auprc_C[0] == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert ranking.recall_C.tolist() == [0.5, 0, 0]


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_auc_and_auprc_agree_with_sklearn_and_torchmetrics(classes, levels):
    labels, logits = sample(classes=classes, levels=levels)
    values, prob = compute(labels, logits), logits.softmax(1)
    truth = np.eye(classes)[labels]
    columns = log_odds(logits)  # a softmax would round other neighbours into ties
    ovr = [sk.roc_auc_score(truth[:, c], columns[:, c]) for c in range(classes)]
    assert values["auc_ovr", None] == pytest.approx(np.mean(ovr), abs=1e-12)
    ap = [sk.average_precision_score(truth[:, c], columns[:, c]) for c in range(classes)]
    assert [values["auprc", c] for c in range(classes)] == pytest.approx(ap, abs=1e-12)
    assert values["auprc", None] == pytest.approx(np.mean(ap), abs=1e-12)
    if levels is None:
        assert values["auc_ovr", None] == pytest.approx(float(tm.multiclass_auroc(prob, labels, classes)), abs=1e-6)
        torch_ap = tm.multiclass_average_precision(prob, labels, classes)
        assert values["auprc", None] == pytest.approx(float(torch_ap), abs=1e-6)
        if classes > 2:
            ovo = sk.roc_auc_score(labels, prob, multi_class="ovo")
            assert values["auc_ovo", None] == pytest.approx(ovo, abs=1e-12)


def test_one_against_one_is_the_mean_over_pairs_even_with_ties():
    labels, scores = sample(classes=4, levels=1)
    wins = []
    for i in range(4):
        for j in set(range(4)) - {i}:
            a, b = scores[labels == i, i][:, None], scores[labels == j, i][None]
            wins.append(float(((a > b).double() + 0.5 * (a == b)).mean()))
    assert rank(labels, scores, 0.9).auc_ovo == pytest.approx(np.mean(wins), abs=1e-14)


def test_orderings_ignore_increasing_transformations_and_row_order():
    labels, logits = sample(levels=2)
    before, shuffled = (
        rank(labels, logits, 0.9),
        torch.randperm(len(labels), generator=torch.Generator().manual_seed(1)),
    )
    for after in (rank(labels, logits.exp(), 0.9), rank(labels[shuffled], logits[shuffled], 0.9)):
        assert torch.equal(before.auc_CC, after.auc_CC)
        assert torch.equal(before.auprc_C, after.auprc_C)
        assert torch.equal(before.recall_C, after.recall_C)


def test_constant_scores_are_worth_chance():
    labels, _ = sample(classes=3)
    ranking = rank(labels, torch.zeros(len(labels), 3, dtype=torch.float64), 0.9)
    assert (ranking.auc_ovr, ranking.auc_ovo) == (0.5, 0.5)
    assert ranking.auprc_C.tolist() == pytest.approx((torch.bincount(labels) / len(labels)).tolist())


def largest_recall(truth, scores):
    precision, recall, _ = sk.precision_recall_curve(truth, scores)
    return recall[precision >= metrics.PRECISION].max()  # the curve ends at precision 1, recall 0


@pytest.mark.parametrize("seed", range(5))
def test_recall_at_precision_agrees_with_sklearn(seed):
    """Not with torchmetrics: its float32 makes 45 of 50 less than .9."""
    labels, logits = sample(seed=seed)
    expected = np.mean([largest_recall(labels == c, log_odds(logits)[:, c]) for c in range(5)])
    assert compute(labels, logits)["recall_at_precision", None] == pytest.approx(expected, abs=1e-12)


def test_the_minority_is_the_positive_class_of_two():
    labels, logits = sample(classes=2)
    for counts, positive in (([9, 1], 1), ([1, 9], 0), ([5, 5], 1)):
        value = compute(labels, logits, torch.tensor(counts))["recall_at_precision", None]
        assert value == largest_recall(labels == positive, log_odds(logits)[:, positive])


@pytest.mark.parametrize("classes", [2, 5])
def test_confident_networks_do_not_tie(classes):
    labels, logits = sample(classes=classes, gain=1.0)
    steep = logits * 1000  # leads of thousands of nats: softmax is 0 or 1, log-softmax 0 for most
    assert len(steep.log_softmax(1)[:, 0].unique()) < len(labels)
    assert len(log_odds(steep)[:, 0].unique()) == len(labels)
    if classes == 2:  # the order is that of the difference of the logits, at any steepness
        assert compute(labels, steep)["auc_ovr", None] == compute(labels, logits)["auc_ovr", None]


def test_log_odds_are_those_of_the_softmax():
    _, logits = sample(classes=6)
    assert torch.allclose(log_odds(logits), logits.softmax(1).logit(), atol=1e-10, rtol=0)
    extreme = torch.tensor([[1e4, -1e4, 0], [-1e4, -1e4, -1e4]], dtype=torch.float64)
    expected = [[1e4, -2e4, -1e4], [-math.log(2)] * 3]
    assert torch.allclose(log_odds(extreme), torch.tensor(expected, dtype=torch.float64), atol=1e-9)


def test_extreme_logits_stay_finite():
    labels = torch.arange(3).repeat(4)
    logits = one_hot((labels + torch.arange(12) // 6) % 3, 3, scale=2e4) - 1e4
    values = compute(labels, logits)
    assert all(value is None or math.isfinite(value) for value in values.values())
    wrong = (labels + torch.arange(12) // 6) % 3 != labels
    assert values["log_loss", None] == pytest.approx(-math.log(np.finfo(float).eps) * wrong.double().mean().item())
    assert values["log_loss", None] == pytest.approx(sk.log_loss(labels, logits.softmax(1)))  # which clips alike
    assert values["brier", None] == pytest.approx(1)


def test_torchmetrics_applies_softmax_to_scores_that_are_no_probabilities():
    """The reason why orderings are computed here: the trap is still there, and it does not catch us."""
    labels, logits = sample(n=2000, classes=4, gain=1.5)
    prior = torch.tensor([0.7, 0.2, 0.07, 0.03], dtype=torch.float64)
    quotient = logits.softmax(1) / prior
    assert rank(labels, quotient, 0.9).auc_ovr == rank(labels, logits.softmax(1), 0.9).auc_ovr
    ours = compute(labels, logits)["auc_ovr", None]
    assert ours == pytest.approx(float(tm.multiclass_auroc(logits.softmax(1), labels, 4)), abs=1e-6)
    assert abs(ours - float(tm.multiclass_auroc(quotient, labels, 4))) > 0.01


# Probabilities -----------------------------------------------------------------------------------------------


def test_calibration_by_hand():
    prob = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9]], dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, 1])
    values = compute(labels, prob.log())
    # confidences .8 .8 (one right) .6 (right) .9 (right), in three bins
    assert values["ece", None] == pytest.approx((2 * abs(0.8 - 0.5) + 0.4 + 0.1) / 4)
    assert values["classwise_ece", None] == pytest.approx((2 * 0.3 + 0.4 + 0.1) / 4)
    assert values["brier", None] == pytest.approx(2 * (0.04 + 0.64 + 0.16 + 0.01) / 4)
    assert values["log_loss", None] == pytest.approx(-math.log(0.8 * 0.2 * 0.6 * 0.9) / 4)
    losses = {
        "log_loss": (-math.log(0.8), -math.log(0.2 * 0.6 * 0.9) / 3),
        "brier": (0.08, 2 * (0.64 + 0.16 + 0.01) / 3),
    }
    for name, expected in losses.items():
        assert [values[name, c] for c in (0, 1)] == pytest.approx(expected)
        rare = compute(labels, prob.log(), torch.tensor([9, 2]))
        assert rare["few_" + name, None] == pytest.approx(expected[1])
        assert compute(labels, prob.log(), torch.tensor([3, 3]))["few_" + name, None] is None
    entropy = sum(-p * math.log(p) for p in prob.flatten().tolist()) / 4
    assert values["entropy", None] == pytest.approx(entropy)


def test_blocks_of_rows_do_not_change_a_bit(monkeypatch):
    labels, logits = sample(n=1001, classes=7)
    whole = compute(labels, logits)
    monkeypatch.setattr(metrics, "ROWS", 10)
    assert compute(labels, logits) == whole


@pytest.mark.parametrize("classes", [2, 5])
def test_calibration_agrees_with_sklearn_and_torchmetrics(classes):
    labels, logits = sample(classes=classes)
    values, prob = compute(labels, logits), logits.softmax(1)
    assert values["log_loss", None] == pytest.approx(sk.log_loss(labels, prob), abs=1e-12)
    brier = sk.brier_score_loss(np.eye(classes)[labels], prob.numpy(), scale_by_half=False)
    assert values["brier", None] == pytest.approx(brier, abs=1e-12)
    ece = tm.multiclass_calibration_error(prob, labels, classes, n_bins=metrics.BINS)
    assert values["ece", None] == pytest.approx(float(ece), abs=1e-5)
    by_class = [tm.binary_calibration_error(prob[:, c], (labels == c).long(), n_bins=15) for c in range(classes)]
    assert values["classwise_ece", None] == pytest.approx(float(torch.stack(by_class).mean()), abs=1e-5)


def test_torchmetrics_rounds_the_calibration_error_of_good_networks_away():
    """Why it is computed here: float32 sums of confidences near 1 drift."""
    labels, logits = sample(n=100_000, classes=10, gain=12.0)
    ours = compute(labels, logits)["ece", None]
    prob, right = logits.softmax(1).max(1)[0].numpy(), (logits.argmax(1) == labels).numpy()
    bins = np.minimum((prob * 15).astype(int), 14)
    exact = sum(abs(math.fsum(prob[bins == b]) - right[bins == b].sum()) for b in range(15)) / len(prob)
    assert ours == pytest.approx(exact, rel=1e-9)
    theirs = float(tm.multiclass_calibration_error(logits.softmax(1), labels, 10, n_bins=15))
    assert abs(theirs - exact) > 0.2 * exact


# Chance --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [[5, 1], [9, 9, 9], [10, 8, 6, 4, 2]])
def test_chance_is_what_a_guess_scores(counts):
    classes = len(counts)
    labels = torch.arange(classes).repeat(5000)
    generator = torch.Generator().manual_seed(0)
    guess = torch.randint(classes, labels.shape, generator=generator)
    guessed = metrics.compute(labels, score(one_hot(guess, classes, 1e4)), torch.tensor(counts))
    uniform = compute(labels, torch.zeros(len(labels), classes, dtype=torch.float64), torch.tensor(counts))
    chance = metrics.chance(counts)
    assert chance.keys() == guessed.keys()
    for key, value in chance.items():
        if key[0] == "prevalence" or value is None:
            assert value is None
        elif key[0] in ("f1", "precision", "positive_recall", "average_precision"):
            assert value == 0, "of a rare class a guess is worth no more than its prevalence"
        elif key[0].removeprefix("few_") in ("brier", "log_loss", "entropy", "recall_at_precision"):
            assert value == pytest.approx(uniform[key])
        else:
            assert value == pytest.approx(guessed[key], abs=0.015), key
