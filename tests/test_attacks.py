"""Attacks on test images: what they find, what they leave alone, and what a job keeps of them."""

from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from test_stages_train import DATA, SHORT, Project
from torch import nn
from torch.nn import functional as F

from counterpoise import records, registry, streams
from counterpoise.scoring import evaluation
from counterpoise.training import attacks

SIZE = {"epsilon": 6.0, "step_size": 2.5, "steps": 8}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images_of(count, low=0.0, high=255.0):
    return low + (high - low) * torch.rand(count, 1, 3, 3, generator=seeded(count), dtype=torch.float64)


def network(classes, seed=0, hidden=None):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if hidden is None:
            return nn.Sequential(nn.Flatten(), nn.Linear(9, classes)).double()
        return nn.Sequential(nn.Flatten(), nn.Linear(9, hidden), nn.Tanh(), nn.Linear(hidden, classes)).double()


def beyond(logits, labels):
    own = logits.gather(1, labels[:, None])[:, 0]
    return logits.scatter(1, labels[:, None], -torch.inf).max(1).values - own


def test_of_a_linear_model_of_two_classes_the_corner_is_found():
    """The margin of w.x + b loses epsilon times the sum of |w|, at x minus or plus epsilon sign(w)."""
    net, images, labels = network(2), images_of(20, 10, 245), torch.arange(20) % 2
    found = attacks.strongest(net, images, labels, seeded(), restarts=1, **SIZE)
    w = (net[1].weight[1] - net[1].weight[0]).detach()
    away = torch.where(labels == 0, 1.0, -1.0).double()
    corner = images + 6 * away.view(-1, 1, 1, 1) * w.sign().view(1, 1, 3, 3)
    torch.testing.assert_close(found, corner, rtol=1e-12, atol=1e-12)
    lost = beyond(net(found), labels) - beyond(net(images), labels)
    torch.testing.assert_close(lost, torch.full_like(lost, 6 * float(w.abs().sum())), rtol=1e-9, atol=1e-9)


def test_pixels_stay_within_epsilon_and_between_black_and_white():
    net, images, labels = network(4, hidden=7), images_of(30, 0, 16), torch.arange(30) % 4
    found = attacks.strongest(net, images, labels, seeded(), restarts=2, white=16.0, **SIZE)
    assert (found - images).abs().max() <= 6 + 1e-12
    assert found.min() == 0, "an attack at the edge stops there"
    assert found.max() == 16
    assert not found.requires_grad


def test_nothing_gets_better_and_more_starts_never_find_less():
    net, images, labels = network(4, hidden=7, seed=3), images_of(200), torch.arange(200) % 4
    reached = [beyond(net(images), labels)]
    for restarts in (1, 2, 5):
        found = attacks.strongest(
            net, images, labels, seeded(1), restarts=restarts, epsilon=40.0, step_size=20.0, steps=2
        )
        reached.append(beyond(net(found), labels))
    for fewer, more in pairwise(reached):
        assert (more >= fewer).all()
        assert (more > fewer).any()


def test_what_is_kept_is_the_start_that_is_furthest_on_the_wrong_side():
    net, images, labels = network(4, hidden=7, seed=3), images_of(50), torch.arange(50) % 4
    size = {"epsilon": 40.0, "step_size": 20.0, "steps": 2}

    def loss(x):
        return F.cross_entropy(net(x), labels, reduction="sum")

    one_stream = seeded(1)
    tried = [images, *(attacks.pgd(loss, images, one_stream, **size) for _ in range(3))]
    wrong = torch.stack([net(x).argmax(1) != labels for x in tried])
    found = attacks.strongest(net, images, labels, seeded(1), restarts=3, **size)
    assert torch.equal(net(found).argmax(1) != labels, wrong.any(0))
    best = torch.stack([beyond(net(x), labels) for x in tried]).max(0).values
    assert torch.equal(beyond(net(found), labels), best)


ATTACK = {"steps": 3, "epsilon": 1.0, "step_size": 0.5}


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mlp = {"model": {"name": "mlp", "hidden": [8]}, "data": "digits"}
    return lambda cases, **base: Project(tmp_path / "project", cases, **mlp, **base).compute(*DATA, "finetune")


def rows_of(project, case, split):
    frame = pq.read_table(project.folder(case, "finetune") / "predictions.parquet").to_pandas()
    return frame[frame["split"] == split].drop(columns="split").reset_index(drop=True)


def test_an_attack_of_size_zero_predicts_the_test_part_to_the_byte_and_changes_nothing_else(project):
    p = project({"plain": {}, "nothing": {"finetune": {"attack": {**ATTACK, "epsilon": 0.0}}}})
    assert p.entries["plain"]["finetune"] != p.entries["nothing"]["finetune"]
    assert p.entries["plain"]["sample"] == p.entries["nothing"]["sample"]
    assert rows_of(p, "plain", "attacked").empty
    for split in ("train", "val", "test"):
        assert rows_of(p, "nothing", split).equals(rows_of(p, "plain", split))
    assert rows_of(p, "nothing", "attacked").equals(rows_of(p, "nothing", "test"))


@pytest.mark.parametrize("execution", ["loop", "stacked"])
def test_a_job_attacks_the_network_that_it_leaves(project, execution):
    p = project({"hit": {"execution": execution, "finetune": {"attack": ATTACK}}})
    data, held = p.folder("hit", "preprocess"), rows_of(p, "hit", "attacked")
    images = torch.from_numpy(np.load(data / "test_x.npy")).float()
    statistics = records.read_json(p.folder("hit", "sample") / "statistics.json")
    for seed in (0, 1):
        weights = {k.split("/")[1]: v for k, v in p.tensors("hit", "finetune").items() if k.startswith(f"{seed}/")}
        (w1, b1), (w2, b2) = [
            [weights[f"{part}.{kind}"] for kind in ("weight", "bias")]
            for part in sorted({name.rpartition(".")[0] for name in weights})
        ]
        mean, std = (torch.tensor(statistics[str(seed)][key]).view(-1, 1, 1) for key in ("mean", "std"))

        def logits(x, mean=mean, std=std, w1=w1, b1=b1, w2=w2, b2=b2):
            return (((x - mean) / std).flatten(1) @ w1.T + b1).relu() @ w2.T + b2

        own = held[held["seed"] == seed]
        found = attacks.strongest(
            logits, images, torch.tensor(own["label"].tolist()),
            streams.torch_generator("finetune", "test-attack", seed), restarts=1, white=16.0, **ATTACK,
        )  # fmt: skip
        said = torch.tensor(own[[f"logit_{c}" for c in range(10)]].values.tolist())
        close = ((logits(found) - said).abs() < 1e-3).all(1)
        assert close.float().mean() > 0.97, "a sign may turn by rounding"


def test_the_attacked_part_is_measured_and_a_diverged_seed_is_at_chance_on_it(project):
    wild = {"optimizer": {"name": "sgd", "lr": 1e30}}
    p = project(
        {"hit": {"finetune": {"attack": {**ATTACK, "epsilon": 4.0}}}, "wild": {"finetune": {"attack": ATTACK, **wild}}},
        finetune={**SHORT, "steps": 300, "optimizer": {"name": "sgd", "lr": 0.05}},
    )
    for case in ("hit", "wild"):
        predicted = evaluation.read(p.folder(case, "finetune") / "predictions.parquet")
        table, _ = evaluation.evaluate(*predicted, registry.build("rebalancing", {"name": "none"}))
        rows = table[(table.metric == "balanced_accuracy") & (table.selection == "last")]
        recall = rows.set_index(["seed", "split"]).value
        for seed in (0, 1):
            attacked, clean = recall[seed, "attacked"], recall[seed, "test"]
            assert attacked < clean if case == "hit" else attacked == clean == 0.1
