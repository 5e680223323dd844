"""Learning from unlabelled images: the arithmetic by hand, the memory, and whole jobs that are killed on the way."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import small_project
import torch
from test_stages_train import DATA, Killed, Project
from torch import nn
from torch.nn import functional as F

from counterpoise import jobs, train
from counterpoise.errors import UserError
from counterpoise.network import Net
from counterpoise.partial import Partial
from counterpoise.registry import build
from counterpoise.semi_supervised import daso, doubly_robust_self_training, fixmatch

CLASSES, FEATURES, B, U = 3, 4, 5, 6


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Let what a task keeps copy the network, until `train.add_extra` does."""
    add = train.add_extra

    def add_and_open(net, *arguments):
        add(net, *arguments)
        getattr(net.extra, "open", lambda net: None)(net)

    monkeypatch.setattr(train, "add_extra", add_and_open)


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
        self.phase = train.Phase(steps=steps, batch_size=B, task=method, **parts, **given)
        train.add_extra(self.net, [self.phase], "train", 0)
        self.net.to(dtype).train()
        self.dtype = dtype

    def step(self, number, unlabelled=True, shape=(1, 4, 4)):
        images = torch.rand(B + U, *shape, generator=seeded(number), dtype=self.dtype)
        return train.Step(
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
    labels, kept = fixmatch.pseudo_labels(probabilities([0.25, 0.75], [0.5, 0.5], [0.875, 0.125]), 0.75)
    assert labels.tolist() == [1, 0, 0]
    assert kept.tolist() == [1, 0, 1]
    logits = probabilities([1, 3], [1, 3], [1, 1]).log()  # p = 1/4, 3/4 twice and 1/2, 1/2
    expected = (math.log(4 / 3) + 0 + math.log(2)) / 3
    assert torch.allclose(fixmatch.consistency(logits, labels, kept), torch.tensor(expected, dtype=torch.float64))
    assert fixmatch.consistency(logits, labels, kept * 0) == 0


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


# Whole jobs --------------------------------------------------------------------------------------------------

RECIPE = {
    "unlabelled": {"per_class": 40, "factor": 4, "order": "reversed"},
    "pretrain": {"steps": 150, "batch_size": 16},
    "finetune": {"steps": 24, "batch_size": 8, "augmentation": "shift", "optimizer": {"name": "sgd", "lr": 0.01}},
}
CASES = {
    "fixmatch": {"name": "fixmatch", "unlabelled_ratio": 2, "threshold": 0.8, "tau": 1.0},
    "daso": {"name": "daso", "start": 0.3, "period": 5, "queue": 4, "threshold": 0.8},
    "robust": {"name": "doubly_robust_self_training", "unlabelled_ratio": 2},
}
TAUGHT = {"method": "supervised", "sample": "random_oversampling"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(name, cases):
        cases = {case: {"pretrain": TAUGHT, "finetune": {"semi_supervised": CASES[case]}} for case in cases}
        return Project(tmp_path / name, cases, **RECIPE).compute(*DATA, "pretrain")

    return make


@pytest.mark.parametrize("case", CASES)
def test_a_job_learns_from_unlabelled_images_and_goes_on_to_the_same_bytes(project, monkeypatch, case):
    p = project("disturbed", [case])
    done, keep = [], Partial.save

    def save(*arguments):
        keep(*arguments)
        done.append(1)
        if len(done) in (3, 9, 24 + 17):
            raise Killed

    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(Partial, "save", save)
    for _ in range(3):
        with pytest.raises(Killed):
            jobs.run("finetune", p.entries[case]["finetune"], "seeds-00-01")
    p.compute("finetune")
    disturbed = small_project.digests(Path.cwd())
    assert not small_project.left_behind(Path.cwd())
    monkeypatch.setattr(Partial, "save", keep)
    p = project("plain", [case]).compute("finetune")
    assert small_project.digests(Path.cwd()) == disturbed
    run = p.run_json(case, "finetune")
    assert run["status"] == "done"
    assert not run["diverged"]
    before, after = p.tensors(case, "pretrain"), p.tensors(case, "finetune")
    assert not torch.equal(before["0/encoder.0.weight"], after["0/encoder.0.weight"])
    if case == "robust":
        taught = {name: t for name, t in after.items() if "/extra." in name}
        assert len(taught) == len(before)
        assert all(torch.equal(t, before[name.replace("extra.", "")]) for name, t in taught.items())
    if case == "daso":
        assert after["0/extra.last"] == 23
        assert (after["0/extra.held_C"] > 0).all()
