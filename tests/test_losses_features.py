"""Losses that score more than logits, and tasks with an objective of their own, against arithmetic done by hand."""

import math
from statistics import NormalDist

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from counterpoise import streams
from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _signals, bcl, srat
from counterpoise.methods.losses import neural_collapse_regulariser as collapse
from counterpoise.registry import build
from counterpoise.training import loop, phases
from counterpoise.training.network import build as build_network

QUARTER = torch.tensor([[1.0, 3.0]], dtype=torch.float64).log()  # p = 1/4, 3/4


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def loss_of(name, logits, labels, counts=None, **options):
    """Return the loss with whatever it asks for, from a fixed seed."""
    method, counts = (
        build("losses", {"name": name, **options}),
        torch.ones(logits.shape[1]) if counts is None else counts,
    )
    given = {}
    if name == "class_subset_softmax":
        given["noise"] = method.draw(labels, counts, seeded())
    if name == "neural_collapse_regulariser":
        torch.manual_seed(0)
        extra = method.module(4, logits.shape[1]).to(logits.dtype)
        given = {"features_BD": normal(len(logits), 4, dtype=logits.dtype), "extra": extra}
    return method(logits, labels, counts, **given)


EDGES = [
    ("encouraging_loss", {}),
    ("encouraging_loss", {"log_end": 1.0}),
    ("self_adjusting_dice", {}),
    ("self_adjusting_dice", {"alpha": 0.0, "square_denominator": False, "variant": "official_code"}),
    ("self_adjusting_dice", {"alpha": 1.0, "square_denominator": False}),
    ("class_subset_softmax", {"vocabulary": 2}),
    ("neural_collapse_regulariser", {"base": "balanced_softmax"}),
]


@pytest.mark.parametrize(("name", "options"), EDGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("labels", [[0], [0, 2, 2, 0], [2, 2]])
def test_extreme_logits_and_an_absent_class_leave_value_and_gradient_finite(name, options, dtype, labels):
    labels, counts = torch.tensor(labels), torch.tensor([9.0, 0.0, 1.0])
    for scale in (1e4, 1.0, 0.0):
        logits = (normal(len(labels), 3, dtype=dtype).sign() * scale).requires_grad_()
        value = loss_of(name, logits, labels, counts, **options)
        value.backward()
        assert value.dtype == dtype
        assert value.isfinite()
        assert logits.grad.isfinite().all()


# Encouraging loss --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "log_end", "expected"),
    [
        (0, 0.5, -math.log(1 / 4) + math.log(3 / 4)),
        (1, 1.0, -math.log(3 / 4) + math.log(1 / 4)),
        (1, 0.5, -math.log(3 / 4) + math.log(1 / 2) - (3 / 4 - 1 / 2) / (1 / 2)),
    ],
)
def test_the_encouraging_bonus_is_a_logarithm_and_then_its_tangent(label, log_end, expected):
    value = loss_of("encouraging_loss", QUARTER, torch.tensor([label]), log_end=log_end)
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_the_encouraging_gradient_does_not_vanish_where_that_of_cross_entropy_does():
    logits = torch.tensor([[0.0, 8.0]], dtype=torch.float64, requires_grad=True)
    for name, steepest in (("cross_entropy", 1.0), ("encouraging_loss", 5.0)):
        (slope,) = torch.autograd.grad(loss_of(name, logits, torch.tensor([1])), logits)
        # d/dz of -log p is -(1 - p); the tangent adds -p (1 - p) / (1 - .75)
        p = logits.softmax(1)[0, 1].item()
        assert slope[0, 1].item() == pytest.approx(-(1 - p) * (1 + (steepest - 1) * p), rel=1e-9)


# Self-adjusting Dice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # q = 3/16 for both classes, y = (0, 1)
        ({"square_denominator": False}, (1 - 1 / (3 / 16 + 1)) + (1 - (6 / 16 + 1) / (3 / 16 + 2))),
        ({}, (1 - 1 / (9 / 256 + 1)) + (1 - (6 / 16 + 1) / (9 / 256 + 2))),
        # the code's batch of two such examples: its sums are 6/16 and 0, 6/16 and 2
        (
            {"square_denominator": False, "variant": "official_code"},
            (1 - 1 / (6 / 16 + 1)) + (1 - (6 / 16 + 1) / (6 / 16 + 3)),
        ),
    ],
)
def test_dice_by_hand(options, expected):
    value = loss_of("self_adjusting_dice", QUARTER.repeat(2, 1), torch.tensor([1, 1]), alpha=1.0, **options)
    assert value.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_dice_keeps_the_rest_of_a_probability_that_rounds_to_one(classes):
    logits = torch.zeros(1, classes, dtype=torch.float64)
    logits[0, 0] = 100.0  # 1 - p = (C - 1) e^-100, while p is 1
    value = loss_of("self_adjusting_dice", logits, torch.tensor([0]), alpha=0.01)
    q = ((classes - 1) * math.exp(-100)) ** 0.01
    assert value.item() == pytest.approx(1 - (2 * q + 1) / (q * q + 2), rel=1e-12)


# Class subsets -----------------------------------------------------------------------------------------------


def test_a_class_subset_is_a_softmax_over_what_is_kept():
    logits, labels = normal(5, 6), torch.tensor([1, 4, 1, 1, 4])
    method = build("losses", {"name": "class_subset_softmax"})
    value = method(logits, labels, torch.ones(6), noise=torch.tensor([False, True, True, False, True, False]))
    assert torch.equal(value, F.cross_entropy(logits[:, [1, 2, 4]], torch.tensor([0, 2, 0, 0, 2])))


@pytest.mark.parametrize(("vocabulary", "kept"), [(2, 2), (3, 3), (5, 5), (6, 5), (50, 5)])
def test_a_vocabulary_holds_the_batch_and_is_filled_up_with_classes_that_have_examples(vocabulary, kept):
    method, counts = build("losses", {"name": "class_subset_softmax", "vocabulary": vocabulary}), torch.ones(6)
    counts[5] = 0
    for seed in range(20):
        drawn = method.draw(torch.tensor([3, 0, 3]), counts, seeded(seed))
        assert drawn[[0, 3]].all()
        assert not drawn[5]
        assert drawn.sum() == kept
        assert torch.equal(drawn, method.draw(torch.tensor([3, 0, 3]), counts, seeded(seed)))


@pytest.mark.parametrize(("weighting", "share"), [("uniform", 1 / 2), ("sqrt", 3 / 4), ("linear", 9 / 10)])
def test_other_classes_are_drawn_by_a_power_of_their_counts(weighting, share):
    method = build("losses", {"name": "class_subset_softmax", "vocabulary": 2, "weighting": weighting})
    generator, draws = seeded(), 4000
    hits = sum(method.draw(torch.tensor([2]), torch.tensor([9.0, 1.0, 5.0]), generator)[0].item() for _ in range(draws))
    assert abs(hits / draws - share) < 4 * math.sqrt(share * (1 - share) / draws)


# Neural collapse ---------------------------------------------------------------------------------------------

TRIANGLE = torch.tensor([[2.0, 0.0], [-1.0, math.sqrt(3)], [-1.0, -math.sqrt(3)]], dtype=torch.float64)


def test_neural_collapse_by_hand():
    # class 0 has squared distances 1 and 9, class 1 is not there, class 2 is on its centre: (5 + 0 + 0) / 3
    features = torch.cat([TRIANGLE[:1] + torch.tensor([[0.0, 1.0], [0.0, -3.0]]), TRIANGLE[2:]])
    labels, logits = torch.tensor([0, 0, 2]), normal(3, 3)
    assert collapse.within(features, labels, TRIANGLE).item() == pytest.approx(5 / 3, rel=1e-12)
    shift = torch.tensor([3.0, 4.0], dtype=torch.float64)
    for means in (TRIANGLE, TRIANGLE + shift):
        assert collapse.between(means).item() == pytest.approx(-2 * math.pi / 3, rel=1e-12)
    centres = collapse.Centres(2, 3).double()
    centres.means.data = TRIANGLE + shift
    method = collapse.Method(lambda1=0.3, lambda2=0.5, lambda3=0.2)
    value = method(logits, labels, torch.ones(3), features_BD=features + shift, extra=centres)
    expected = F.cross_entropy(logits, labels).item() + 0.3 * 5 / 3 - 0.5 * 2 * math.pi / 3 + 0.2 * 25
    assert value.item() == pytest.approx(expected, rel=1e-12)


def test_two_centres_are_always_opposite_and_the_angle_of_each_is_to_its_nearest_other():
    means = normal(2, 5).requires_grad_()
    angle = collapse.between(means)
    assert angle.item() == pytest.approx(-math.acos(-0.99999), rel=1e-12)
    assert not torch.autograd.grad(angle, means)[0].any(), "clamped: nothing is left to gain"
    # seen from their mean (0, 0), at 0, 90, 180 and 270 degrees: every nearest other is 90 degrees away
    square = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -2.0]], dtype=torch.float64)
    assert collapse.between(square).item() == pytest.approx(-math.pi / 2, rel=1e-12)


def test_neural_collapse_moves_features_and_centres():
    features, means = normal(6, 4).requires_grad_(), normal(3, 4, seed=1).requires_grad_()
    labels = torch.tensor([0, 1, 0, 0, 2, 1])
    assert torch.autograd.gradcheck(lambda f, m: collapse.within(f, labels, m) + collapse.between(m), (features, means))


def test_the_base_of_neural_collapse_takes_class_weights_and_the_prior():
    logits, labels, counts = normal(4, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([8.0, 3.0, 1.0])
    plain, weights = loss_of("neural_collapse_regulariser", logits, labels, counts), torch.tensor([1.0, 2.0, 5.0])
    rest = plain - F.cross_entropy(logits, labels)
    prior = loss_of("neural_collapse_regulariser", logits, labels, counts, base="balanced_softmax")
    assert torch.allclose(prior - rest, F.cross_entropy(logits + counts.double().log(), labels), rtol=1e-12)
    method = collapse.Method()
    torch.manual_seed(0)
    given = {"features_BD": normal(4, 4), "extra": method.module(4, 3).double()}
    weighted = method(logits, labels, counts, class_weights_C=weights, **given)
    assert torch.allclose(weighted - rest, F.cross_entropy(logits, labels, weight=weights.double()), rtol=1e-12)
    assert torch.equal(method(logits, labels, counts, class_weights_C=torch.ones(3), **given), plain)
    assert method.extra_lr == pytest.approx(50)


# Tasks -------------------------------------------------------------------------------------------------------

LABELS, COUNTS = np.repeat([0, 1, 2], [6, 3, 1]), torch.tensor([60.0, 14.0, 6.0])


def step_of(strategy, phase_options=None, dtype=torch.float64, labels=LABELS, seed=0, **options):
    """Return the step of a strategy's one phase: ten images of 4 x 4 pixels, an MLP, and the task's own module."""
    given = {"augmentation": {"name": "shift"}, "loss": {"name": "cross_entropy"}, **(phase_options or {})}
    phase = phases.Phase(
        steps=10,
        batch_size=len(labels),
        task=build("pretraining", {"name": "supervised"}),
        sampler=build("samplers", {"name": "none"}),
        optimizer=build("optimizers", {"name": "sgd", "lr": 0.1}),
        schedule=build("schedules", {"name": "constant"}),
        **{f"{role}": build({"loss": "losses"}.get(role, role), spec) for role, spec in given.items()},
    )
    (phase,) = build("finetuning", {"name": strategy, **options}).phases(phase)
    net = build_network(
        build("models", {"name": "mlp", "hidden": [8]}), build("heads", {"name": "linear"}), (1, 4, 4), 3, seed
    )
    loop.add_extra(net, [phase], "finetune", seed)
    images = torch.rand(len(labels), 1, 4, 4, generator=seeded(seed), dtype=dtype) * 255
    sample = loop.Sample(images.numpy(), np.arange(len(labels)), np.asarray(labels), [100.0], [70.0])
    return phases.Step(
        net.to(dtype), phase, sample, COUNTS, None, 0, images, torch.as_tensor(labels),
        stream=lambda purpose: streams.torch_generator("test", purpose, seed),
    )  # fmt: skip


def gradients(step, rows=None):
    """Return the loss, the right answers and the gradient of each parameter that has one."""
    step.net.zero_grad()
    loss, hits = step.phase.task.objective(step, rows)
    loss.backward()
    return loss, hits, {name: p.grad.clone() for name, p in step.net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("strategy", ["bcl", "meta_loss_rescaling", "srat"])
def test_a_task_gives_the_same_twice_and_scores_rows_as_it_scores_the_batch(strategy):
    step = step_of(strategy)
    first, second = gradients(step), gradients(step)
    assert torch.equal(first[0], second[0])
    assert first[2].keys() == dict(step.net.named_parameters()).keys()
    for name, slope in first[2].items():
        assert torch.equal(slope, second[2][name])
        assert slope.isfinite().all()
    everything = gradients(step, torch.arange(len(LABELS)))
    assert torch.allclose(everything[0], first[0], rtol=1e-12)
    assert 0 <= int(gradients(step, torch.tensor([2, 7]))[1]) <= 2


@pytest.mark.parametrize("strategy", ["bcl", "meta_loss_rescaling", "srat"])
def test_a_strategy_with_its_own_loss_refuses_another(strategy):
    with pytest.raises(UserError, match="brings its own loss"):
        step_of(strategy, {"loss": {"name": "class_weighted"}})


# Balanced contrastive learning -------------------------------------------------------------------------------


@pytest.mark.parametrize(("labels", "classes"), [([0, 0, 1, 2, 0], 4), ([1], 2), ([1, 1, 1], 2)])
def test_balanced_contrast_against_loops_over_the_paper_s_sum(labels, classes):
    views, prototypes = (F.normalize(normal(n, 3, seed=n), dim=1) for n in (2 * len(labels), classes))
    owner, keys, total = [*labels, *labels, *range(classes)], torch.cat([views, prototypes]), 0.0
    for i in range(2 * len(labels)):
        similarity = [math.exp(float(views[i] @ key) / 0.2) for key in keys]
        below = 0.0  # the mean similarity to each class, the view itself left out
        for c in range(classes):
            members = [k for k in range(len(keys)) if owner[k] == c and k != i]
            below += sum(similarity[k] for k in members) / len(members)
        positives = [k for k in range(len(keys)) if owner[k] == owner[i] and k != i]
        total -= sum(math.log(similarity[k] / below) for k in positives) / len(positives)
    value = bcl.balanced_contrast(views, torch.tensor(labels * 2), prototypes, 0.2)
    assert value.item() == pytest.approx(total / (2 * len(labels)), rel=1e-12)


def test_bcl_without_contrast_is_cross_entropy_with_the_log_prior_on_the_first_view():
    step = step_of("bcl", contrast_weight=0.0, scale=3.0)
    logits = 3 * step.net(step.inputs_B)
    loss, hits, _ = gradients(step)
    assert torch.allclose(loss, F.cross_entropy(logits + COUNTS.log(), step.labels_B), rtol=1e-12)
    assert hits == (logits.argmax(1) == step.labels_B).sum()


def test_bcl_needs_views_that_differ_and_a_head_with_prototypes():
    with pytest.raises(UserError, match="needs an augmentation"):
        gradients(step_of("bcl", {"augmentation": {"name": "none"}}))
    step = step_of("bcl")
    step.net.head = torch.nn.Sequential(step.net.head)
    with pytest.raises(UserError, match="one weight vector for each class"):
        gradients(step)


# Meta loss rescaling -----------------------------------------------------------------------------------------


def test_an_example_is_summarised_by_its_passes():
    # losses -log p of the label: p = 1/4 and 3/4; the largest probability is 3/4 in both; the label wins the second
    logits = torch.stack([QUARTER, QUARTER.flip(1)])
    low, high = math.log(4), math.log(4 / 3)
    of_one = _signals.summaries(logits, torch.tensor([0]))[0].tolist()
    expected = [(low + high) / 2, (low - high) / math.sqrt(2), 0.75, 0, 0]  # a tie: the first pass disagrees
    assert of_one == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert _signals.summaries(logits[1:], torch.tensor([0]))[0].tolist() == pytest.approx([high, 0, 0.75, 0, 1])


@pytest.mark.parametrize("sigmas", [(1.0, 1.0), (0.3, 2.0), (2.0, 0.3), (0.0, 1.0), (0.0, 0.0)])
@pytest.mark.parametrize("means", [(0.0, 0.0), (0.0, 1.5), (2.0, -1.0)])
def test_overlap_and_divergence_are_those_of_normal_distributions(means, sigmas):
    parts = [torch.tensor(value, dtype=torch.float64) for pair in zip(means, sigmas, strict=True) for value in pair]
    one, other = (NormalDist(mu, max(sigma, 1e-8)) for mu, sigma in zip(means, sigmas, strict=True))
    assert _signals.overlap(*parts).item() == pytest.approx(one.overlap(other), rel=1e-9, abs=1e-12)
    if min(sigmas) > 0:
        p, q = (torch.distributions.Normal(mu, sigma) for mu, sigma in zip(means, sigmas, strict=True))
        expected = torch.distributions.kl_divergence(p, q).item()
    else:
        expected = 0.0
    assert _signals.divergence(*parts).item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_features_set_an_example_against_its_kin_of_now_and_before():
    memory, labels = _signals.Memory(classes=2, size=3), torch.tensor([0, 0, 1])
    agreeing = torch.ones(3, dtype=torch.float64)

    def summaries(losses):
        return torch.stack([torch.tensor(losses).double(), *[0.1 * agreeing] * 3, agreeing], dim=1)

    memory.features(summaries([1.0, 2.0, 7.0]), labels, 0)
    for _ in range(2):  # asking again in the same step remembers nothing twice
        found = memory.features(summaries([4.0, 9.0, 5.0]), labels, 1)
        # the last three losses of class 0 are 2, 4 and 9, of class 1 only 7 and 5: mean and deviation beside the own
        assert found[0, :3].tolist() == pytest.approx([4.0, 5.0, math.sqrt((9 + 1 + 16) / 2)], rel=1e-12)
        assert found[2, :3].tolist() == pytest.approx([5.0, 6.0, math.sqrt(2)], rel=1e-12)
        assert found[:, 18].tolist() == [1, 1, 1]
    alone = memory.features(summaries([4.0, 9.0, 5.0]) * torch.tensor([1, 1, 1, 1, 0]), labels, 2)
    assert alone[2, 1:3].tolist() == pytest.approx([5.0, 1e-8]), "the others agree: it is its only kin"
    assert alone[:, 18].tolist() == [0, 0, 0]


def test_the_gradient_of_the_rescaler_is_that_of_the_loss_after_a_virtual_step():
    step = step_of("meta_loss_rescaling", passes=1)
    slopes, rescaler, model = gradients(step)[2], step.net.extra, nn.Sequential(step.net.encoder, step.net.head)
    positions = torch.randperm(len(LABELS), generator=step.stream("meta-batch"))
    images, labels = step.sample.batch(positions)
    meta_inputs = step.augmented(images.double(), "augmentation-meta")

    # what the rescaler sees of the meta batch has no gradient: it stays what it was at first
    look, seen = rescaler.meta.features, {}
    rescaler.meta.features = lambda *given: seen.setdefault("first", look(*given))

    def meta_loss():
        """Take the step in place and back again: no graph through it, so that differences must show the gradient."""
        weights = rescaler(model(step.inputs_B)[None], step.labels_B, rescaler.own, 0).detach()
        kept = [p.detach().clone() for p in model.parameters()]
        losses = F.cross_entropy(model(step.inputs_B), step.labels_B, reduction="none")
        down = torch.autograd.grad((weights * losses).mean(), list(model.parameters()))
        for p, slope in zip(model.parameters(), down, strict=True):
            p.data -= 0.1 * slope
        logits = model(meta_inputs)
        weights = rescaler(logits[None], labels, rescaler.meta, 0)
        value = (weights * F.cross_entropy(logits, labels, reduction="none")).mean().item()
        for p, before in zip(model.parameters(), kept, strict=True):
            p.data = before
        return value

    checked = 0
    for name, p in rescaler.named_parameters():
        for i in range(0, p.numel(), 7):
            h, flat = 1e-5, p.data.view(-1)
            flat[i] += h
            above = meta_loss()
            flat[i] -= 2 * h
            below = meta_loss()
            flat[i] += h
            slope = slopes[f"extra.{name}"].view(-1)[i].item()
            assert (above - below) / (2 * h) == pytest.approx(slope, rel=1e-4, abs=1e-9), name
            checked += abs(slope) > 1e-6
    assert checked > 20


def test_the_model_descends_the_weighted_loss_alone():
    step = step_of("meta_loss_rescaling")
    loss, hits, slopes = gradients(step)
    weights = step.net.extra(
        torch.stack([step.net(step.augmented(step.images_B, f"augmentation{n}")) for n in ("", "-1", "-2")]),
        step.labels_B,
        step.net.extra.own,
        0,
    ).detach()
    assert (weights > 0).all()
    assert (weights < 1).all()
    assert weights.std() > 0.01
    logits = step.net(step.inputs_B)
    expected = (weights * F.cross_entropy(logits, step.labels_B, reduction="none")).mean()
    assert torch.allclose(loss, expected, rtol=1e-12)
    assert hits == (logits.argmax(1) == step.labels_B).sum()
    for name, p in step.net.named_parameters():
        if not name.startswith("extra."):
            (slope,) = torch.autograd.grad(expected, p, retain_graph=True)
            assert torch.allclose(slopes[name], slope, rtol=1e-12), name


def test_one_rescaler_serves_all_classes_if_they_are_not_separated():
    assert len(step_of("meta_loss_rescaling", separate=False).net.extra.networks) == 1
    assert len(step_of("meta_loss_rescaling").net.extra.networks) == 3
    assert gradients(step_of("meta_loss_rescaling", separate=False))[0].isfinite()
    assert gradients(step_of("meta_loss_rescaling", labels=[2]))[0].isfinite(), "a batch of one"


# Reweighted adversarial training -----------------------------------------------------------------------------

PLAIN = {"reweight": False, "separation": 0.0}


def test_srat_without_its_parts_is_natural_training():
    step = step_of("srat", attack="none", **PLAIN)
    loss, hits, _ = gradients(step)
    logits = step.net(step.inputs_B)
    assert torch.equal(loss, F.cross_entropy(logits, step.labels_B))
    assert hits == (logits.argmax(1) == step.labels_B).sum()
    assert torch.equal(gradients(step_of("srat", epsilon=0.0, **PLAIN))[0], loss)


def test_the_attack_on_a_linear_model_of_two_classes_goes_to_the_corner():
    step = step_of("srat", {"augmentation": {"name": "none"}}, labels=[0, 1, 1], epsilon=5.0, **PLAIN)
    step.net.encoder, step.net.head = nn.Flatten(), nn.Linear(16, 2).double()
    attacked = step.phase.task._attacked(step, step.images_B)
    # more of the other class's weights and less of the own everywhere, as far as pixels go
    uphill = (step.net.head.weight[1] - step.net.head.weight[0]).sign().view(1, 1, 4, 4)
    direction = uphill * torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1, 1)
    assert torch.allclose(attacked, (step.images_B + 5 * direction).clamp(0, 255), rtol=1e-12)
    assert step.net.encoder.training


def test_the_attack_stays_within_epsilon_and_raises_the_loss():
    step = step_of("srat", epsilon=20.0, **PLAIN)
    images = step.phase.augmentation(step.images_B, step.stream("augmentation"))
    attacked = step.phase.task._attacked(step, images)
    assert (attacked - images).abs().max() <= 20 + 1e-9
    assert attacked.min() >= 0
    assert attacked.max() <= 255
    assert gradients(step)[0] > F.cross_entropy(step.net(step.inputs_B), step.labels_B)
    with pytest.raises(UserError, match="srat attacks images"):
        step.phase.task._attacked(step, images.flatten(1))


@pytest.mark.parametrize("labels", [[0, 0, 1, 2, 0, 1], [0, 1, 2], [1], [1, 1]])
def test_separation_against_loops(labels):
    features = normal(len(labels), 4).requires_grad_()
    z, losses = F.normalize(features.detach(), dim=1), []
    for i, own in enumerate(labels):
        others = [k for k in range(len(labels)) if k != i]
        positives = [k for k in others if labels[k] == own]
        if positives:
            below = sum(math.exp(float(z[i] @ z[k]) / 0.3) for k in others)
            losses.append(-sum(float(z[i] @ z[k]) / 0.3 - math.log(below) for k in positives) / len(positives))
    value = srat.separation(features, torch.tensor(labels), 0.3)
    value.backward()
    assert value.item() == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-12, abs=1e-12)
    assert features.grad.isfinite().all()


def test_class_weights_of_srat_wait_for_their_time():
    options = {"attack": "none", "separation": 0.0, "defer": 0.5}
    early, late = step_of("srat", **options), step_of("srat", **options)
    late.number = 5
    assert torch.equal(gradients(early)[0], F.cross_entropy(early.net(early.inputs_B), early.labels_B))
    effective = (1 - 0.9999 ** COUNTS.double()) / (1 - 0.9999)
    expected = F.cross_entropy(late.net(late.inputs_B), late.labels_B, weight=1 / effective)
    assert torch.allclose(gradients(late)[0], expected, rtol=1e-10)
