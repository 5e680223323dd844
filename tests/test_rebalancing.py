"""Post-hoc corrections against their definitions, the published example, and logits at the end of the scale."""

import math

import numpy as np
import pytest
import scipy.optimize
import sklearn.metrics as sk
import torch

from counterpoise import registry
from counterpoise.errors import ImpossibleCell
from counterpoise.methods.rebalancing.temperature_scaling import temperature
from counterpoise.scoring import metrics
from counterpoise.scoring.evidence import Evidence, Scores, log_odds

# These read more than counts and validation, or are not blind to a shift of all logits: test_posthoc, test_experts.
ELSEWHERE = {"backdoor_adjustment", "em_prior", "multiplicative_logit_adjustment", "sade_aggregation", "tau_norm"}
ALL = [name for name in registry.names("rebalancing") if name not in ELSEWHERE]
FOR_ANY = [name for name in ALL if not hasattr(registry.method("rebalancing", name), "binary")]


def evidence(unique, seen=None, val=(None, None)):
    return Evidence(torch.tensor(unique), torch.tensor(unique if seen is None else seen), *val)


def sample(classes, n=600, seed=0, scale=1.0):
    """Return labels of every class and float64 logits that came through float32, as those of a network do."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.arange(classes), torch.randint(classes, (n - classes,), generator=generator)])
    logits = torch.randn(n, classes, generator=generator)
    logits[torch.arange(n), labels] += 1.5
    return labels, (logits * scale).double()


def long_tail(classes):
    return [max(1, round(1000 * 0.01 ** (c / (classes - 1)))) for c in range(classes)]


def fitted(name, known, **options):
    return registry.build("rebalancing", {"name": name, **options}).fit(known)


# Every method ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("name", FOR_ANY)
def test_contract(name, classes, scale):
    labels, logits = sample(classes, scale=scale)
    before = logits.clone()
    rule = fitted(name, evidence(long_tail(classes), val=(logits[::2], labels[::2])))
    scores = rule(logits)
    assert isinstance(scores, Scores)
    for view in (scores.decision_BC, scores.ranking_BC, scores.log_prob_BC):
        assert view.shape == logits.shape
        assert view.dtype == torch.float64
        assert view.isfinite().all()
    assert torch.allclose(scores.log_prob_BC.exp().sum(1), torch.ones(len(logits), dtype=torch.float64))
    assert (scores.log_prob_BC <= 0).all()
    chosen = scores.decision_BC.argmax(1)[:, None]
    assert torch.allclose(scores.log_prob_BC.gather(1, chosen)[:, 0], scores.log_prob_BC.max(1)[0])
    assert torch.equal(logits, before), "a correction must not write into its input"
    one_by_one = torch.cat([rule(row).log_prob_BC for row in logits[:5].split(1)])
    assert torch.equal(one_by_one, scores.log_prob_BC[:5]), "examples do not see each other"
    shifted = rule(logits + 3.0)
    assert torch.allclose(shifted.log_prob_BC, scores.log_prob_BC, atol=1e-9)


@pytest.mark.parametrize("name", FOR_ANY)
def test_equal_counts_correct_nothing_but_the_temperature(name):
    labels, logits = sample(4)
    scores = fitted(name, evidence([50] * 4, val=(logits, labels)))(logits)
    assert torch.equal(scores.decision_BC.argmax(1), logits.argmax(1))


@pytest.mark.parametrize("name", ["prior_threshold", "logit_adjustment"])
def test_a_class_without_examples_is_an_error(name):
    with pytest.raises(ImpossibleCell, match=r"prior of class 1, 3 is 0: the training part has no example"):
        fitted(name, evidence([5, 0, 1, 0]))


@pytest.mark.parametrize("name", ALL)
def test_needs_validation_says_what_fit_does(name):
    method = registry.build("rebalancing", {"name": name})
    if not method.needs_validation:
        method.fit(evidence([3, 1]))
        return
    with pytest.raises(ImpossibleCell, match="set `validation`"):
        method.fit(evidence([3, 1]))


# Prior thresholding ------------------------------------------------------------------------------------------


def test_the_example_of_the_first_author():
    """https://mateuszbuda.github.io/2018/09/15/thresholding.html"""
    logits = torch.tensor([[0.2, 0.2, 0.6]], dtype=torch.float64).log()
    scores = fitted("prior_threshold", evidence([100, 400, 500]))(logits)
    assert torch.allclose(scores.decision_BC.exp(), torch.tensor([[2.0, 0.5, 1.2]], dtype=torch.float64))
    assert scores.decision_BC.argmax() == 0
    assert scores.log_prob_BC.exp()[0].tolist() == pytest.approx([2 / 3.7, 0.5 / 3.7, 1.2 / 3.7])


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("classes", [2, 10])
def test_dividing_by_priors_cannot_change_one_vs_rest_auc(classes, scale):
    labels, logits = sample(classes, scale=scale)
    known = evidence(long_tail(classes))
    plain, divided = (
        metrics.compute(labels, fitted(name, known)(logits), known.unique_C) for name in ("none", "prior_threshold")
    )
    for name in ("auc_ovr", "auc_ovo", "auprc", "recall_at_precision"):
        assert divided[name, None] == plain[name, None]
    if scale == 1.0:  # leads of thousands of nats outweigh any prior
        assert divided["few_recall", None] > plain["few_recall", None]


def test_and_by_scikit_learn_it_does_not_either():
    labels, logits = sample(10)
    counts = np.array(long_tail(10))
    prob = logits.softmax(1).numpy()
    quotient = prob / (counts / counts.sum())
    ours = metrics.compute(labels, fitted("prior_threshold", evidence(counts.tolist()))(logits), torch.tensor(counts))
    for scores in (prob, quotient):
        by_class = [sk.roc_auc_score(labels == c, scores[:, c]) for c in range(10)]
        assert ours["auc_ovr", None] == pytest.approx(np.mean(by_class), abs=1e-12)
    assert ours["accuracy", None] == (quotient.argmax(1) == labels.numpy()).mean()


def test_priors_of_what_the_batches_contained():
    _, logits = sample(3)
    known = evidence([90, 9, 1], seen=[500, 500, 500])
    assert torch.equal(fitted("prior_threshold", known, priors="seen")(logits).decision_BC.argmax(1), logits.argmax(1))
    by_unique = fitted("prior_threshold", known)(logits).decision_BC - logits
    assert by_unique[0].exp().tolist() == pytest.approx([1 / 0.9, 1 / 0.09, 1 / 0.01])
    with pytest.raises(ImpossibleCell, match="what the batches contained has no example"):
        fitted("prior_threshold", evidence([9, 1], seen=[9, 0]), priors="seen")


def test_at_equal_strength_decisions_are_those_of_logit_adjustment():
    _, logits = sample(5, scale=5.0)
    known = evidence(long_tail(5))
    threshold, adjusted = (fitted(name, known)(logits) for name in ("prior_threshold", "logit_adjustment"))
    assert torch.equal(threshold.decision_BC, adjusted.decision_BC)
    assert torch.equal(threshold.log_prob_BC, adjusted.log_prob_BC)
    assert not torch.equal(threshold.ranking_BC, adjusted.ranking_BC)


# Logit adjustment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tau", [0.0, 0.5, 2.0])
def test_logit_adjustment(tau):
    _, logits = sample(3)
    prior = torch.tensor([0.8, 0.15, 0.05], dtype=torch.float64)
    scores = fitted("logit_adjustment", evidence([80, 15, 5]), tau=tau)(logits)
    expected = logits.softmax(1) / prior**tau
    assert torch.allclose(scores.log_prob_BC.exp(), expected / expected.sum(1, keepdim=True), atol=1e-14)
    assert torch.equal(scores.ranking_BC, log_odds(scores.decision_BC))


def test_it_recovers_a_bayes_classifier_for_balanced_classes():
    """Two unit Gaussians with known densities: the corrected threshold is the midpoint, whatever the prior."""
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    log_prior = torch.tensor([0.99, 0.01], dtype=torch.float64).log()
    posterior = torch.stack([-((x + 1) ** 2) / 2, -((x - 1) ** 2) / 2], dim=1) + log_prior
    decided = fitted("logit_adjustment", evidence([99, 1]))(posterior).decision_BC.argmax(1)
    clear = x.abs() > 1e-9
    assert torch.equal(decided[clear], (x > 0).long()[clear])


# Temperature -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0, 1e4])
def test_temperature_minimises_the_validation_loss(scale):
    labels, logits = sample(4, scale=scale)

    def loss(log_t):
        return float(torch.nn.functional.cross_entropy(logits / math.exp(log_t), labels))

    found = scipy.optimize.minimize_scalar(loss, bounds=(math.log(0.05), math.log(1e6)), method="bounded")
    t = temperature(logits, labels)
    assert loss(math.log(t)) <= loss(found.x) + 1e-12
    assert t == pytest.approx(temperature(logits / scale, labels) * scale, rel=1e-6)


def test_temperature_of_calibrated_logits_is_one():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(50_000, 3, generator=generator, dtype=torch.float64)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    assert temperature(logits, labels) == pytest.approx(1, abs=0.02)
    assert temperature(3 * logits, labels) == pytest.approx(3, abs=0.06)


def test_temperature_without_a_minimum_stays_in_its_range():
    logits = torch.eye(3, dtype=torch.float64) * 5
    assert temperature(logits, torch.arange(3)) == 0.05  # separated without an error
    assert temperature(logits, (torch.arange(3) + 1) % 3) == 1e6  # always wrong


def test_temperature_changes_no_decision_and_uses_the_validation_part_only():
    labels, logits = sample(4, scale=6.0)
    rule = fitted("temperature_scaling", evidence([1] * 4, val=(logits[:300], labels[:300])))
    scores, t = rule(logits[300:]), temperature(logits[:300], labels[:300])
    assert torch.equal(scores.decision_BC.argmax(1), logits[300:].argmax(1))
    assert torch.equal(scores.log_prob_BC, (logits[300:] / t).log_softmax(1))
