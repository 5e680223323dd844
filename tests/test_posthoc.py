"""Post-hoc corrections against hand arithmetic and plain loops.

.venv/bin/python -m pytest -n 0 tests/test_posthoc.py
"""

import pytest
import torch
from torch import nn

from counterpoise import registry
from counterpoise.errors import ImpossibleCell
from counterpoise.methods.rebalancing.em_prior import log_shares
from counterpoise.methods.rebalancing.tau_norm import rescaled
from counterpoise.scoring.evidence import Evidence


def build(name, **options):
    return registry.build("rebalancing", {"name": name, **options})


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def evidence(counts=(1, 1), **known):
    counts = torch.tensor(counts)
    return Evidence(counts, counts, **known)


# tau-normalisation -------------------------------------------------------------------------------------------


def test_tau_norm_of_two_classes_by_hand():
    # weights (3, 4) of norm 5 and (0, 2) of norm 2, biases 1 and -1, feature (1, 1): w x = 7 and 2
    known = evidence(head_norm_C=torch.tensor([5.0, 2.0]).double(), head_bias_C=torch.tensor([1.0, -1.0]).double())
    logits = torch.tensor([[8.0, 1.0]]).double()
    for tau, keep, expected in [(1.0, False, [7 / 5, 1]), (2.0, False, [7 / 25, 0.5]), (1.0, True, [12 / 5, 0])]:
        corrected = build("tau_norm", tau=tau, keep_bias=keep).fit(known)(logits).decision_BC
        assert corrected[0].tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("keep_bias", [False, True])
def test_tau_norm_of_logits_is_that_of_the_weights(tau, keep_bias):
    head, x = nn.Linear(6, 4).double(), normal(9, 6)
    known = evidence((9, 5, 2, 1), head_norm_C=head.weight.norm(dim=1), head_bias_C=head.bias)
    corrected = build("tau_norm", tau=tau, keep_bias=keep_bias).fit(known)(head(x)).decision_BC
    weight, bias = rescaled(head.weight, head.bias, tau, keep_bias)
    assert torch.allclose(corrected, x @ weight.T + bias, rtol=1e-12)
    for row, own in zip(weight, head.weight, strict=True):
        assert torch.allclose(row, own / own.square().sum().sqrt() ** tau, rtol=1e-14)
    assert tau != 1 or torch.allclose(weight.norm(dim=1), torch.ones(4).double(), rtol=1e-14)


def test_a_weight_of_norm_zero_says_nothing_and_another_head_cannot_be_normalised():
    weight, bias = rescaled(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([1.0, 1.0]), 1.0)
    assert weight.tolist() == pytest.approx(torch.tensor([[0, 0], [0.6, 0.8]]))
    assert not bias.any()
    with pytest.raises(ImpossibleCell, match="linear head"):
        build("tau_norm").fit(evidence())


# EM ----------------------------------------------------------------------------------------------------------


def test_one_step_of_em_by_hand():
    # one example, p = (.8, .2) under priors (.75, .25): the estimate starts at the priors, so the first posterior is p
    logits = torch.tensor([[0.8, 0.2]]).double().log()
    first = log_shares(logits, torch.tensor([0.75, 0.25]).double().log(), 1)
    assert first.exp().tolist() == pytest.approx([0.8, 0.2], rel=1e-12)
    # second: .8 * .8 / .75 against .2 * .2 / .25
    second = log_shares(logits, torch.tensor([0.75, 0.25]).double().log(), 2)
    a, b = 0.8 * 0.8 / 0.75, 0.2 * 0.2 / 0.25
    assert second.exp().tolist() == pytest.approx([a / (a + b), b / (a + b)], rel=1e-12)


@pytest.mark.parametrize(("classes", "size"), [(2, 40), (5, 200)])
def test_em_is_saerens_equation_term_by_term(classes, size):
    logits, prior = normal(size, classes) * 2, normal(classes, seed=1).softmax(0)
    p, shares = logits.softmax(1), prior.clone()
    for _ in range(30):
        total = torch.zeros(classes).double()
        for row in p:
            weighted = row * shares / prior
            total += weighted / weighted.sum()
        shares = total / size
    assert torch.allclose(log_shares(logits, prior.log(), 30).exp(), shares, rtol=1e-6)


def test_em_finds_the_shares_of_a_shifted_test_part():
    # two classes one apart in a Gaussian feature; trained balanced, tested at 9 to 1: the log-odds are exactly x
    drawn = torch.Generator().manual_seed(0)
    labels = (torch.rand(20000, generator=drawn, dtype=torch.float64) < 0.1).double()
    x = (2 * labels - 1) * 1.0 + torch.randn(20000, generator=drawn, dtype=torch.float64)
    logits = torch.stack([-x, x], dim=1)
    rule = build("em_prior").fit(evidence((50, 50), test_logits_BC=logits))
    shift = (rule(logits).decision_BC - logits)[0]
    assert shift.exp().tolist() == pytest.approx([0.9 / 0.5, 0.1 / 0.5], rel=0.05)


def test_em_stays_finite_for_a_class_that_the_test_part_lacks_and_needs_the_test_part():
    logits = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1e4, -1e4]]).double()
    rule = build("em_prior").fit(evidence((10, 5, 1), test_logits_BC=logits))
    assert rule(logits).log_prob_BC.isfinite().all()
    assert rule(logits).decision_BC.argmax(1).tolist() == [0, 1]
    with pytest.raises(ImpossibleCell, match="test"):
        build("em_prior").fit(evidence())


# Tuned logit adjustment --------------------------------------------------------------------------------------


def test_tau_is_the_one_with_the_best_balanced_accuracy():
    # priors .9 and .1, log ratio log 9; class 1 needs tau > 1.3, class 0 tau < 1.6: of the grid only 1.5 does both
    gap = torch.tensor(9.0).double().log()
    logits = torch.stack([torch.zeros(2).double(), torch.tensor([-1.6, -1.3]) * gap], dim=1)
    known = evidence((90, 10), val_logits_BC=logits, val_labels_B=torch.tensor([0, 1]))
    corrected = build("logit_adjustment_tuned", points=5).fit(known)(logits).decision_BC - logits
    assert (corrected[:, 1] - corrected[:, 0]).tolist() == pytest.approx([1.5 * float(gap)] * 2, rel=1e-12)


def test_of_equally_good_values_the_one_nearest_to_1_wins():
    logits = torch.tensor([[50.0, 0], [0, 50.0]]).double()
    known = evidence((90, 10), val_logits_BC=logits, val_labels_B=torch.tensor([0, 1]))
    plain = build("logit_adjustment").fit(known)(logits).decision_BC
    assert torch.allclose(build("logit_adjustment_tuned").fit(known)(logits).decision_BC, plain, rtol=1e-14)


# Multiplicative adjustment -----------------------------------------------------------------------------------


def test_multiplicative_adjustment_by_hand():
    # priors .8 and .2: factors .8^-1 = 1.25 and .2^-1 = 5; squared 1.5625 and 25
    logits = torch.tensor([[2.0, -1.0]]).double()
    for tau, expected in [(0.0, [2, -1]), (1.0, [2.5, -5]), (2.0, [3.125, -25])]:
        rule = build("multiplicative_logit_adjustment", tau=tau).fit(evidence((80, 20)))
        assert rule(logits).decision_BC[0].tolist() == pytest.approx(expected, rel=1e-12)


# Backdoor adjustment -----------------------------------------------------------------------------------------


def test_backdoor_adjustment_decides_by_the_product_of_the_experts():
    # softmaxes (.8, .2), (.5, .5) and (.1, .9): products .04 and .09
    experts = torch.tensor([[[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]], dtype=torch.float64).log()
    found = build("backdoor_adjustment").fit(evidence())(experts)
    assert found.log_prob_BC.exp()[0].tolist() == pytest.approx([0.04 / 0.13, 0.09 / 0.13], rel=1e-12)
