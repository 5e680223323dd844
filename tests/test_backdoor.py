"""Corpora whose imbalance differs, experts that are pretrained on them apart, and the sum of what they say.

.venv/bin/python -m pytest -n 0 tests/test_backdoor.py
"""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.scoring.evidence import Evidence
from counterpoise.training import loop, network, phases

POOL = torch.arange(4).repeat_interleave(100)  # 100 examples of each of four classes


def build(kind, name, **options):
    return registry.build(kind, {"name": name, **options})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(labels=POOL, epoch=0, seed=0, **options):
    sampler = build("samplers", "skewed_corpora", **options)
    return sampler.draw(labels, epoch=epoch, epochs=9.0, fixed=seeded(seed), shuffle=seeded(100 + epoch))


def counts(labels, positions):
    return labels[positions].bincount(minlength=4).tolist()


# Corpora -----------------------------------------------------------------------------------------------------


def test_each_expert_s_corpus_counts_the_classes_from_another_place_of_one_circle():
    # factor 27 over four classes: 81 / 27^(i/3) = 81, 27, 9, 3
    positions = draw(factor=27.0, largest=81)
    assert len(positions) == 3 * 120
    found = [counts(POOL, positions[e::3]) for e in range(3)]
    first = np.array(found[0])
    assert sorted(found[0], reverse=True) == [81, 27, 9, 3]
    order = np.argsort(-first)
    assert [row[order[0]] for row in found] == [81, 3, 9], "experts begin 0, 4 // 3 and 8 // 3 places on"
    assert all(sorted(row) == [3, 9, 27, 81] for row in found)
    assert all(len(positions[e::3].unique()) == 120 for e in range(3))


@pytest.mark.parametrize("epoch", [1, 7])
def test_a_corpus_is_the_same_in_every_epoch_and_in_another_order(epoch):
    first, later = draw(largest=50), draw(largest=50, epoch=epoch)
    assert not torch.equal(first, later)
    for e in range(3):
        assert torch.equal(first[e::3].sort().values, later[e::3].sort().values)


def test_the_first_corpus_alone_and_for_all():
    alone, three = draw(experts=1, factor=10.0), draw(factor=10.0)
    alike = draw(factor=10.0, alike=True)
    assert torch.equal(alone.sort().values, three[0::3].sort().values)
    for e in range(3):
        assert torch.equal(alike[e::3].sort().values, alone.sort().values)
    assert not torch.equal(alike[0::3], alike[1::3]), "each expert has its own order"
    assert not torch.equal(three[0::3].sort().values, three[1::3].sort().values)


def test_other_seeds_put_other_classes_first():
    firsts = {counts(POOL, draw(seed=seed, experts=1)).index(100) for seed in range(20)}
    assert firsts == {0, 1, 2, 3}


def test_a_factor_of_one_is_balanced():
    assert counts(POOL, draw(experts=1, factor=1.0, largest=25)) == [25] * 4


@pytest.mark.parametrize(
    ("pool", "expected"),
    [([100, 0, 4], {0, 2}), ([1, 1], {0, 1}), ([5], {0}), ([100, 2, 1], {0, 1, 2})],
)
def test_small_and_absent_classes_give_what_they_have_and_short_corpora_begin_again(pool, expected):
    labels = torch.arange(len(pool)).repeat_interleave(torch.tensor(pool))
    positions = draw(labels, factor=50.0)
    assert len(positions) % 3 == 0
    for e in range(3):
        own = positions[e::3]
        assert set(labels[own].tolist()) == expected
        repeats = own.bincount(minlength=len(labels))
        assert repeats.max() - repeats[repeats > 0].min() <= 1


def test_a_batch_holds_as_many_rows_of_each_expert():
    sampler = build("samplers", "skewed_corpora", largest=10)
    assert sampler.multiple == 3
    with pytest.raises(UserError, match="multiple of 3"):
        phases.Batches(sampler, 64, 5, POOL, ("pretrain", "0", 0))
    batches = phases.Batches(sampler, 12, 50, POOL, ("pretrain", "0", 0))
    assert len({len(batches.step(i)) for i in range(50)}) == 1
    of_first = torch.cat([batches.step(i)[0::3] for i in range(50)])
    assert len(of_first.unique()) == len(batches.epoch(0)) // 3, "the turns go on over the end of an epoch"


# Pretraining apart -------------------------------------------------------------------------------------------


def pretraining(experts=3, shared=0, mixing="none", loss="cross_entropy"):
    """Return a network and a step of eight rows on it."""
    model, head = build("models", "mlp", hidden=(5, 4), shared=shared), build("heads", "linear")
    net = network.build(model, head, (6,), 3, seed=0, experts=experts)
    ensemble = None if experts == 1 else build("ensembles", "plain_average", experts=experts)
    x, labels = torch.randn(8, 6, generator=seeded(1)), torch.arange(8) % 3
    kinds = {"sampler": ("samplers", "none"), "loss": ("losses", loss), "augmentation": ("augmentation", "none")}
    kinds |= {"optimizer": ("optimizers", "sgd"), "schedule": ("schedules", "constant"), "mixing": ("mixing", mixing)}
    parts = {role: build(*method) for role, method in kinds.items()}
    task = build("pretraining", "separate_corpora")
    phase = phases.Phase(steps=3, batch_size=8, task=task, ensemble=ensemble, **parts)
    sample = loop.Sample(x.numpy(), np.arange(8), labels.numpy(), np.zeros(6), np.ones(6))
    step = phases.Step(net, phase, sample, torch.tensor([3.0, 3, 2]), None, 0, x, labels, stream=partial(seeded_for))
    return net, step


def seeded_for(purpose):
    return seeded(len(purpose))


def test_experts_without_shared_layers_are_whole_networks_and_the_first_is_what_it_is_alone():
    net, alone = pretraining()[0], pretraining(experts=1)[0]
    assert not list(net.encoder.trunk.parameters())
    of_experts = [dict(branch.named_parameters()) for branch in net.encoder.branches]
    for name, value in alone.encoder.named_parameters():
        assert torch.equal(of_experts[0][name], value)
    assert not torch.equal(of_experts[0]["1.weight"], of_experts[1]["1.weight"])
    shares = network.build(build("models", "mlp"), build("heads", "linear"), (6,), 3, seed=0, experts=2)
    assert [len(part) for part in (shares.encoder.trunk, shares.encoder.branches[0])] == [3, 2]


@pytest.mark.parametrize("shared", [0, 3])
def test_every_expert_learns_from_its_own_rows_alone(shared):
    net, step = pretraining(shared=shared)
    value, hits = step.phase.task.objective(step)
    by_hand, right = 0.0, 0
    for e in range(3):
        out = net(step.images_B)[e::3, e]
        by_hand += F.cross_entropy(out, step.labels_B[e::3]).item()
        right += int((out.argmax(1) == step.labels_B[e::3]).sum())
    assert value.item() == pytest.approx(by_hand, rel=1e-6)
    assert int(hits) == right
    value.backward()
    held = [p.grad.clone() for p in net.encoder.branches[1].parameters()]
    assert all(grad.abs().sum() > 0 for grad in held)
    changed = step.images_B.clone()
    changed[0::3] += 1.0  # another corpus for the first expert
    net.zero_grad()
    step.phase.task.objective(replace(step, images_B=changed))[0].backward()
    for p, grad in zip(net.encoder.branches[1].parameters(), held, strict=True):
        assert torch.equal(p.grad, grad)
    assert all(p.grad.abs().sum() > 0 for p in net.encoder.trunk.parameters())


def test_some_rows_of_a_batch_stay_with_their_experts():
    _, step = pretraining()
    task = step.phase.task
    parts = [task.objective(step, torch.tensor(rows))[0].item() for rows in ([0, 3], [1], [0, 3, 1])]
    assert parts[2] == pytest.approx(parts[0] + parts[1], rel=1e-6)


def test_one_network_learns_from_all_rows():
    net, step = pretraining(experts=1)
    value, _ = step.phase.task.objective(step)
    assert value.item() == pytest.approx(F.cross_entropy(net(step.images_B), step.labels_B).item(), rel=1e-6)


def test_mixing_would_carry_images_from_corpus_to_corpus():
    _, step = pretraining(mixing="mixup")
    with pytest.raises(UserError, match="mixing"):
        step.phase.task.objective(step)


# The sum -----------------------------------------------------------------------------------------------------


def test_the_sum_of_logits_decides_as_their_mean_and_can_outvote_the_majority():
    # two experts lean to class 1 by 1, one to class 0 by 3: the sum leans to class 0 by 1
    experts_BEC = torch.tensor([[[0.0, 1.0], [0.0, 1.0], [3.0, 0.0]]], dtype=torch.float64)
    rule = build("rebalancing", "backdoor_adjustment").fit(Evidence(torch.tensor([9, 1]), torch.tensor([9, 1])))
    assert rule(experts_BEC).decision_BC.tolist() == [[3.0, 2.0]]
    more = torch.randn(50, 3, 7, generator=seeded(2), dtype=torch.float64)
    mean_BC = build("ensembles", "plain_average").combine(more)
    assert torch.equal(rule(more).decision_BC.argmax(1), mean_BC.argmax(1))


def test_a_plain_ensemble_keeps_its_experts_where_it_is_asked_to():
    assert not build("ensembles", "plain_average").keeps_experts
    assert build("ensembles", "plain_average", keeps_experts=True).keeps_experts
