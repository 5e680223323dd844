"""Two-stage and classifier methods against hand arithmetic and plain loops.

.venv/bin/python -m pytest -n 0 tests/test_second_stage.py
"""

from dataclasses import replace
from itertools import product
from math import sqrt

import numpy as np
import pytest
import torch
from torch import nn

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.finetuning import _replay, _selmix
from counterpoise.methods.finetuning.selmix import pairs
from counterpoise.methods.finetuning.stepwise_smooth_tail import divergence
from counterpoise.training import loop
from counterpoise.training.network import Net
from counterpoise.training.network import build as build_network
from counterpoise.training.phases import Batches, Phase, Run


def build(kind, name, **options):
    return registry.build(kind, {"name": name, **options})


def strategy(name, **options):
    return build("finetuning", name, **options)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@pytest.fixture
def phase():
    return Phase(
        steps=100,
        batch_size=16,
        task=build("pretraining", "supervised"),
        sampler=build("samplers", "none"),
        loss=build("losses", "cross_entropy"),
        augmentation=build("augmentation", "none"),
        optimizer=build("optimizers", "sgd"),
        schedule=build("schedules", "step_decay"),
    )


class Rows:
    """Training rows as they are."""

    def __init__(self, x, labels):
        self.x, self.labels = x, torch.tensor(labels)

    def batch(self, positions):
        return self.x[positions], self.labels[positions]

    def standardise(self, x):
        return x


def net_of(features, classes):
    return Net(nn.Identity(), nn.Linear(features, classes).double(), features, classes)


# cRT and LWS -------------------------------------------------------------------------------------------------


def test_crt_trains_a_fresh_head_alone_and_class_balanced(phase):
    method = strategy("crt")
    assert method.phases(phase) == [replace(phase, head_only=True, sampler=build("samplers", "class_balanced"))]
    assert method.fresh_head


def test_lws_scales_whole_logits_and_learns_nothing_else(phase):
    method, net, x = strategy("lws"), net_of(5, 3), normal(7, 5)
    before = net(x)
    method.open(net, None, None)
    assert torch.equal(net(x), before), "scales begin at 1"
    assert [name for name, p in net.named_parameters() if p.requires_grad] == ["head.scale"]
    net.head.scale.data = torch.tensor([1.0, 0.5, 2.0]).double()
    assert torch.allclose(net(x), before * torch.tensor([1, 0.5, 2]), rtol=1e-15)
    [only] = method.phases(phase)
    assert only.head_only
    assert only.sampler == build("samplers", "class_balanced")
    assert not method.fresh_head


# Nearest class mean ------------------------------------------------------------------------------------------

ROWS = Rows(torch.tensor([[2.0, 0], [4, 0], [0, 3]]).double(), [0, 0, 1])  # class means (3, 0) and (0, 3)


def similarities(rows, query, **options):
    net = net_of(rows.x.shape[1], int(rows.labels.max()) + 1)
    strategy("nearest_class_mean", **options).close(net, rows, None)
    return net(query)


def test_nearest_class_mean_by_hand():
    query = torch.tensor([[3.0, 4.0]]).double()  # of norm 5, unit (.6, .8)
    expected = {
        ("plain", "l2"): [-16, -10],
        ("plain", "cosine"): [0.6, 0.8],
        ("plain", "dot"): [4.5, 6],
        ("unit", "l2"): [-(0.4**2) - 0.8**2, -(0.6**2) - 0.2**2],
        ("unit", "dot"): [0.3, 0.4],
    }
    for (features, metric), values in expected.items():
        assert similarities(ROWS, query, features=features, metric=metric)[0].tolist() == pytest.approx(values)


def test_centred_means_are_of_centred_features():
    # overall mean (2, 1): rows become (0, -1), (2, -1) and (-2, 2), of norm 1 only afterwards
    a, b, c = (0, -1), (2 / sqrt(5), -1 / sqrt(5)), (-1 / sqrt(2), 1 / sqrt(2))
    first = ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2)
    values = [-((1 - m[0]) ** 2) - m[1] ** 2 for m in (first, c)]  # the query (7, 1) becomes (1, 0)
    assert similarities(ROWS, torch.tensor([[7.0, 1.0]]).double())[0].tolist() == pytest.approx(values)


@pytest.mark.parametrize("features", ["plain", "unit", "centred_unit"])
def test_the_nearest_mean_is_that_of_a_plain_loop(features):
    labels = [0] * 30 + [1] * 9 + [2]
    x, query = normal(40, 6).abs(), normal(11, 6, seed=1).abs()
    centre = x.mean(0) if features == "centred_unit" else torch.zeros(6)
    own, asked = ((t - centre if features == "plain" else nn.functional.normalize(t - centre)) for t in (x, query))
    means = torch.stack([own[torch.tensor(labels) == c].mean(0) for c in range(3)])
    values = torch.stack([-(q - means).square().sum(1) for q in asked])
    assert torch.allclose(similarities(Rows(x, labels), query, features=features), values, rtol=1e-10)


def test_a_class_without_an_example_has_no_mean():
    with pytest.raises(ImpossibleCell, match="class 1"):
        strategy("nearest_class_mean").close(net_of(2, 3), Rows(normal(3, 2), [0, 2, 2]), None)


def test_the_means_are_of_the_encoder_in_evaluation_mode(phase):
    encoder = nn.BatchNorm1d(2).double()
    net = Net(encoder, nn.Linear(2, 2), 2, 2)
    strategy("nearest_class_mean", features="plain").close(net.train(), ROWS, None)
    assert encoder.num_batches_tracked == 0
    assert torch.allclose(net.head.means_CD, torch.tensor([[3.0, 0], [0, 3]]).double() / sqrt(1 + 1e-5))
    assert strategy("nearest_class_mean").phases(phase) == [replace(phase, validates=False)]
    with pytest.raises(UserError, match="ensemble"):
        strategy("nearest_class_mean").phases(replace(phase, ensemble=build("ensembles", "none")))


# Deferred re-balancing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["drw", "drs"])
@pytest.mark.parametrize(("steps", "at", "switch"), [(100, 0.8, 80), (99, 0.8, 80), (7, 0.5, 4)])
def test_a_deferred_phase_goes_on_where_the_first_ends_and_where_the_rate_drops(phase, name, steps, at, switch):
    first, second = strategy(name, at=at).phases(replace(phase, steps=steps))
    assert [first.steps, second.steps] == [switch, steps - switch]
    assert [first.first, second.first, first.total, second.total] == [0, switch, steps, steps]
    drop = build("schedules", "step_decay", at=at)
    assert drop.factor(switch - 1, steps) == 1 > drop.factor(switch, steps)
    assert first.sampler == phase.sampler
    assert first.class_weights is None


def test_drw_weighs_the_second_phase_by_effective_numbers(phase):
    _, second = strategy("drw", beta=0.5).phases(phase)
    # 1 - .5^n = 1/2, 3/4, 7/8: inverses 2, 4/3, 8/7, of sum 94/21
    weights = second.class_weights(torch.tensor([1.0, 2.0, 3.0]).double())
    assert weights.tolist() == pytest.approx([3 * 2 * 21 / 94, 3 * 4 / 3 * 21 / 94, 3 * 8 / 7 * 21 / 94], rel=1e-12)
    alike = strategy("drw", beta=0.0).weights(torch.tensor([5.0, 1.0]))
    assert alike.tolist() == [1, 1]


def test_inverse_weights_and_a_class_without_examples():
    method = strategy("drw", weighting="inverse")
    assert method.weights(torch.tensor([4.0, 1.0, 0.0])).tolist() == pytest.approx([0.4, 1.6, 0])
    effective = strategy("drw").weights(torch.tensor([4.0, 1.0, 0.0]))
    assert effective.isfinite().all()
    assert effective.sum() == pytest.approx(2)
    assert effective[2] == 0


def test_drw_needs_a_loss_that_takes_class_weights(phase):
    with pytest.raises(UserError, match="class_weighted takes no class weights"):
        strategy("drw").phases(replace(phase, loss=build("losses", "class_weighted")))


@pytest.mark.parametrize("name", ["class_balanced", "square_root_sampling", "progressively_balanced"])
def test_drs_changes_the_sampler(phase, name):
    first, second = strategy("drs", sampler=name).phases(phase)
    assert (first.sampler, second.sampler) == (phase.sampler, build("samplers", name))


# MaxNorm and weight balancing --------------------------------------------------------------------------------


def test_only_weight_vectors_outside_the_ball_are_shortened_and_to_its_radius():
    net = net_of(2, 3)
    net.head.weight.data = torch.tensor([[3.0, 4.0], [0.5, 0.0], [0, 0]]).double()
    bias = net.head.bias.detach().clone()
    strategy("max_norm", radius=2.0).project(net)
    assert net.head.weight.tolist() == [[pytest.approx(1.2), pytest.approx(1.6)], [0.5, 0], [0, 0]]
    assert torch.equal(net.head.bias, bias)


def test_weight_balancing_bounds_by_the_norms_of_the_first_stage_and_every_so_many_steps():
    net, method = net_of(2, 3), strategy("weight_balancing", threshold=0.25, every=2)
    net.head.weight.data = torch.tensor([[0, 5.0], [1, 0], [0, 3]]).double()  # radius 1 + (5 - 1) / 4 = 2
    method.open(net, None, None)
    method.project(net)
    assert net.head.weight[0].tolist() == [0, 5]
    net.head.weight.data[1] = torch.tensor([30.0, 40.0])
    method.project(net)
    assert net.head.weight.tolist() == [[0, 2], [pytest.approx(1.2), pytest.approx(1.6)], [0, 2]]
    method.close(net, None, None)
    assert list(net.head.state_dict()) == ["weight", "bias"]


def test_weight_balancing_trains_the_head_with_a_balanced_loss(phase):
    method = strategy("weight_balancing", beta=0.99)
    [only] = method.phases(phase)
    assert only.head_only
    assert not method.fresh_head
    assert only.loss == build("losses", "class_balanced", beta=0.99)
    with pytest.raises(UserError, match="cross_entropy"):
        method.phases(replace(phase, loss=build("losses", "focal")))


@pytest.mark.parametrize("name", ["max_norm", "weight_balancing"])
def test_max_norm_needs_a_linear_head(name):
    net = Net(nn.Identity(), build("heads", "cosine").head(3, 2), 3, 2)
    with pytest.raises(UserError, match="linear"):
        strategy(name).project(net)


# One stage: ETF, small features ------------------------------------------------------------------------------


@pytest.mark.parametrize(("features", "classes"), [(2, 2), (5, 3), (64, 10)])
def test_an_etf_is_a_simplex_of_unit_vectors_in_a_random_direction(features, classes):
    torch.manual_seed(0)
    heads = [build("heads", "etf").head(features, classes) for _ in range(2)]
    cosines = (heads[0].weight @ heads[0].weight.T).double()
    expected = torch.full((classes, classes), -1.0 / (classes - 1)).double().fill_diagonal_(1)
    assert torch.allclose(cosines, expected, atol=1e-6)
    assert not torch.allclose(heads[0].weight, heads[1].weight)
    assert [name for name, _ in heads[0].named_parameters()] == ["bias"]
    assert heads[0].bias.abs().max() <= 1 / features
    assert not list(build("heads", "etf", bias=False).head(features, classes).parameters())
    x = torch.randn(4, features)
    assert torch.allclose(heads[0](x), x @ heads[0].weight.T + heads[0].bias, atol=1e-6)


def test_an_etf_needs_room():
    with pytest.raises(UserError, match="3 for 4"):
        build("heads", "etf").head(3, 4)


def test_feature_regularisation_is_half_the_mean_squared_norm():
    logits, labels = torch.zeros(2, 2).double(), torch.tensor([0, 1])
    features = torch.tensor([[3.0, 4.0], [1.0, 0.0]]).double().requires_grad_()  # squared norms 25 and 1
    loss = build("losses", "feature_regularised_ce", strength=0.1)(logits, labels, None, features_BD=features)
    loss.backward()
    assert loss.item() == pytest.approx(torch.tensor(2.0).log().item() + 0.1 * 13 / 2)
    assert features.grad.tolist() == [[pytest.approx(0.15), pytest.approx(0.2)], [pytest.approx(0.05), 0]]


def test_one_stage_regularises_features_and_needs_the_simplex(phase):
    method = strategy("wb_one_stage", strength=0.5)
    assert method.phases(phase) == [replace(phase, loss=build("losses", "feature_regularised_ce", strength=0.5))]
    method.open(Net(nn.Identity(), build("heads", "etf").head(5, 3), 5, 3), None, None)
    with pytest.raises(UserError, match="head: etf"):
        method.open(net_of(5, 3), None, None)


# SelMix ------------------------------------------------------------------------------------------------------

CONFUSION = torch.tensor([[0.30, 0.02, 0.04], [0.10, 0.20, 0.06], [0.08, 0.07, 0.13]]).double()
CONFUSION = CONFUSION / CONFUSION.sum(1, keepdim=True) / 3
MULTIPLIERS = torch.tensor([0.2, 0.3, 0.5]).double()
METRICS = {
    "mean_recall": lambda recall: recall.mean(),
    "min_recall": lambda recall: (MULTIPLIERS * recall).sum(),
    "g_mean": lambda recall: recall.prod() ** (1 / 3),
    "h_mean": lambda recall: 3 / (1 / recall).sum(),
}


@pytest.mark.parametrize("objective", METRICS)
def test_the_gain_of_a_metric_is_its_gradient_in_free_logits(objective):
    free = CONFUSION.log().requires_grad_()
    METRICS[objective](free.softmax(1).diagonal()).backward()
    assert torch.allclose(_selmix.metric_gain(objective, CONFUSION, MULTIPLIERS), free.grad, rtol=1e-10)


@pytest.mark.parametrize("objective", ["mean_recall", "h_mean"])
def test_coverage_adds_its_gradient_and_divides_by_the_largest_multiplier(objective):
    free = CONFUSION.log().requires_grad_()
    confusion = free.softmax(1) / 3
    total = METRICS[objective](confusion.diagonal() * 3) + (MULTIPLIERS * confusion.sum(0)).sum()
    total.backward()
    gain = _selmix.metric_gain(f"{objective}_with_coverage", CONFUSION, MULTIPLIERS)
    assert torch.allclose(gain, free.grad / 1.5, rtol=1e-10)


def test_multipliers_by_hand():
    # recalls .5, .25, 1 and weights .2, .3, .5 before: to the power .5, times exp(-4 recall)
    confusion = torch.tensor([[0.5, 0.5, 0], [0.75, 0.25, 0], [0, 0, 1]]).double() / 3
    raw = [sqrt(0.2) * np.exp(-2), sqrt(0.3) * np.exp(-1), sqrt(0.5) * np.exp(-4)]
    found = _selmix.recall_multipliers(confusion, MULTIPLIERS, 0.5, 4.0)
    assert found.tolist() == pytest.approx([r / sum(raw) for r in raw], rel=1e-5)
    # coverages 1.25 / 3, .75 / 3 and 1 / 3 against .9 / 3: the second is .05 short
    found = _selmix.coverage_multipliers(confusion, 0.9, 0.1, 10.0)
    assert found.tolist() == pytest.approx([0, 10 * (1 - np.exp(-0.5)), 0], rel=1e-5)


@pytest.mark.parametrize("variant", ["paper", "official_code"])
def test_the_gain_of_a_mixup_term_by_term(variant):
    means, gain, head = normal(3, 4), normal(3, 3, seed=1), nn.Linear(4, 3).double()
    mixtures = _selmix.mixed(means, 0.6)
    assert torch.allclose(mixtures[0, 2], 0.8 * means[0] + 0.2 * means[2])
    predicted = head(mixtures).softmax(2).detach()
    found = _selmix.mixup_gain(gain, means, mixtures, predicted, variant)
    for i, j in product(range(3), repeat=2):
        value = 0.0
        for q, c in product(range(3), repeat=2):
            toward = mixtures[i, j] if variant == "paper" else means[i]
            moved = float(toward @ means[q]) * (c == i) - float(mixtures[i, j] @ means[q] * predicted[i, j, c])
            value += float(gain[q, c]) * moved
        assert float(found[i, j]) == pytest.approx(value, rel=1e-10)


def test_only_pairs_that_gain_are_mixed_and_all_alike_where_none_does():
    gain = torch.tensor([[0.2, -0.1], [0.0, 0.1]]).double()
    share = _selmix.pair_shares(gain, 0.1, 0.0)
    a, b = np.exp(2), np.exp(1)
    assert share.flatten().tolist() == pytest.approx([a / (a + b), 0, 0, b / (a + b)])
    assert _selmix.pair_shares(-gain.abs(), 0.1, 1e-8).flatten().tolist() == pytest.approx([0.25] * 4)


def test_a_confusion_matrix_has_rows_of_one_kth():
    found = _selmix.confusion(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 0, 1]), 2)
    assert found.flatten().tolist() == pytest.approx([1 / 3, 1 / 6, 0, 1 / 2])


def test_pairs_are_drawn_by_their_shares_from_classes_that_have_examples():
    labels = torch.tensor([0] * 30 + [1] * 2 + [3])
    share = torch.tensor([[0.1, 0.3, 0.2, 0], [0, 0, 0, 0.2], [0.2, 0, 0, 0], [0, 0, 0, 0]]).double()
    first, second = pairs(share, labels, 60000, seeded())
    found = torch.zeros(4, 4).index_put_((labels[first], labels[second]), torch.tensor(1.0), accumulate=True) / 60000
    expected = torch.tensor([[1 / 6, 1 / 2, 0, 0], [0, 0, 0, 1 / 3], [0] * 4, [0] * 4])
    assert torch.allclose(found, expected, atol=0.01)
    assert np.allclose(first[labels[first] == 0].bincount(minlength=30) / 40000, 1 / 30, atol=0.005)


# The loop ----------------------------------------------------------------------------------------------------

COUNTS = torch.tensor([60.0, 20.0, 6.0])


def few_shot_images(counts, seed):
    """Return a sample whose class c is c brighter in one pixel, in noise."""
    labels = np.repeat(np.arange(len(counts)), counts)
    x = np.random.default_rng(seed).normal(size=(len(labels), 1, 4, 4)).astype(np.float32)
    x[np.arange(len(labels)), 0, 0, labels] += 3
    return loop.Sample(x, np.arange(len(labels)), labels, [0.0], [1.0])


class Killed(Exception):
    pass


def fit(method, phase, head="linear", resume=None, kill_at=0, history=None, **hooks):
    """Train a small network, up to the checkpoint `kill_at` if that is not 0; return it and the last checkpoint."""
    rows = [] if history is None else history
    sample, saved = few_shot_images([60, 20, 6], 0), []
    net = build_network(build("models", "mlp", hidden=[8]), build("heads", head), (1, 4, 4), 3, 0)
    phases = method.phases(phase)
    if hasattr(method, "open"):
        method.open(net, sample, COUNTS)
    loop.add_extra(net, phases, "finetune", 0)

    def save(tensors, state):
        saved.append(({name: value.clone() for name, value in tensors.items()}, dict(state)))
        if len(saved) == kill_at:
            raise Killed

    run = Run(net, phases, sample, COUNTS, "finetune", 0, hooks)
    try:
        state = loop.train(run, resume=resume, save=save, log=lambda row, number: rows.append(row))
    except Killed:
        return net, saved[-1]
    assert not state.diverged
    if hasattr(method, "close"):
        method.close(net, sample, COUNTS)
    return net, saved[-1:]


def validation():
    val = few_shot_images([30, 30, 30], 1)
    return val.batch(torch.arange(90))


LOOPED = {
    "crt": {},
    "lws": {},
    "nearest_class_mean": {},
    "drw": {"at": 0.5},
    "drs": {"at": 0.5},
    "max_norm": {"radius": 0.3},
    "weight_balancing": {"every": 3},
    "wb_one_stage": {},
    "prototypical_network": {"ways": 2, "supports": 4, "queries": 4},
    "stepwise_smooth_tail": {},
    "selmix": {"refresh": 4, "objective": "min_recall", "memory": 0.5},
}


@pytest.mark.parametrize("name", LOOPED)
def test_a_killed_run_goes_on_to_the_byte(name, phase, monkeypatch):
    method, head = strategy(name, **LOOPED[name]), "etf" if name == "wb_one_stage" else "linear"
    phase, hooks = replace(phase, steps=12), {"validation": validation()}
    whole, _ = fit(method, phase, head, **hooks)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    for step in (1, 5, 8, 11):
        _, saved = fit(method, phase, head, kill_at=step, **hooks)
        again, _ = fit(method, phase, head, resume=saved, **hooks)
        for (key, value), other in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
            assert torch.equal(value, other), key


@pytest.mark.parametrize("name", ["nearest_class_mean", "prototypical_network", "crt"])
def test_a_head_that_is_made_at_the_end_is_not_judged_before(name, phase):
    asked = []
    hooks = {"validate": lambda: asked.append("validation"), "snapshot": lambda step: asked.append("snapshot")}
    fit(strategy(name, **LOOPED[name]), replace(phase, steps=4, snapshots=1), **hooks)
    expected = ["validation", "validation", "snapshot", "validation", "validation"] if name == "crt" else []
    assert asked == expected


def test_selmix_raises_the_recall_it_aims_at(phase):
    plain, _ = fit(strategy("all_layers"), replace(phase, steps=200))
    images, labels = validation()
    aimed, _ = fit(strategy("selmix", objective="min_recall"), replace(phase, steps=200), validation=(images, labels))
    recalls = [(net(images).argmax(1) == labels).view(3, 30).double().mean(1).min() for net in (plain, aimed)]
    assert recalls[1] > recalls[0] + 0.1


@pytest.mark.parametrize(("objective", "looks"), [("g_mean", 3), ("h_mean", 3), ("mean_recall", None)])
def test_selmix_mixes_all_pairs_alike_and_says_so_where_a_recall_of_0_leaves_no_gain(objective, looks, phase):
    images, labels = validation()
    images, history = images[:1].expand(90, -1, -1, -1), []  # all alike: one class is said of all
    method = strategy("selmix", objective=objective, refresh=4)
    net, _ = fit(method, replace(phase, steps=12), validation=(images, labels), history=history)
    assert history[-1].get("looks_without_gain") == looks
    is_even = torch.allclose(net.extra.share_CC, torch.full((3, 3), 1 / 9).double(), rtol=1e-12)
    assert is_even == (looks is not None)


def test_selmix_holds_what_batch_normalisation_has_learned():
    encoder = nn.BatchNorm1d(4)
    strategy("selmix").open(Net(encoder, nn.Linear(4, 2), 4, 2), None, None)
    out = encoder.train()(torch.arange(12.0).view(3, 4))
    assert torch.allclose(out.mean(0), torch.zeros(4), atol=1e-6), "the batch normalises itself"
    assert torch.equal(encoder.running_mean, torch.zeros(4))
    assert torch.equal(encoder.running_var, torch.ones(4))


def test_selmix_needs_a_validation_part_and_a_whole_batch(phase):
    with pytest.raises(UserError, match="validation"):
        fit(strategy("selmix"), phase)
    [only] = strategy("selmix").phases(phase)
    with pytest.raises(UserError, match="whole"):
        only.task.objective(None, rows=torch.arange(3))


# Episodes and prototypes -------------------------------------------------------------------------------------


def episodes_of(counts, ways, shots, seed=0):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=seeded(9))]
    sampler = build("samplers", "episodic_sampling", ways=ways, shots=shots)
    drawn = sampler.draw(labels, epoch=0, epochs=1.0, fixed=seeded(), shuffle=seeded(seed))
    return labels, drawn.view(-1, ways, shots)


@pytest.mark.parametrize(
    ("counts", "ways", "shots"),
    [([60, 20, 7, 1], 3, 4), ([30, 0, 4], 2, 5), ([5], 4, 4), ([1, 1], 4, 3), ([9, 3], 5, 2), ([12, 3], 1, 7)],
)
def test_an_episode_has_its_ways_and_shots_and_repeats_as_little_as_it_can(counts, ways, shots):
    labels, drawn = episodes_of(counts, ways, shots)
    present = sum(n > 0 for n in counts)
    assert len(drawn) == max(1, sum(counts) // (ways * shots))
    for episode in drawn:
        classes = labels[episode]
        assert (classes == classes[:, :1]).all(), "a block is of one class"
        times = classes[:, 0].bincount()
        assert (times > 0).sum() == min(ways, present)
        assert times.max() == -(-ways // present)
        for block, label in zip(episode, classes[:, 0].tolist(), strict=True):
            assert len(block.unique()) == min(shots, counts[label])
            assert block.bincount().max() == -(-shots // counts[label])


def test_classes_and_the_examples_of_a_class_are_drawn_alike():
    seen = torch.zeros(88)
    for seed in range(300):
        labels, drawn = episodes_of([60, 20, 7, 1], 2, 4, seed)
        seen += drawn.flatten().bincount(minlength=88)
    for c, n in enumerate([60, 20, 7, 1]):
        assert seen[labels == c].sum() / seen.sum() == pytest.approx(0.25, abs=0.02)
        assert torch.allclose(seen[labels == c] / seen[labels == c].mean(), torch.ones(n), atol=0.3)


def test_a_batch_holds_whole_episodes(phase):
    sampler = build("samplers", "episodic_sampling", ways=3, shots=4)
    with pytest.raises(UserError, match="multiple of 12"):
        Batches(sampler, 16, 10, torch.arange(24) % 3, ("finetune", "0", 0))


class Given:
    """A step whose features are its inputs."""

    def __init__(self, features, labels, classes):
        self.net, self.inputs_B = net_of(features.shape[1], classes), features
        self.labels_B = torch.tensor(labels)


def test_the_loss_of_an_episode_by_hand(phase):
    # supports (0, 0), (2, 0) of class 2 and (0, 3), (0, 5) of class 0: prototypes (1, 0) and (0, 4)
    # queries (1, 1) of class 2 at squared distances 1 and 10, and (1, 4) of class 0 at 16 and 1
    features = torch.tensor([[0.0, 0], [2, 0], [1, 1], [0, 3], [0, 5], [1, 4]]).double().requires_grad_()
    [only] = strategy("prototypical_network", ways=2, supports=2, queries=1).phases(phase)
    assert only.sampler == build("samplers", "episodic_sampling", ways=2, shots=3)
    loss, hits = only.task.objective(Given(features, [2, 2, 2, 0, 0, 0], 3))
    assert loss.item() == pytest.approx((np.log1p(np.exp(-9)) + np.log1p(np.exp(-15))) / 2, rel=1e-12)
    assert hits == 6
    loss.backward()
    assert features.grad.isfinite().all()


def test_several_episodes_are_averaged_and_a_class_in_two_ways_has_one_prototype(phase):
    [only] = strategy("prototypical_network", ways=3, supports=1, queries=2).phases(phase)
    features, labels = normal(18, 4), [0, 0, 0, 1, 1, 1, 0, 0, 0, 2, 2, 2, 0, 0, 0, 1, 1, 1]
    losses = []
    for first in (0, 9):
        x, y = features[first : first + 9], torch.tensor(labels[first : first + 9])
        support, query = torch.tensor([0, 3, 6]), torch.tensor([1, 2, 4, 5, 7, 8])
        for q in query:
            near = {int(c): -((x[q] - x[support][y[support] == c].mean(0)) ** 2).sum() for c in y.unique()}
            losses.append(torch.stack(list(near.values())).logsumexp(0) - near[int(y[q])])
    loss, _ = only.task.objective(Given(features, labels, 5))
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-12)


def test_the_head_of_prototypes_is_the_nearest_mean(phase):
    x, labels, query = normal(30, 5), [0] * 20 + [1] * 9 + [2], normal(7, 5, seed=1)
    net = net_of(5, 3)
    strategy("prototypical_network").close(net, Rows(x, labels), None)
    nearest = similarities(Rows(x, labels), query, features="plain")
    assert torch.allclose(net(query).log_softmax(1), nearest.log_softmax(1), rtol=1e-10)


def test_prototypes_learn_from_episodes(phase):
    method = strategy("prototypical_network", ways=2, supports=4, queries=4)
    images, labels = validation()
    recalls = []
    for steps in (1, 200):
        net, _ = fit(method, replace(phase, steps=steps))
        recalls.append(float((net(images).argmax(1) == labels).double().mean()))
    assert recalls[1] > recalls[0] + 0.05


# Step-wise learning ------------------------------------------------------------------------------------------


def test_replay_samples_are_dominated_by_the_head_or_by_the_tail():
    counts = torch.tensor([10, 1000, 129, 0, 28])  # head classes 1 and 2, m = 129; the tail's mean is 19
    assert _replay.head_classes(counts, 0.5).tolist() == [False, True, True, False, False]
    assert _replay.caps(counts, 0.5, 2.0, True).tolist() == [65, 258, 258, 65, 65]
    assert _replay.caps(counts, 0.5, 2.0, False).tolist() == [10, 10, 10, 0, 28]
    labels = torch.arange(5).repeat_interleave(counts)
    for head, expected in [(True, [10, 258, 129, 0, 28]), (False, [10, 10, 10, 0, 28])]:
        first, later = (
            _replay.Replay(0.5, 2.0, head).draw(labels, epoch=e, epochs=2.0, fixed=seeded(), shuffle=seeded(e))
            for e in (0, 1)
        )
        assert labels[first].bincount(minlength=5).tolist() == expected
        assert len(first.unique()) == len(first)
        assert torch.equal(first.sort().values, later.sort().values)
        assert not torch.equal(first, later)


def test_the_divergence_from_an_expert_by_hand():
    # the expert says 3/4 and 1/4, the network 1/2 and 1/2; then both agree
    known = torch.tensor([[3.0, 1.0], [1.0, 1.0]]).double().log()
    value = divergence(torch.zeros(2, 2).double(), known)
    assert value.item() == pytest.approx((0.75 * np.log(1.5) + 0.25 * np.log(0.5)) / 2)


def test_step_two_moves_the_encoder_and_step_three_the_head_near_the_expert(phase):
    fresh = build_network(build("models", "mlp", hidden=[8]), build("heads", "linear"), (1, 4, 4), 3, 0)
    expert, _ = fit(strategy("stepwise_smooth_tail", at=0.999), replace(phase, steps=20))
    assert torch.equal(expert.head.weight, fresh.head.weight)
    assert not torch.equal(expert.encoder[1].weight, fresh.encoder[1].weight)
    free, near = (
        fit(strategy("stepwise_smooth_tail", at=0.5, strength=s), replace(phase, steps=40))[0] for s in (0.0, 10.0)
    )
    assert torch.equal(free.encoder[1].weight, near.encoder[1].weight)
    assert torch.equal(free.encoder[1].weight, expert.encoder[1].weight)
    assert not list(free.extra.parameters())
    x = validation()[0]
    head = _replay.head_classes(COUNTS, 0.5)
    apart = [divergence(net(x)[:, head], fresh.head(net.encoder(x))[:, head]) for net in (free, near)]
    assert apart[1] < apart[0] / 3
