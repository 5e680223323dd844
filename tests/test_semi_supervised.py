"""Learning from unlabelled images, and from features that were never seen: the arithmetic by hand, what is remembered,
and whole jobs that are killed on the way."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_project
import torch
from test_stages_train import DATA, Killed, Project
from torch import nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.jobs import job
from counterpoise.methods.finetuning import oasis_post_training as oasis
from counterpoise.methods.finetuning import rcal
from counterpoise.methods.semi_supervised import _views, daso, doubly_robust_self_training, fixmatch
from counterpoise.registry import build
from counterpoise.training import loop, phases
from counterpoise.training.network import Net
from counterpoise.training.partial import Partial

CLASSES, FEATURES, B, U = 3, 4, 5, 6


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Let what a task keeps copy the network, until `train.add_extra` does."""
    add = loop.add_extra

    def add_and_open(net, *arguments):
        add(net, *arguments)
        getattr(net.extra, "open", lambda net: None)(net)

    monkeypatch.setattr(loop, "add_extra", add_and_open)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def probabilities(*rows):
    return torch.tensor(rows, dtype=torch.float64)


class Run:
    """A network and steps on random images, without a job around them."""

    def __init__(self, method, steps=10, dtype=torch.float32, **phase):
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, FEATURES), nn.Tanh())
        self.net = Net(encoder, nn.Linear(FEATURES, CLASSES), FEATURES, CLASSES).to(dtype)
        given = {"loss": ("losses", "cross_entropy"), "augmentation": ("augmentation", "shift")}
        given = {role: build(kind, {"name": name}) for role, (kind, name) in given.items()} | phase
        parts = {"sampler": None, "optimizer": None, "schedule": None}
        self.phase = phases.Phase(steps=steps, batch_size=B, task=method, **parts, **given)
        loop.add_extra(self.net, [self.phase], "train", 0)
        self.net.to(dtype).train()
        self.dtype = dtype

    def step(self, number, unlabelled=True, shape=(1, 4, 4)):
        images = torch.rand(B + U, *shape, generator=seeded(number), dtype=self.dtype)
        return phases.Step(
            self.net, self.phase, SimpleNamespace(standardise=lambda x: x - 0.5), torch.tensor([8.0, 4.0, 1.0]), None,
            number, images[:B], torch.tensor([0, 0, 1, 2, 0]), stream=lambda purpose: seeded(len(purpose)),
            unlabelled_B=images[B:] if unlabelled else None,
        )  # fmt: skip


METHODS = ("fixmatch", "daso", "doubly_robust_self_training")


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_cannot_use_is_refused(name):
    method = build("semi_supervised", {"name": name})
    with pytest.raises(UserError, match="set unlabelled"):
        method.objective(Run(method).step(0, unlabelled=False))
    with pytest.raises(UserError, match="`mixing` and `ensemble`"):
        method.objective(Run(method, mixing=build("mixing", {"name": "mixup"})).step(0))
    if hasattr(method, "module"):
        learns = build("losses", {"name": "neural_collapse_regulariser"})
        with pytest.raises(UserError, match="another loss"):
            method.objective(Run(method, loss=learns).step(0))
    if name != "doubly_robust_self_training":
        with pytest.raises(UserError, match="needs images"):
            method.objective(Run(method, augmentation=build("augmentation", {"name": "none"})).step(0, shape=(16,)))


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_the_same_when_it_is_evaluated_again_on_all_or_some_rows(name):
    method = build("semi_supervised", {"name": name, **({"start": 0.1, "threshold": 0.1} if name == "daso" else {})})
    run = Run(method)
    for number in range(4):
        step = run.step(number)
        first, hits = method.objective(step)
        held = {key: value.clone() for key, value in run.net.state_dict().items()}
        again, _ = method.objective(step)
        method.objective(step, torch.tensor([1, 3]))
        assert torch.equal(first, again)
        assert all(torch.equal(held[key], value) for key, value in run.net.state_dict().items())
        assert 0 <= int(hits) <= B
        one, _ = method.objective(step, torch.tensor([2]))
        others, _ = method.objective(step, torch.tensor([0, 1, 3, 4]))
        whole = one / 5 + 4 * others / 5
        if name != "doubly_robust_self_training":  # whose mean over all examples depends on how many are labelled
            assert torch.allclose(whole, first, rtol=1e-5)
        first.backward()
        with torch.no_grad():
            for p in run.net.parameters():
                if p.requires_grad:
                    p.sub_(0.1 * p.grad)


# FixMatch ----------------------------------------------------------------------------------------------------


def test_a_pseudo_label_counts_from_the_threshold_on_and_the_mean_is_over_all_images():
    labels, kept = _views.pseudo_labels(probabilities([0.25, 0.75], [0.5, 0.5], [0.875, 0.125]), 0.75)
    assert labels.tolist() == [1, 0, 0]
    assert kept.tolist() == [1, 0, 1]
    logits = probabilities([1, 3], [1, 3], [1, 1]).log()  # p = 1/4, 3/4 twice and 1/2, 1/2
    expected = (math.log(4 / 3) + 0 + math.log(2)) / 3
    assert torch.allclose(_views.consistency(logits, labels, kept), torch.tensor(expected, dtype=torch.float64))
    assert _views.consistency(logits, labels, kept * 0) == 0


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_fixmatch_is_its_formula_and_the_weak_view_has_no_gradient(tau):
    method = fixmatch.Method(threshold=0.4, unlabelled_weight=0.5, tau=tau)
    run = Run(method)
    step, net = run.step(0), run.net
    loss, _ = method.objective(step)
    found = torch.autograd.grad(loss, list(net.parameters()))
    own = net(step.augmented(step.images_B))
    weak = net(step.augmented(step.unlabelled_B, "augmentation-weak")).detach()
    again = step.phase.augmentation(step.unlabelled_B, step.stream("augmentation-strong"))
    cutout = build("augmentation", {"name": "affine_cutout"})
    strong = net(step.sample.standardise(cutout(again, step.stream("strong"))))
    expected, labels = F.cross_entropy(own, step.labels_B), []
    for w, s in zip(weak, strong, strict=True):
        p = (w - tau * torch.tensor([8 / 13, 4 / 13, 1 / 13]).log()).softmax(0)
        labels.append(int(p.argmax()))
        if p.max() >= 0.4:
            expected = expected - 0.5 * s.log_softmax(0)[labels[-1]] / U
    assert torch.allclose(loss, expected, rtol=1e-6)
    for a, b in zip(found, torch.autograd.grad(expected, list(net.parameters())), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-8)
    assert (tau > 0) == (set(labels) == {2}), "the rarest class gains from the adjustment"


def test_a_class_without_labelled_examples_leaves_adjusted_pseudo_labels_finite():
    method = fixmatch.Method(tau=1.0)
    step = Run(method).step(0)
    step.counts_C = torch.tensor([8.0, 4.0, 0.0])
    assert method.objective(step)[0].isfinite()


# DASO --------------------------------------------------------------------------------------------------------


def test_the_blend_leans_on_prototypes_where_pseudo_labels_are_many():
    linear, semantic = probabilities([0.75, 0.25], [0.25, 0.75]), probabilities([0.5, 0.5], [0.875, 0.125])
    seen = torch.tensor([8.0, 2.0], dtype=torch.float64)
    # weights (2/8)^(1/T): 1 for class 0; for class 1 it is 1/2 with T = 2 and 1/16 with T = 1/2
    assert daso.blend(linear, semantic, seen, 2.0).tolist() == [[0.5, 0.5], [0.5625, 0.4375]]
    assert daso.blend(linear, semantic, seen, 0.5)[1].tolist() == [0.25 + 0.625 / 16, 0.75 - 0.625 / 16]
    never = daso.blend(linear, semantic, torch.tensor([3.0, 0.0]), 1.5)
    assert torch.equal(never[1], linear[1])


def test_the_blend_is_the_linear_one_before_any_pseudo_label_was_counted():
    linear, semantic = probabilities([0.75, 0.25], [0.25, 0.75]), probabilities([0.5, 0.5], [0.875, 0.125])
    assert torch.equal(daso.blend(linear, semantic, torch.zeros(2), 1.5), linear)


def test_similarities_are_cosines_over_the_temperature_and_alignment_is_their_cross_entropy():
    prototypes = torch.tensor([[2.0, 0.0], [0.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    features = torch.tensor([[3.0, 4.0], [0.0, -7.0]], dtype=torch.float64)
    found = daso.similarities(features, prototypes, 0.5)
    assert torch.allclose(found, probabilities([1.2, 1.6, 0], [0, -2, 0]))
    target = probabilities([0.5, 0.5], [1, 0])
    expected = (0.5 * math.log(4) + 0.5 * math.log(4 / 3) + math.log(2)) / 2
    found = daso.alignment(probabilities([1, 3], [1, 1]).log(), target)
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))


def test_a_queue_forgets_the_oldest_and_a_class_without_features_has_no_prototype():
    memory = daso.Memory(features=1, classes=3, size=2)
    memory.enqueue(torch.tensor([[1.0], [5.0], [3.0]]), torch.tensor([0, 1, 0]))
    assert memory.prototypes().flatten().tolist() == [2, 5, 0]
    memory.enqueue(torch.tensor([[7.0]]), torch.tensor([0]))
    assert memory.prototypes().flatten().tolist() == [5, 5, 0], "of class 0 the last two are 3 and 7"
    memory.enqueue(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 1, 1]))
    assert memory.prototypes().flatten().tolist() == [5, 3, 0]


def test_the_encoder_is_averaged_with_a_warm_up_and_pseudo_labels_are_counted_by_period():
    method = daso.Method(start=0.3, period=2, decay=0.6, queue=8)
    run = Run(method)
    weight, memory, mean, counts = run.net.encoder[1].weight, run.net.extra, None, []
    for number, decay in enumerate([None, 0.0, 0.5, 0.6, 0.6]):
        with torch.no_grad():
            weight.fill_(float(number))  # as if the last step had led there
        method.objective(run.step(number))
        mean = memory.encoder[1].weight.mean().item() if mean is None else decay * mean + (1 - decay) * number
        assert memory.encoder[1].weight.mean().item() == pytest.approx(mean)
        counts.append((int(memory.counted_C.sum()) // U, int(memory.counting_C.sum()) // U))
    # closed at steps 2 and 4 (the period) and at 3 (the start)
    assert counts == [(0, 1), (0, 2), (2, 1), (1, 1), (1, 1)]
    assert not any(p.requires_grad for p in memory.parameters())
    assert memory.held_C.tolist() == [8, 5, 5]


def test_before_its_start_daso_is_fixmatch():
    options = {"threshold": 0.85, "unlabelled_weight": 0.5}
    runs = [Run(method) for method in (fixmatch.Method(**options), daso.Method(start=0.5, **options))]
    for number in (0, 4, 5):
        plain, blended = (run.phase.task.objective(run.step(number))[0] for run in runs)
        assert torch.equal(plain, blended) == (number < 5)


# Doubly robust self-training ---------------------------------------------------------------------------------


def robust(number=0, **options):
    method = doubly_robust_self_training.Method(**options)
    run = Run(method, dtype=torch.float64, augmentation=build("augmentation", {"name": "none"}))
    with torch.no_grad():
        run.net.head.weight.mul_(-2)  # the student is another than the teacher
    return run, run.step(number), method.objective(run.step(number))[0]


def test_the_doubly_robust_loss_is_its_formula():
    for number, weight in ((0, 0.1), (4, 0.5), (9, 1.0)):
        run, step, found = robust(number)
        x, u = step.images_B - 0.5, step.unlabelled_B - 0.5
        teacher = Run(run.phase.task, dtype=torch.float64).net
        pseudo_x, pseudo_u = teacher(x).argmax(1), teacher(u).argmax(1)
        pseudo = [F.cross_entropy(run.net(z), p, reduction="none") for z, p in ((x, pseudo_x), (u, pseudo_u))]
        true = F.cross_entropy(run.net(x), step.labels_B)
        expected = torch.cat(pseudo).mean() + weight * (true - pseudo[0].mean())
        assert torch.allclose(found, expected, rtol=1e-12)
        assert torch.allclose(robust(number, loss="pseudo_only")[2], torch.cat(pseudo).mean(), rtol=1e-12)
        assert torch.allclose(robust(number, loss="labelled_only")[2], true, rtol=1e-12)
        plain = robust(number, loss="self_training")[2]
        assert torch.allclose(plain, (B * true + pseudo[1].sum()) / (B + U), rtol=1e-12)
        assert torch.allclose(robust(number, annealed=False)[2], expected + (1 - weight) * (true - pseudo[0].mean()))
    # labels of a teacher that is right on the labelled part need no correction
    right = torch.tensor(2.0)
    assert doubly_robust_self_training.doubly_robust(torch.tensor(3.0), right, right, 1.0) == 3


def test_the_teacher_stays_what_it_was_and_an_adversary_names_the_next_class():
    run, _, _ = robust()
    teacher = run.net.extra
    assert not teacher.train().training
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
    assert not torch.equal(teacher.head.weight, run.net.head.weight)
    honest, adversary, around = (robust(loss="pseudo_only", wrong_by=n)[2] for n in (0, 1, 3))
    assert torch.equal(honest, around)
    assert not torch.equal(honest, adversary)


# Representation calibration -----------------------------------------------------------------------------------


def test_outliers_leave_a_class_before_its_gaussian_is_fitted():
    cloud = torch.randn(30, 2, generator=seeded(), dtype=torch.float64)
    far = torch.tensor([[9.0, -9.0]], dtype=torch.float64)
    kept = rcal.inliers(torch.cat([cloud, far]), 5)
    assert not kept[-1]
    assert kept[:30].sum() >= 25
    assert rcal.inliers(far.repeat(3, 1) * torch.tensor([[1.0], [2.0], [100.0]]), 20).all()
    labels = torch.cat([torch.zeros(31), torch.ones(2), torch.full((1,), 2.0)]).long()
    features = torch.cat([cloud, far, torch.tensor([[0.0, 4.0], [2.0, 0.0]]), far])
    counts, (means, covariances) = rcal.fit(features, labels, 3, 5)
    assert counts.tolist() == [int(kept.sum()), 2, 1]
    assert np.allclose(means[0], cloud[kept[:30]].mean(0))
    assert np.allclose(covariances[0], np.cov(cloud[kept[:30]].numpy().T))
    assert means[1].tolist() == [1, 2]
    assert covariances[1].tolist() == [[2, -4], [-4, 8]]
    assert covariances[2].tolist() == [[0, 0], [0, 0]], "a single example has no spread"


def test_a_tail_class_borrows_from_the_nearest_head_classes():
    means = torch.tensor([[0.0, 8.0], [4.0, 0.0], [90.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    covariances = torch.eye(2, dtype=torch.float64) * torch.tensor([16.0, 8.0, 5.0, 2.0]).view(4, 1, 1)
    counts, kept = torch.tensor([40.0, 20.0, 30.0, 2.0]), torch.tensor([30, 10, 30, 2])
    new, spread = rcal.borrow((means, covariances), counts, kept, nearest=2, borrowed=0.5)
    # the average class has 23 examples: classes 1 and 3 are tail, 0 and 2 head; shares 1/2, 1/2
    assert new[3].tolist() == [0.5 * 45, 0.5 * 4]
    assert torch.equal(spread[3], torch.eye(2).double() * (0.25 * (16 + 5) / 4 + 0.25 * 2))
    new, spread = rcal.borrow((means, covariances), counts, torch.tensor([30, 10, 10, 2]), nearest=5, borrowed=1.0)
    assert new[1].tolist() == [22.5, 6], "3/4 of class 0 and 1/4 of class 2"
    assert torch.equal(spread[1], torch.eye(2).double() * (16 * 9 + 5) / 16)
    assert torch.equal(new[[0, 2]], means[[0, 2]])
    same = rcal.borrow((means, covariances), torch.full((4,), 7.0), kept, nearest=2, borrowed=0.5)
    assert torch.equal(same[0], means)
    assert torch.equal(same[1], covariances)


def test_drawn_features_have_the_mean_and_covariance_of_their_class():
    mixing = torch.tensor([[1.0, 0.0], [2.0, 0.5]], dtype=torch.float64)
    means = torch.tensor([[3.0, -1.0], [0.0, 0.0]], dtype=torch.float64)
    singular = torch.tensor([[4.0, 4.0], [4.0, 4.0]], dtype=torch.float64)
    anchors = rcal.Anchors(nn.Identity(), (means, torch.stack([mixing @ mixing.T, singular])))
    labels = torch.arange(2).repeat(40_000)
    drawn = anchors.draw(labels, seeded())
    assert torch.equal(drawn, anchors.draw(labels, seeded()))
    own, line = drawn[labels == 0].double(), drawn[labels == 1]
    assert torch.allclose(own.mean(0), means[0], atol=0.03)
    assert torch.allclose(own.T.cov(), mixing @ mixing.T, atol=0.1)
    assert torch.allclose(line[:, 0], line[:, 1], atol=1e-4), "a covariance of rank one"


def test_rcal_is_images_drawn_features_and_the_distance_together():
    method = rcal.Method(distance=0.25)
    run = Run(None)
    run.phase = method.phases(run.phase)[0]
    sample = SimpleNamespace(
        standardise=lambda x: x - 0.5, labels=torch.tensor([0] * 8 + [1] * 4 + [2]),
        batch=lambda rows: (torch.rand(13, 1, 4, 4, generator=seeded(9))[rows], None),
    )  # fmt: skip
    method.open(run.net, sample, torch.tensor([8.0, 4.0, 1.0]))
    run.net.train()
    assert not run.net.extra.encoder.training
    assert not any(p.requires_grad for p in run.net.extra.parameters())
    step, net = run.step(0), run.net
    plain, hits = build("pretraining", {"name": "supervised"}).objective(step)
    # 13 examples lack 4 of class 1 and 7 of class 2 to be balanced: 5 images bring 5 * 11 / 13 = 4.2 features
    generator = step.stream("drawn")
    labels = torch.multinomial(torch.tensor([0.0, 4.0, 7.0]), 4, replacement=True, generator=generator)
    drawn = F.cross_entropy(net.head(net.extra.draw(labels, generator)), labels)
    found, found_hits = run.phase.task.objective(step)
    assert torch.allclose(found, (5 * plain + 4 * drawn) / 9), "no distance while the encoder is as it was"
    assert found_hits == hits
    before = net.encoder(step.inputs_B)
    with torch.no_grad():
        net.encoder[1].weight.mul_(1.5)
    moved = (net.encoder(step.inputs_B) - before).square().sum(1).mean()
    plain, _ = build("pretraining", {"name": "supervised"}).objective(step)
    assert torch.allclose(run.phase.task.objective(step)[0], (5 * plain + 4 * drawn) / 9 + 0.25 * moved)
    step.counts_C = torch.full((3,), 4.0)
    assert torch.allclose(run.phase.task.objective(step)[0], plain + 0.25 * moved), "nothing to fill up"


# Post-training ------------------------------------------------------------------------------------------------


def test_a_low_rank_head_starts_as_the_head_and_ends_as_one():
    torch.manual_seed(0)
    base, features = nn.Linear(6, 4), torch.randn(5, 6)
    head = oasis.LowRank(base, 2)
    assert torch.equal(head(features), base(features))
    assert [p.shape for p in head.parameters() if p.requires_grad] == [(2, 4), (6, 2)]
    with torch.no_grad():
        head.b_DR.normal_()
    assert not torch.allclose(head(features), base(features))
    assert torch.allclose(head.merged()(features), head(features), atol=1e-6)
    assert torch.equal(head.base.weight, base.weight)


def test_distances_are_those_of_mahalanobis():
    labels = torch.tensor([0] * 20 + [1] * 9 + [2])
    features = torch.randn(30, 3, generator=seeded(), dtype=torch.float64) @ torch.tensor(
        [[1.0, 0.5, 0.0], [0.0, 2.0, 0.0], [0.0, 0.3, 0.1]], dtype=torch.float64
    )
    means = torch.stack([features[labels == c].mean(0) for c in range(3)])
    spread = oasis.whitenings(features, labels, means, 0.25)
    reference = oasis.Reference(means, spread, torch.ones(3)).double()
    reference.means_CD, reference.whitenings_CDD = means, spread
    found = reference.distances(features)
    own = [np.cov(features[labels == c].numpy().T, bias=True) for c in range(2)] + [np.zeros((3, 3))]
    within = sum(n * covariance for n, covariance in zip((20, 9, 1), own, strict=True)) / 30
    for c in range(3):
        covariance = 0.75 * own[c] + 0.25 * within + 1e-3 * np.trace(within) / 3 * np.eye(3)
        for x, distance in zip(features, found[:, c], strict=True):
            away = (x - means[c]).numpy()
            assert distance.item() == pytest.approx(math.sqrt(away @ np.linalg.inv(covariance) @ away))


def test_a_pseudo_label_is_the_prediction_or_the_class_that_is_clearly_nearest():
    logits = probabilities([0.5, 0.5], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]).log()
    h = -(0.9 * math.log2(0.9) + 0.1 * math.log2(0.1))
    assert oasis.entropy(logits)[:2].tolist() == pytest.approx([1, h])
    distances = torch.tensor([[3.0, 4.0], [9.0, 1.0], [1.0, 3.0], [1.0, 1.5]])
    labels, reliable = oasis.pseudo_labels(logits, distances, certain=0.5, gap=1.0)
    assert labels.tolist() == [0, 0, 0, 0]
    assert reliable.tolist() == [True, True, True, False]
    assert oasis.entropy(torch.tensor([[1e4, -1e4, 0.0]])).tolist() == [0]


def post_training(**options):
    method, run = oasis.Method(**options), Run(None)
    run.phase = method.phases(run.phase)[0]
    images, labels = torch.rand(20, 1, 4, 4, generator=seeded(9)), torch.arange(20) % 3
    sample = SimpleNamespace(standardise=lambda x: x - 0.5, labels=labels, batch=lambda rows: (images[rows], None))
    method.open(run.net, sample, torch.tensor([7.0, 7.0, 6.0]))
    return method, run


def test_nothing_is_learned_without_a_shift_and_only_reliable_labels_with_one():
    _, run = post_training(similarity=0.0)
    loss, learned = run.phase.task.objective(run.step(0))
    loss.backward()
    assert loss == learned == 0
    assert not run.net.head.a_RC.grad.any()
    _, run = post_training(similarity=1.5, uncertain=0.9, certain=0.0, gap=0.3)
    step, net = run.step(0), run.net
    loss, learned = run.phase.task.objective(step)
    features = net.encoder(step.augmented(step.unlabelled_B))
    expected = []
    for logits, distances in zip(net.head(features), net.extra.distances(features), strict=True):
        first, second = distances.sort().values[:2]
        if oasis.entropy(logits[None]) >= 0.9 and second - first >= 0.3:
            expected.append(-logits.log_softmax(0)[distances.argmin()])
    assert 0 < len(expected) < U
    assert learned == len(expected)
    assert torch.allclose(loss, torch.stack(expected).mean())


@pytest.mark.parametrize("reference", ["training", "previous"])
def test_a_batch_is_compared_with_the_training_part_or_the_batch_before(reference):
    _, run = post_training(reference=reference)
    start, means = run.net.extra.mean_C.clone(), []
    for number in range(3):
        step = run.step(number)
        for _ in range(2):  # as often as a step is evaluated
            run.phase.task.objective(step)
        before = start if reference == "training" or not number else means[-1]
        assert torch.equal(run.net.extra.mean_C, before)
        logits = run.net(step.augmented(step.unlabelled_B))
        means.append(logits.softmax(1).mean(0).detach())
    assert start.sum() == pytest.approx(1)


def test_post_training_refuses_what_it_cannot_use():
    _, run = post_training()
    with pytest.raises(UserError, match="set unlabelled"):
        run.phase.task.objective(run.step(0, unlabelled=False))
    run.net.head = nn.Sequential(run.net.head.base)
    with pytest.raises(UserError, match="leave `head` at linear"):
        oasis.Method().open(run.net, None, None)
    for name in ("rcal", "oasis_post_training"):
        with pytest.raises(UserError, match="leave `semi_supervised` at none"):
            build("finetuning", {"name": name}).phases(Run(fixmatch.Method()).phase)


# Whole jobs --------------------------------------------------------------------------------------------------

RECIPE = {
    "unlabelled": {"per_class": 40, "factor": 4, "order": "reversed"},
    "pretrain": {"steps": 150, "batch_size": 16},
    "finetune": {"steps": 24, "batch_size": 8, "augmentation": "shift", "optimizer": {"name": "sgd", "lr": 0.01}},
}
TAUGHT = {"method": "supervised", "sample": "random_oversampling"}


def semi(**method):
    return {"pretrain": TAUGHT, "finetune": {"semi_supervised": method}}


CASES = {
    "fixmatch": semi(name="fixmatch", unlabelled_ratio=2, threshold=0.8, tau=1.0),
    "daso": semi(name="daso", start=0.3, period=5, queue=4, threshold=0.8),
    "robust": semi(name="doubly_robust_self_training", unlabelled_ratio=2),
    "rcal": {"label_noise": 0.2, "pretrain": TAUGHT, "finetune": {"method": "rcal", "optimizer": {"lr": 0.03}}},
    "post": {"pretrain": TAUGHT, "finetune": {"method": {"name": "oasis_post_training", "reference": "previous"}}},
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(name, case):
        return Project(tmp_path / name, {case: CASES[case]}, **RECIPE).compute(*DATA, "pretrain")

    return make


@pytest.mark.parametrize("case", CASES)
def test_a_job_goes_on_to_the_same_bytes_with_all_that_it_remembered(project, monkeypatch, case):
    p = project("disturbed", case)
    done, keep = [], Partial.save

    def save(*arguments):
        keep(*arguments)
        done.append(1)
        if len(done) in (3, 9, 24 + 17):
            raise Killed

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Partial, "save", save)
    for _ in range(3):
        with pytest.raises(Killed):
            job.run("finetune", p.entries[case]["finetune"], "seeds-00-01")
    p.compute("finetune")
    disturbed = small_project.digests(Path.cwd())
    assert not small_project.left_behind(Path.cwd())
    monkeypatch.setattr(Partial, "save", keep)
    p = project("plain", case).compute("finetune")
    assert small_project.digests(Path.cwd()) == disturbed
    run = p.run_json(case, "finetune")
    assert run["status"] == "done"
    assert not run["diverged"]
    before, after = p.tensors(case, "pretrain"), p.tensors(case, "finetune")
    assert (case == "post") == torch.equal(before["0/encoder.0.weight"], after["0/encoder.0.weight"])
    assert before["0/head.weight"].shape == after["0/head.weight"].shape
    assert not torch.equal(before["0/head.weight"], after["0/head.weight"])
    if case in ("robust", "rcal"):  # a copy of the network as training found it
        kept = {name: t for name, t in after.items() if "/extra.encoder" in name or "/extra.head" in name}
        assert len(kept) == sum("/head." not in name or case == "robust" for name in before)
        assert all(torch.equal(t, before[name.replace("extra.", "")]) for name, t in kept.items())
    if case == "daso":
        assert after["0/extra.last"] == 23
        assert (after["0/extra.held_C"] > 0).all()
