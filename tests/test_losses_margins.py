"""Losses that move margins, scale logits, smooth labels or weigh classes, against arithmetic done by hand.

.venv/bin/python -m pytest -n 0 tests/test_losses_margins.py
"""

from math import exp, log, pi, sin
from typing import Any

import pytest
import torch
from sklearn.metrics import log_loss
from torch.nn import functional as F

from counterpoise import registry

QUARTER = [0.0, log(3)]  # logits of the probabilities 1/4 and 3/4


def build(name, **options):
    return registry.build("losses", {"name": name, **options})


def tensor(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def given(method, labels, counts, dtype=torch.float64):
    """Return what a loss asks for besides, from a fixed seed."""
    possible = {
        "noise": lambda: method.draw(labels, counts, seeded(3)),
        "features_BD": lambda: normal(len(labels), 4, seed=4).to(dtype),
    }
    return {key: possible[key]() for key in getattr(method, "uses", ()) if key in possible}


def score(name, logits, labels, counts, **options):
    method = build(name, **options)
    return method(logits, labels, counts, **given(method, labels, counts, logits.dtype))


# Values ------------------------------------------------------------------------------------------------------

BY_HAND: dict[str, Any] = {
    # the sum of the weights divides: labels 0 and 1 weigh 2 and 1
    "weighted cross-entropy": (
        *("cross_entropy", {}, {"class_weights_C": tensor([2, 1])}, [QUARTER] * 2, [0, 1], [1, 1]),
        (2 * log(4) + log(4 / 3)) / 3,
    ),
    "focal": ("focal", {"gamma": 2.0}, {}, [QUARTER], [0], [1, 1], 0.75**2 * log(4)),
    # the code: w CE = 2 log 4, so p = 1/16; the mean is over examples, whatever they weigh
    "focal, weight in p": (
        *("focal", {}, {"class_weights_C": tensor([2, 0])}, [QUARTER] * 2, [0, 1], [1, 1]),
        15 / 16 * 2 * log(4) / 2,
    ),
    "focal, weight outside": (
        *("focal", {"variant": "paper"}, {"class_weights_C": tensor([2, 0])}, [QUARTER] * 2, [0, 1], [1, 1]),
        3 / 4 * 2 * log(4) / 2,
    ),
    # effective numbers 1 and 1.5, so weights 1.2 and 0.8
    "class-balanced": (
        *("class_balanced", {"beta": 0.5}, {}, [QUARTER] * 3, [0, 0, 1], [1, 2]),
        (2.4 * log(4) + 0.8 * log(4 / 3)) / 3,
    ),
    "class-balanced over weights": (
        *("class_balanced", {"beta": 0.5, "divide_by": "weights"}, {}, [QUARTER] * 3, [0, 0, 1], [1, 2]),
        (2.4 * log(4) + 0.8 * log(4 / 3)) / 3.2,
    ),
    # sigmoid of [0, log 3] is 1/2 and 3/4; the label is class 0
    "class-balanced sigmoid": (
        *("class_balanced", {"beta": 0.5, "base": "sigmoid"}, {}, [QUARTER], [0], [1, 2]),
        1.2 * (log(2) + log(4)),
    ),
    "class-balanced focal": (
        *("class_balanced", {"beta": 0.5, "base": "focal", "gamma": 2.0}, {}, [QUARTER], [0], [1, 2]),
        1.2 * (0.5**2 * log(2) + 0.75**2 * log(4)),
    ),
    "balanced softmax": ("balanced_softmax", {}, {}, [QUARTER], [0], [9, 1], log(12 / 9)),
    # 9 x 1 against 1 x 3
    "logit adjustment": ("logit_adjustment", {"tau": 2.0}, {}, [QUARTER], [1], [3, 1], log(4)),
    # squared priors .25 and .25: nothing but the offset, which is far below them
    "logit adjustment, code": (
        *("logit_adjustment", {"variant": "official_code"}, {}, [QUARTER], [0], [1, 1]),
        log(4),
    ),
    # prior 1e-6, squared 1e-12, to which the code adds as much again
    "logit adjustment, code's floor": (
        *("logit_adjustment", {"tau": 2.0, "variant": "official_code"}, {}, [[0.0, 0.0]], [1], [999999, 1]),
        log(1 + 0.999999**2 / 2e-12),
    ),
    # fourth roots 2 and 1: margins .25 and .5
    "LDAM": ("ldam", {}, {}, [[0.1, 0.2]], [0], [16, 1], log(1 + exp(30 * (0.2 - (0.1 - 0.25))))),
    "LDAM, weighted": (
        *("ldam", {"scale": 1.0, "max_margin": log(9)}, {"class_weights_C": tensor([1, 3])}),
        *([[0.0, 0.0]] * 2, [0, 1], [16, 1]),
        (log(1 + 3) + 3 * log(1 + 9)) / 4,
    ),
    # temperatures 1 and 2
    "CDT": ("cdt", {"gamma": 0.5}, {}, [[0.0, 2 * log(3)]], [0], [4, 1], log(4)),
    # the same, then 4 x 1 against 1 x 3
    "VS": ("vs_loss", {"gamma": 0.5, "tau": 1.0}, {}, [[0.0, 2 * log(3)]], [1], [4, 1], log(7 / 3)),
    "label smoothing": (
        *("label_smoothing", {"epsilon": 0.2}, {}, [QUARTER], [0], [1, 1]),
        0.9 * log(4) + 0.1 * log(4 / 3),
    ),
    # p = 1/8, 1/4, 5/8; the middle class loses .3
    "label-aware, code": (
        *("label_aware_smoothing", {"head": 0.4, "tail": 0.2, "shape": "linear"}, {}),
        *([[log(1), log(2), log(5)]], [1], [5, 3, 1]),
        0.7 * log(4) + 0.1 * (log(8) + log(4) + log(1.6)),
    ),
    "label-aware, paper": (
        *("label_aware_smoothing", {"head": 0.4, "tail": 0.2, "shape": "linear", "variant": "paper"}, {}),
        *([[log(1), log(2), log(5)]], [1], [5, 3, 1]),
        0.7 * log(4) + 0.15 * (log(8) + log(1.6)),
    ),
    # clouds 0 and 1, so class 1 is lowered by .5 x .5, whatever the sign, and the label by .1 more
    "GCL": (
        *("gcl", {"margin": 0.1, "scale": 10.0}, {"noise": tensor([[-1, -0.5]])}, [[0.0, 0.0]], [1], [2, 1]),
        log(1 + exp(3.5)),
    ),
    "GCL, second stage": (
        *("gcl", {"scale": 10.0, "gamma": 1.0}, {"noise": tensor([[-1, -0.5]])}, [[0.0, 0.0]], [1], [2, 1]),
        exp(2.5) / (1 + exp(2.5)) * log(1 + exp(2.5)),
    ),
    # the third class is left out of the sum where the label is the second, which is rare too but its own
    "SEQL": ("seql", {"rare": 0.05}, {"noise": torch.ones(1, 3)}, [[0.0, 0.0, 5.0]], [1], [98, 1, 1], log(2)),
    "SEQL, not drawn": (
        *("seql", {"rare": 0.05}, {"noise": torch.tensor([[True, True, False]])}, [[0.0] * 3], [0], [98, 1, 1]),
        log(2),
    ),
    # |p - y| = 1.5, |h| = 4, weights 1.5 and .5
    "influence": (
        *("influence_balanced", {}, {"features_BD": tensor([[3, -1]])}, [QUARTER], [0], [1, 3]),
        1.5 * 1000 / 6.001 * log(4),
    ),
    "influence, class weights": (
        *("influence_balanced", {"reweight": "none", "alpha": 1.0}),
        {"features_BD": tensor([[3, -1], [0, 0]]), "class_weights_C": tensor([7, 2])},
        *([QUARTER] * 2, [0, 1], [1, 3]),
        (7 / 6.001 * log(4) + 2 / 0.001 * log(4 / 3)) / 2,
    ),
    "influence, too early": (
        *("influence_balanced", {}, {"features_BD": tensor([[3, -1]]), "progress": 0.49}, [QUARTER], [0], [1, 3]),
        log(4),
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_a_loss_by_hand(case):
    name, options, extra, logits, labels, counts, expected = BY_HAND[case]
    loss = build(name, **options)(tensor(logits), torch.tensor(labels), tensor(counts), **extra)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("variant", ["paper", "official_code"])
@pytest.mark.parametrize("counts", [[80, 15, 5], [50, 2], [9, 9, 9, 1]])
def test_lade_term_by_term(variant, counts):
    labels = [0, 1, 1, 0, 1]  # some classes are not in the batch
    logits, share = normal(5, len(counts)), [n / sum(counts) for n in counts]
    ratio = [(1 / len(counts) + 1e-9) / (p + 1e-9) for p in share]
    expected = F.cross_entropy(logits + tensor(share).log(), torch.tensor(labels)).item()
    for c in range(len(counts)):
        own = [logits[i, c].item() for i in range(5) if labels[i] == c]
        of = [c if variant == "official_code" else labels[i] for i in range(5)]
        mean = log(sum(ratio[of[i]] * exp(logits[i, c]) for i in range(5)) / 5)
        expected -= 0.3 * share[c] * (sum(own) / max(len(own), 1) - mean - 0.2 * mean**2)
    loss = score("lade", logits, torch.tensor(labels), tensor(counts), regularizer=0.3, remine=0.2, variant=variant)
    assert loss.item() == pytest.approx(expected, rel=1e-7)  # the code's epsilons are 1e-9 of a prior


@pytest.mark.parametrize("counts", [[300, 40, 5], [20, 20], [7, 1]])
def test_weighting_and_reweighted_priors_are_those_of_scikit_learn(counts):
    counts, logits = tensor(counts), normal(40, len(counts))
    labels = torch.arange(40) % len(counts)
    method = build("class_balanced", beta=0.99, divide_by="weights")
    weighted = log_loss(labels, logits.softmax(1), sample_weight=method.weights(counts)[labels])
    assert method(logits, labels, counts).item() == pytest.approx(weighted, rel=1e-12)
    tilted = logits.softmax(1) * counts
    expected = log_loss(labels, tilted / tilted.sum(1, keepdim=True))
    assert score("balanced_softmax", logits, labels, counts).item() == pytest.approx(expected, rel=1e-12)


# What a count becomes ----------------------------------------------------------------------------------------


def test_margins_weights_clouds_and_shares_by_hand():
    def near(values):
        return pytest.approx(values, rel=1e-12)

    assert build("ldam").margins(tensor([81, 16, 1])).tolist() == near([1 / 6, 1 / 4, 1 / 2])
    assert build("class_balanced", beta=0.5).weights(tensor([1, 2])).tolist() == near([1.2, 0.8])
    assert build("class_balanced", beta=0.0).weights(tensor([9, 1])).tolist() == [1, 1]
    assert build("influence_balanced").weights(tensor([1, 3])).tolist() == near([1.5, 0.5])
    assert build("gcl").clouds(tensor([8, 4, 2])).tolist() == near([0, 0.5, 1])
    for shape, middle in {
        "linear": 0.3,
        "concave": 0.2 + 0.2 * sin(pi / 4),
        "convex": 0.4 - 0.2 * sin(pi / 4),
    }.items():
        share = build("label_aware_smoothing", head=0.4, tail=0.2, shape=shape).smoothing(tensor([5, 3, 1]))
        assert share.tolist() == near([0.4, middle, 0.2])


def test_effective_numbers_keep_their_digits():
    counts = [5000.0, 50.0, 1.0]
    inverse = [1 / (1 - 0.9999**n) for n in counts]
    weights = build("class_balanced").weights(tensor(counts, torch.float32))
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([3 * i / sum(inverse) for i in inverse], rel=1e-6)


COUNTED = ["balanced_softmax", "cdt", "class_balanced", "gcl", "influence_balanced", "label_aware_smoothing", "lade"]
COUNTED += ["ldam", "logit_adjustment", "seql", "vs_loss"]


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("other", [torch.float32, torch.int64])
def test_the_type_of_the_counts_costs_no_digits(name, other):
    counts, labels = tensor([300, 30, 7]), torch.tensor([0, 0, 1, 2, 1])
    exact = score(name, normal(5, 3), labels, counts)
    method = build(name)
    loss = method(normal(5, 3), labels, counts.to(other), **given(method, labels, counts))
    assert loss.item() == pytest.approx(exact.item(), rel=1e-14)


def test_an_absent_class_leaves_margins_weights_and_clouds_of_the_others_alone():
    with_it, without = tensor([50, 0, 7]), tensor([50, 7])
    for of in (build("ldam").margins, build("class_balanced").weights, build("influence_balanced").weights):
        assert of(with_it)[1] == 0
        assert torch.equal(of(with_it)[[0, 2]], of(without))
    assert build("gcl").clouds(with_it).tolist() == [0, 1, 1]


def test_equal_counts_have_no_cloud_and_one_share():
    assert build("gcl").clouds(tensor([5, 5])).tolist() == [0, 0]
    assert build("label_aware_smoothing", tail=0.1).smoothing(tensor([5, 5])).tolist() == pytest.approx([0.1, 0.1])


@pytest.mark.parametrize("name", ["balanced_softmax", "logit_adjustment", "vs_loss"])
def test_an_absent_class_has_no_part_in_a_softmax_with_priors(name):
    logits, labels = normal(6, 3), torch.tensor([0, 2, 2, 0, 0, 0])
    loss = score(name, logits, labels, tensor([50, 0, 7]))
    dropped = score(name, logits[:, [0, 2]], labels // 2, tensor([50, 7]))
    assert loss.item() == pytest.approx(dropped.item(), rel=1e-12)


def test_an_absent_class_has_the_logit_nought_at_an_infinite_temperature():
    logits, labels = normal(6, 3), torch.tensor([0, 2, 2, 0, 0, 0])
    zeroed = logits * tensor([1, 0, 1])
    for name, options in (("cdt", {}), ("vs_loss", {"gamma": 0.2, "tau": 0.0})):
        loss = score(name, logits, labels, tensor([50, 0, 7]), **options)
        assert torch.equal(loss, score(name, zeroed, labels, tensor([50, 0, 7]), **options))
        assert loss != score(name, logits, labels, tensor([50, 1, 7]), **options)


# One loss is another -----------------------------------------------------------------------------------------

SAME = [
    (("vs_loss", {"gamma": 0.3, "tau": 0.0}), ("cdt", {"gamma": 0.3})),
    (("vs_loss", {"gamma": 0.0, "tau": 1.5}), ("logit_adjustment", {"tau": 1.5})),
    (("logit_adjustment", {}), ("balanced_softmax", {})),
    (("logit_adjustment", {"variant": "official_code"}), ("balanced_softmax", {})),
    (("lade", {"regularizer": 0.0}), ("balanced_softmax", {})),
    (("gcl", {"cloud": 0.0}), ("ldam", {"max_margin": 0.0})),
    (("class_balanced", {"base": "focal", "gamma": 0.0}), ("class_balanced", {"base": "sigmoid"})),
    (("label_aware_smoothing", {"head": 0.1, "tail": 0.1}), ("label_smoothing", {"epsilon": 0.1})),
    *[
        ((name, options), ("cross_entropy", {}))
        for name, options in {
            "focal": {"gamma": 0.0},
            "class_balanced": {"beta": 0.0},
            "logit_adjustment": {"tau": 0.0},
            "cdt": {"gamma": 0.0},
            "label_smoothing": {"epsilon": 0.0},
            "label_aware_smoothing": {"head": 0.0},
            "ldam": {"max_margin": 0.0, "scale": 1.0},
            "seql": {"gamma": 0.0, "rare": 1.0},
        }.items()
    ],
]


@pytest.mark.parametrize(("one", "other"), SAME)
@pytest.mark.parametrize("counts", [[80, 15, 5], [90, 10], [5, 5, 1, 1]])
def test_a_loss_is_another_at_the_setting_where_it_must_be(one, other, counts):
    counts, labels = tensor(counts), torch.tensor([0, 0, 1, 1, 0, 1])
    logits = normal(6, len(counts)).requires_grad_()
    values = [score(name, logits, labels, counts, **options) for name, options in (one, other)]
    assert values[0].item() == pytest.approx(values[1].item(), rel=1e-7)
    slopes = [torch.autograd.grad(value, logits)[0] for value in values]
    assert torch.allclose(slopes[0], slopes[1], rtol=1e-7, atol=1e-10)


# Gradients ---------------------------------------------------------------------------------------------------


def test_the_gradient_of_a_margin_or_a_temperature_is_the_softmax_less_the_target_times_the_scale():
    labels, counts, logits = torch.tensor([0, 2, 1, 1]), tensor([256, 16, 1]), normal(4, 3).tanh().requires_grad_()
    target = F.one_hot(labels, 3).double()
    shifted = logits.detach() - target * tensor([0.125, 0.25, 0.5])
    expected = {
        "ldam": 30 * ((30 * shifted).softmax(1) - target) / 4,
        "cdt": tensor([1, 1 / 4, 1 / 16]) * ((logits.detach() * tensor([1, 1 / 4, 1 / 16])).softmax(1) - target) / 4,
    }
    for name, options in (("ldam", {}), ("cdt", {"gamma": 0.5})):
        slope = torch.autograd.grad(score(name, logits, labels, counts, **options), logits)[0]
        assert torch.allclose(slope, expected[name], rtol=1e-12)


def test_influence_passes_its_gradient_on_to_the_features():
    logits, labels = tensor([QUARTER]), torch.tensor([0])
    features = tensor([[3, -1]]).requires_grad_()
    method = build("influence_balanced", reweight="none", alpha=1.0)
    method(logits, labels, tensor([1, 1]), features_BD=features).backward()
    slope = -log(4) * 1.5 / 6.001**2  # of log 4 / (1.5 |h| + .001)
    assert features.grad.tolist()[0] == pytest.approx([slope, -slope], rel=1e-12)


def test_the_focal_factor_of_gcl_is_a_constant_to_the_gradient():
    logits, labels, counts = tensor([QUARTER]).requires_grad_(), torch.tensor([0]), tensor([1, 1])
    loss = build("gcl", scale=1.0, gamma=2.0)(logits, labels, counts, noise=torch.zeros(1, 2))
    slope = torch.autograd.grad(loss, logits)[0]
    assert slope.tolist()[0] == pytest.approx([-(0.75**3), 0.75**3], rel=1e-12)


# Edges -------------------------------------------------------------------------------------------------------

OPTIONS = [
    *[("focal", {"gamma": gamma, "variant": v}) for gamma in (0.0, 0.5, 2.0) for v in ("paper", "official_code")],
    *[("class_balanced", {"base": base, "divide_by": "weights"}) for base in ("sigmoid", "focal")],
    ("class_balanced", {"beta": 0.0}),
    *[("logit_adjustment", {"tau": tau, "variant": v}) for tau in (0.0, 3.0) for v in ("paper", "official_code")],
    ("vs_loss", {"tau": 0.0}),
    *[("label_aware_smoothing", {"shape": shape, "variant": "paper"}) for shape in ("linear", "convex")],
    ("lade", {"variant": "paper"}),
    ("gcl", {"gamma": 1.0, "margin": 0.1}),
    ("seql", {"rare": 1.0}),
    ("influence_balanced", {"reweight": "none"}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("labels", [[0], [0, 2, 2, 0], [2, 2]])
def test_every_option_stays_finite_at_certain_right_and_wrong_answers_and_an_absent_class(name, options, dtype, labels):
    labels, counts = torch.tensor(labels), tensor([9, 0, 1], dtype)
    right = F.one_hot(labels, 3).to(dtype)
    for scale in (1e4, -1e4, 0.0):
        logits = (right * scale).requires_grad_()
        loss = score(name, logits, labels, counts, **options)
        (slope,) = torch.autograd.grad(loss, logits)
        assert loss.dtype == dtype
        assert loss.isfinite()
        assert slope.isfinite().all()


def test_noise_comes_from_its_generator_alone_and_has_its_distribution():
    labels, counts = torch.zeros(5000, dtype=torch.int64), tensor([9, 5, 1, 1])
    cloud, left_out = build("gcl"), build("seql", gamma=0.7)
    for method in (cloud, left_out):
        noise = method.draw(labels, counts, seeded(1))
        assert noise.shape == (5000, 4)
        assert torch.equal(noise, method.draw(labels, counts, seeded(1)))
        assert not torch.equal(noise, method.draw(labels, counts, seeded(2)))
    noise = cloud.draw(labels, counts, seeded(1))
    assert noise.abs().max() == 1
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    assert noise.std().item() == pytest.approx(1 / 3, abs=0.01)  # .2 % are cut
    assert left_out.draw(labels, counts, seeded(1)).double().mean().item() == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize(("name", "scale"), [("ldam", 30), ("gcl", 30)])
def test_a_cosine_loss_predicts_with_scaled_cosines_without_margins(name, scale):
    cosines = normal(4, 3).tanh()
    assert torch.equal(build(name).scores(cosines), scale * cosines)
