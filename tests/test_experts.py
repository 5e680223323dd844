"""Ensembles of experts, their router and their aggregation against hand arithmetic, plain loops and the pipeline.

.venv/bin/python -m pytest -n 0 tests/test_experts.py
"""

import os
from functools import partial
from math import log
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_project
import torch
from torch import nn
from torch.func import vmap
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.jobs import job
from counterpoise.methods.ensembles.sade import reversed_prior
from counterpoise.methods.finetuning import ride_router
from counterpoise.planning import plan as planning
from counterpoise.scoring import evaluation
from counterpoise.scoring.evidence import Evidence
from counterpoise.training import checkpoints, loop, network

ENSEMBLES = [name for name in registry.names("ensembles") if name != "none"]


def build(kind, name, **options):
    return registry.build(kind, {"name": name, **options})


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def loss(ensemble, outputs, labels, counts, progress=0.0, base=None, features=None):
    base = base or build("losses", "cross_entropy")
    features = outputs if features is None else features
    return ensemble.loss(outputs, features, labels, counts, lambda z, f: base(z, labels, counts), progress=progress)


LABELS, COUNTS = torch.tensor([0, 1, 2, 0, 0]), torch.tensor([90.0, 9.0, 1.0], dtype=torch.float64)


# What every ensemble does ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENSEMBLES)
@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_an_ensemble_gives_a_finite_differentiable_scalar_and_one_prediction(name, progress):
    ensemble = build("ensembles", name)
    outputs = normal(5, ensemble.experts, 3)
    for dtype in (torch.float64, torch.float32):
        for scale in (1.0, 1e4):
            z = (outputs.sign() * scale if scale > 1 else outputs).to(dtype).clone().requires_grad_()
            value = loss(ensemble, z, LABELS, COUNTS.to(dtype), progress)
            value.backward()
            assert value.shape == ()
            assert value.dtype == dtype
            assert value.isfinite()
            assert z.grad.isfinite().all()
            assert z.grad.abs().sum() > 0
    assert ensemble.combine(outputs).shape == (5, 3)
    stacked = normal(2, 5, ensemble.experts, 3)
    both = vmap(lambda z: loss(ensemble, z, LABELS, COUNTS, progress))(stacked)
    for one, z in zip(both, stacked, strict=True):
        assert one == pytest.approx(float(loss(ensemble, z, LABELS, COUNTS, progress)), rel=1e-12)
    meta = loss(ensemble, outputs.to("meta"), LABELS.to("meta"), COUNTS.to("meta"), progress)
    assert meta.device.type == "meta"


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_absent_class_two_classes_and_a_batch_of_one_are_no_matter(name):
    ensemble = build("ensembles", name)
    for counts, labels in (((5.0, 3.0, 0.0), (0, 1)), ((4.0, 1.0), (1,)), ((1.0, 1.0), (0,))):
        z = normal(len(labels), ensemble.experts, len(counts)).requires_grad_()
        value = loss(ensemble, z, torch.tensor(labels), torch.tensor(counts, dtype=torch.float64), 0.9)
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()


# Plain average and RIDE --------------------------------------------------------------------------------------


def test_a_plain_ensemble_sums_what_each_expert_would_lose_alone():
    ensemble, z = build("ensembles", "plain_average", experts=2), normal(5, 2, 3).requires_grad_()
    alone = [z[:, e].detach().requires_grad_() for e in range(2)]
    loss(ensemble, z, LABELS, COUNTS).backward()
    for e in range(2):
        F.cross_entropy(alone[e], LABELS).backward()
        assert torch.equal(z.grad[:, e], alone[e].grad)
    assert torch.equal(ensemble.combine(z), (z[:, 0] + z[:, 1]) / 2)


def test_temperatures_by_hand():
    # 3 (.9, .09, .01) = (2.7, .27, .03), halved and with 1/2 added: (1.85, .635, .515)
    code, paper = (
        build("ensembles", "ride", reweight_factor=0.5, base_diversity_temperature=2.0, variant=variant)
        for variant in ("official_code", "paper")
    )
    assert code.temperatures(COUNTS, 0.79).tolist() == [2, 2, 2]
    assert code.temperatures(COUNTS, 0.8) == pytest.approx([2, 2 * 0.635 / 1.85, 2 * 0.515 / 1.85])
    assert paper.temperatures(COUNTS, 0.8) == pytest.approx([2, 2 * (1.635 - 1.85), 2 * (1.515 - 1.85)])
    assert build("ensembles", "ride", reweight_from=1.0).temperatures(COUNTS, 0.999).tolist() == [1, 1, 1]


def test_divergence_by_hand():
    # One example, two experts: odds 3 : 1 and 1 : 3, so the mean of the logits is even.
    z = torch.tensor([[[log(3), 0.0], [0.0, log(3)]]], dtype=torch.float64)
    labels, counts = torch.tensor([0]), torch.tensor([5.0, 5.0], dtype=torch.float64)
    cross_entropies = -log(3 / 4) - log(1 / 4)
    from_mean = 2 * (log(1 / 2) - (log(3 / 4) + log(1 / 4)) / 2)
    pairs = 2 * (3 / 4 - 1 / 4) * log(3)
    for variant, apart in (("official_code", from_mean), ("paper", pairs)):
        ensemble = build("ensembles", "ride", variant=variant, experts=2, additional_diversity_factor=-0.3)
        assert float(loss(ensemble, z, labels, counts)) == pytest.approx(cross_entropies - 0.3 * apart, rel=1e-12)
    # With every logit and temperature doubled the distributions are the same, and the code multiplies by T^2 = 4.
    ensemble = build(
        "ensembles", "ride", experts=2, additional_diversity_factor=-1.0, base_diversity_temperature=2.0, scale=2.0
    )
    assert float(loss(ensemble, z, labels, counts)) == pytest.approx(cross_entropies - 4 * from_mean, rel=1e-12)


def test_the_code_holds_the_mean_constant_and_the_paper_does_not():
    z, counts = normal(1, 2, 2).requires_grad_(), torch.ones(2, dtype=torch.float64)
    labels, nothing = torch.tensor([0]), {"experts": 2, "base_loss_factor": 0.0, "additional_diversity_factor": 1.0}
    loss(build("ensembles", "ride", **nothing), z, labels, counts).backward()
    p = z.detach().softmax(2)
    assert torch.allclose(z.grad, p - z.detach().mean(1).softmax(1)[:, None], rtol=1e-12)
    paper = build("ensembles", "ride", variant="paper", **nothing)
    assert torch.autograd.gradcheck(lambda z: loss(paper, z, labels, counts), z)


def test_ride_s_own_base_is_ldam_with_weights_from_the_switch_on():
    cosines, ensemble = normal(5, 3, 3).tanh(), build("ensembles", "ride", base="ldam", scale=30.0)
    ldam, drw = build("losses", "ldam"), build("finetuning", "drw").weights(COUNTS)
    phase = build("ensembles", "ride", scale=30.0)
    for progress, weights in ((0.79, None), (0.8, drw)):
        weighted = partial(ldam, class_weights_C=weights)
        expected = loss(phase, cosines, LABELS, COUNTS, progress, base=weighted)
        assert torch.allclose(loss(ensemble, cosines, LABELS, COUNTS, progress), expected, rtol=1e-12)
    assert torch.allclose(ensemble.combine(cosines), 30 * cosines.mean(1))
    assert torch.allclose(phase.combine(ldam.scores(cosines)), 30 * cosines.mean(1)), "the loss scales it already"


def test_without_diversity_the_code_trains_the_mean_and_the_paper_each_expert():
    z = normal(5, 3, 3)
    code, paper = (
        build("ensembles", "ride", additional_diversity_factor=0.0, variant=variant)
        for variant in ("official_code", "paper")
    )
    assert torch.allclose(loss(code, z, LABELS, COUNTS), 3 * F.cross_entropy(z.mean(1), LABELS))
    assert torch.allclose(loss(paper, z, LABELS, COUNTS), loss(build("ensembles", "plain_average"), z, LABELS, COUNTS))


# SADE --------------------------------------------------------------------------------------------------------


def test_three_losses_by_hand():
    # Even logits, priors .9 and .1: softmax 1/2; balanced .1 for the rare class; inverse .1 / .01 to .9 / .81 = 9 : 1.
    z, counts = torch.zeros(1, 3, 2, dtype=torch.float64), torch.tensor([9.0, 1.0], dtype=torch.float64)
    rare = loss(build("ensembles", "sade"), z, torch.tensor([1]), counts)
    share = (0.1 / 0.9**2) / (0.1 / 0.9**2 + 0.9 / 0.1**2)
    assert float(rare) == pytest.approx(-log(0.5) - log(0.1) - log(share), rel=1e-7)  # 1e-9 is added to priors
    plain = build("ensembles", "sade", tau=0.0)
    assert float(loss(plain, z, torch.tensor([1]), counts)) == pytest.approx(-log(0.5) - 2 * log(0.1), rel=1e-7)


def test_priors_are_reversed_by_rank_and_ties_in_the_order_of_the_classes():
    assert reversed_prior(torch.tensor([0.5, 0.2, 0.3])).tolist() == pytest.approx([0.2, 0.5, 0.3])
    assert reversed_prior(torch.tensor([0.7, 0.1, 0.1, 0.1])).tolist() == pytest.approx([0.1, 0.7, 0.1, 0.1])


def test_shifts_belong_to_logits_that_the_loss_scales():
    cosines, ldam = normal(5, 3, 3).tanh(), build("losses", "ldam", max_margin=0.0)
    scaled = loss(build("ensembles", "sade", scale=30.0), cosines, LABELS, COUNTS, base=ldam)
    assert torch.allclose(scaled, loss(build("ensembles", "sade"), 30 * cosines, LABELS, COUNTS), rtol=1e-12)


# Aggregation at test time ------------------------------------------------------------------------------------


def views(skill, examples=300, seed=0):
    """Return what three experts say of two views; `skill` is by how much each favours the right class."""
    labels = torch.arange(examples) % 4
    clear = normal(examples, 3, 4, seed=seed) + torch.tensor(skill)[:, None] * F.one_hot(labels, 4)[:, None]
    return clear + normal(2, examples, 3, 4, seed=seed + 1)


def fitted(views_VBEC, **options):
    return build("rebalancing", "sade_aggregation", **options).weights(views_VBEC)


@pytest.mark.parametrize("lr", [0.1, 2.0, 100.0])
def test_weights_are_those_of_torch_s_optimiser_and_a_plain_loop(lr, monkeypatch):
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))
    both, learned = views((0.0, 1.0, 2.0)), nn.Parameter(torch.full((3,), 1 / 3, dtype=torch.float64))
    optimizer = torch.optim.SGD([learned], lr=lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    for _ in range(5):
        for first in range(0, 300, 128):
            w = learned.exp() / learned.exp().sum()
            p, q = (sum(w[e] * view[first : first + 128, e] for e in range(3)).softmax(1) for view in both)
            optimizer.zero_grad()
            (-((p * q).sum(1) / (p.norm(dim=1) * q.norm(dim=1))).mean()).backward()
            optimizer.step()
        if min(round(v, 2) for v in learned.detach().softmax(0).tolist()) < 0.05:
            break
    assert torch.allclose(fitted(both, lr=lr), learned.softmax(0), rtol=1e-10)
    assert (lr == 100) == (float(learned.detach().softmax(0).min()) < 0.045), "one of the three is stopped"


def test_the_steadiest_expert_gets_the_largest_weight():
    order = fitted(views((0.0, 2.0, 4.0)), lr=2.0).argsort().tolist()
    assert order == [0, 1, 2]


def test_an_aggregation_is_a_pure_rule_of_the_experts_logits():
    method, both = build("rebalancing", "sade_aggregation", lr=2.0), views((0.0, 1.0, 2.0))
    counts, before = torch.tensor([9, 5, 2, 1]), torch.random.get_rng_state()
    rule, weights = method.fit(Evidence(counts, counts, expert_views_VBEC=both)), fitted(both, lr=2.0)
    assert torch.equal(torch.random.get_rng_state(), before)
    scores = rule(both[0, :7])
    assert torch.allclose(scores.decision_BC, torch.einsum("bec,e->bc", both[0, :7], weights), rtol=1e-12)
    assert torch.allclose(scores.log_prob_BC, scores.decision_BC.log_softmax(1))
    assert weights.sum() == pytest.approx(1)
    with pytest.raises(ImpossibleCell, match="none kept"):
        method.fit(Evidence(counts, counts))
    with pytest.raises(ImpossibleCell, match="the same"):
        method.fit(Evidence(counts, counts, expert_views_VBEC=both[:1].expand_as(both)))


# The router --------------------------------------------------------------------------------------------------


def routed(experts=3, features=4, classes=3, seed=0, **options):
    """Return a network whose "encoder" passes the features of the experts on, with a router around its heads."""
    heads = network.Heads([nn.Linear(features, classes) for _ in range(experts)])
    net = network.Net(nn.Identity(), heads, features, classes)
    method = build("finetuning", "ride_router", **options)
    ensemble = build("ensembles", "ride", base="ldam", scale=options.get("scale", 1.0), experts=experts)
    loop.add_extra(net, method.phases(_phase(ensemble)), "train", seed)
    return net.double(), method


class Given:
    """A step, as far as the router's task looks at it."""

    def __init__(self, net, inputs, labels):
        self.net, self.inputs_B, self.labels_B = net, inputs, labels


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("experts", [2, 3, 4])
def test_a_router_learns_whether_a_later_expert_is_right_by_a_plain_loop(experts, share):
    net, method = routed(experts, share=share, pos_weight=7.0, top_choices=2, scale=30.0)
    x, labels = normal(40, experts, 4), torch.arange(40) % 3
    outputs = [net.head.heads.heads[e](x[:, e]) for e in range(experts)]
    means = [sum(outputs[: e + 1]) / (e + 1) for e in range(experts)]
    total, wanted = 0.0, 0
    for b in range(40):
        right = [int(mean[b].argmax()) == int(labels[b]) for mean in means]
        for e in range(experts - 1):
            feature = net.head.hidden[e](x[b, e] / x[b, e].norm()).clamp(min=0)
            top = 30 * means[e][b].sort(descending=True).values[:2]
            z = net.head.out[0 if share else e](torch.cat([top, feature]))
            target = not right[e] and any(right[e + 1 :])
            total += float(7 * (1 + (-z).exp()).log() if target else (1 + z.exp()).log())
            wanted += target
    task = method.phases(_phase(build("ensembles", "ride", base="ldam", scale=30.0)))[0].task
    value, hits = task.objective(Given(net, x, labels))
    assert wanted > 0
    assert float(value) == pytest.approx(total / 40 / (experts - 1), rel=1e-10)
    assert int(hits) == sum(int(means[-1][b].argmax()) == int(labels[b]) for b in range(40))
    some = torch.tensor([5, 0, 31])
    assert torch.equal(
        task.objective(Given(net, x, labels), some)[0], task.objective(Given(net, x[some], labels[some]))[0]
    )


def test_an_example_stops_at_the_first_no_and_what_it_used_can_be_counted():
    net, method = routed(4, top_choices=9, scale=30.0)
    x = normal(200, 4, 4)
    with torch.no_grad():
        means, wanted = net.head.decide(x)
        net.head.out[0].bias -= wanted.median()
        means, wanted = net.head.decide(x)
        out = net(x)
    combine = method.phases(_phase(build("ensembles", "ride", base="ldam", scale=30.0)))[0].ensemble.combine
    for b in range(200):
        used = 1
        while used < 4 and wanted[b, used - 1] > 0:
            used += 1
        assert int(ride_router.experts_used(out)[b]) == used
        assert torch.equal(combine(out)[b], 30 * means[b, used - 1])
    assert set(ride_router.experts_used(out).tolist()) == {1, 2, 3, 4}


def test_only_the_router_is_trained_and_it_starts_as_the_seed_says():
    net, other, another = routed()[0], routed()[0], routed(seed=1)[0]
    trained = {name for name, p in net.head.named_parameters() if p.requires_grad}
    assert trained == {f"{layer}.{p}" for layer in ("hidden.0", "hidden.1", "out.0") for p in ("weight", "bias")}
    for name in trained:
        assert torch.equal(net.head.get_parameter(name), other.head.get_parameter(name))
        assert not torch.equal(net.head.get_parameter(name), another.head.get_parameter(name))
    assert not list(net.extra.parameters())
    phase = build("finetuning", "ride_router").phases(_phase(build("ensembles", "plain_average")))[0]
    assert phase.head_only
    assert phase.sampler == build("samplers", "class_balanced")
    with pytest.raises(UserError, match="name an `ensemble`"):
        build("finetuning", "ride_router").phases(_phase())
    with pytest.raises(UserError, match="mixing"):
        build("finetuning", "ride_router").phases(_phase(mixing=build("mixing", "mixup")))


def _phase(ensemble=None, mixing=None):
    from counterpoise.training.phases import Phase

    return Phase(
        steps=10,
        batch_size=8,
        task=build("pretraining", "supervised"),
        sampler=build("samplers", "none"),
        loss=build("losses", "cross_entropy"),
        augmentation=build("augmentation", "none"),
        optimizer=build("optimizers", "sgd"),
        schedule=build("schedules", "constant"),
        mixing=mixing,
        ensemble=ensemble,
    )


# The pipeline ------------------------------------------------------------------------------------------------

SHORT = {"steps": 80, "batch_size": 16, "augmentation": "shift"}
CASES = {
    "sade": {"ensemble": "sade"},
    "aggregated": {"ensemble": "sade", "evaluate": {"rebalancing": {"name": "sade_aggregation", "lr": 2.0}}},
    "ride": {"ensemble": "ride"},
    "routed": {
        "ensemble": "ride",
        "pretrain": {**SHORT, "method": "supervised"},
        "finetune": {**SHORT, "method": "ride_router"},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A study whose jobs have run in this process; its entries by case."""
    here = Path.cwd()
    folder = small_project.make(tmp_path_factory.mktemp("experts"), CASES, seeds=1, finetune=SHORT, block=1)
    os.chdir(folder)
    plan = planning.make("all", "smoke")
    plan.write(planning.RESULTS / "plan.json")
    for stage in ("preprocess", "sample", "pretrain", "finetune", "evaluate"):
        for cell in plan.cells.values():
            for block in cell.blocks if cell.stage == stage else ():
                job.run(stage, cell.name, None if stage == "preprocess" else planning.block_name(block))
    entries = {entry["case"]: entry for entry in plan.studies["test2026_small.smoke"]["entries"]}
    yield lambda case, stage: folder / plan.cells[entries[case][stage]].folder / "seeds-00-00"
    os.chdir(here)


def of_part(frame, selection, split):
    rows = frame[(frame["selection"] == selection) & (frame["split"] == split)]
    return rows[[name for name in frame if name.startswith("logit_")]].to_numpy()


def test_the_experts_of_a_trained_network_are_kept_and_aggregated(project):
    frame, meta = evaluation.read(project("sade", "finetune") / "predictions.parquet")
    assert not meta["diverged"]
    experts = [of_part(frame, f"expert-{e}", "test") for e in range(3)]
    assert np.allclose(of_part(frame, "last", "test"), sum(experts) / 3, atol=1e-5)
    both = np.stack([[of_part(frame, f"expert-{e}", f"view-{v}") for e in range(3)] for v in (1, 2)])
    weights = fitted(torch.from_numpy(both).double().transpose(1, 2), lr=2.0)
    aggregated = sum(w * expert for w, expert in zip(weights.tolist(), experts, strict=True))
    labels = frame[(frame["selection"] == "last") & (frame["split"] == "test")]["label"].to_numpy()
    recalls = [(aggregated.argmax(1) == labels)[labels == c].mean() for c in range(10)]
    metrics = pd.read_parquet(project("aggregated", "evaluate") / "metrics.parquet")
    found = metrics[(metrics["metric"] == "balanced_accuracy") & (metrics["selection"] == "last")]
    assert float(found[found["split"] == "test"]["value"].iloc[0]) == pytest.approx(np.mean(recalls), abs=1e-12)


def test_a_routed_network_leaves_its_experts_as_they_were_and_says_how_many_it_used(project):
    start = checkpoints.load(project("routed", "pretrain") / "model.safetensors")[0]
    after = checkpoints.load(project("routed", "finetune") / "model.safetensors")[0]
    for name, tensor in start.items():
        assert torch.equal(tensor, after[name.replace("0/head.heads", "0/head.heads.heads")])
    frame, meta = evaluation.read(project("routed", "finetune") / "predictions.parquet")
    assert not meta["diverged"]
    said = torch.from_numpy(np.stack([of_part(frame, f"expert-{e}", "test") for e in range(3)], axis=1))
    used = ride_router.experts_used(said)
    assert 1 <= int(used.min()) <= int(used.max()) <= 3
    assert len(used.unique()) > 1
    assert np.array_equal(of_part(frame, "last", "test"), said[:, -1].numpy())


def test_inputs_are_mixed_for_all_experts_alike():
    import make_goldens

    with make_goldens.float64():
        _, numbers = make_goldens.trained({"ensemble": {"name": "plain_average"}, "mixing": {"name": "mixup"}})
    assert all(np.isfinite(numbers["loss"]))
    assert numbers["loss"][-1] < numbers["loss"][0]
