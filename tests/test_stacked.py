"""Seeds stacked and stepped together: as the loop but for rounding, whatever the width, killed or not.

.venv/bin/python -m pytest -n 0 tests/test_stacked.py
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from counterpoise.registry import build
from counterpoise.training import loop as train
from counterpoise.training import stacked
from counterpoise.training.loop import train_seed
from counterpoise.training.network import build as build_network
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Phase, Run

SHAPE, CLASSES = (1, 6, 6), 3
X = np.random.default_rng(0).normal(size=(90, *SHAPE)).astype(np.float32)
Y = np.arange(90) % CLASSES
X[np.arange(90), 0, Y, Y] += 3


def method(kind, name, **options):
    return build(kind, {"name": name, **options})


def phase_of(steps, **changes):
    parts = {
        "task": method("pretraining", "supervised"),
        "sampler": method("samplers", "class_balanced"),
        "loss": method("losses", "class_weighted"),
        "augmentation": method("augmentation", "shift"),
        "optimizer": method("optimizers", "sgd", lr=0.1),
        "schedule": method("schedules", "step_decay"),
        "mixing": method("mixing", "none"),
    }
    return Phase(steps=steps, batch_size=8, **parts | changes)


def runs(seeds, phases, head="linear", rows=60):
    made = []
    for seed in seeds:
        ids = np.random.default_rng(seed).permutation(90)[: rows + seed]
        sample = train.Sample(X, ids, Y[ids], [0.1 * seed], [1.0 + seed])
        net = build_network(method("models", "mlp", hidden=[9]), method("heads", head), SHAPE, CLASSES, seed)
        train.add_extra(net, phases, "train", seed)
        counts = torch.bincount(sample.labels, minlength=CLASSES).float()
        hooks = {"validate": lambda: None}
        made.append(Run(net, phases, sample, counts, "finetune", seed, hooks))
    return made


def trained(made, folder):
    """Train all, together if they fit, and return weights, states and history."""
    partial = Partial(folder, "cell")
    stacked.train(made, partial)
    states = [train_seed(run, partial) for run in made]
    partial.publish_history(folder / "history.jsonl")
    return [dict(run.net.state_dict()) for run in made], states, (folder / "history.jsonl").read_text()


def alone(made, folder):
    partial = Partial(folder, "cell")
    return [train_seed(run, partial) for run in made]


def parts(states):
    return [(s.step, s.phase, s.images, s.seen, bool(s.diverged)) for s in states]


RECIPES = {
    "one phase": [phase_of(20)],
    "a head alone after it": [phase_of(10), replace(phase_of(10), head_only=True)],
    "a loss that learns centres": [phase_of(20, loss=method("losses", "neural_collapse_regulariser"))],
    "a loss that draws": [phase_of(20, loss=method("losses", "class_subset_softmax", vocabulary=2))],
    "one optimiser through two phases, with class weights": [
        replace(phase_of(12, loss=method("losses", "cross_entropy")), total=20),
        replace(phase_of(8, loss=method("losses", "cross_entropy")), first=12, total=20, class_weights=lambda n: 1 / n),
    ],
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_stacked_is_the_loop_but_for_rounding(recipe, tmp_path):
    phases = RECIPES[recipe]
    together, loop = runs(range(4), phases), runs(range(4), phases)
    assert not any(map(stacked.misfit, together))
    weights, states, _ = trained(together, tmp_path / "stacked")
    assert parts(states) == parts(alone(loop, tmp_path / "loop"))
    for held, run in zip(weights, loop, strict=True):
        for name, value in run.net.state_dict().items():
            assert (held[name] - value).abs().max() <= 1e-5 * value.abs().max(), name


def test_neighbours_and_width_do_not_change_a_byte(tmp_path):
    phases = [phase_of(30)]
    wide, _, _ = trained(runs(range(6), phases), tmp_path / "wide")
    narrow, _, _ = trained(runs([4, 1], phases), tmp_path / "narrow")
    for mine, seed in zip(narrow, [4, 1], strict=True):
        assert all(torch.equal(value, wide[seed][name]) for name, value in mine.items())


def test_a_killed_block_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    phases = RECIPES["one optimiser through two phases, with class weights"]
    weights, states, history = trained(runs(range(3), phases), tmp_path / "plain")
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    save = Partial.save_block
    for number in (1, 5, 12, 13, 19):
        calls = iter(range(1, 99))

        def killed(self, *given, calls=calls, number=number):
            save(self, *given)
            if next(calls) == number:
                raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Partial, "save_block", killed)
            with pytest.raises(KeyboardInterrupt):
                trained(runs(range(3), phases), tmp_path / str(number))
        again, resumed, repeated = trained(runs(range(3), phases), tmp_path / str(number))
        assert parts(resumed) == parts(states)
        assert repeated == history
        for mine, held in zip(again, weights, strict=True):
            assert all(torch.equal(value, held[name]) for name, value in mine.items())


def test_a_seed_that_diverges_says_so_and_leaves_the_others_alone(tmp_path):
    phases = [phase_of(20)]
    healthy, _, _ = trained(runs([0, 2, 3], phases), tmp_path / "healthy")
    made, loop = runs(range(4), phases), runs([1], phases)
    for run in (made[1], loop[0]):
        run.sample.std = run.sample.std * 1e-30
    weights, states, history = trained(made, tmp_path / "all")
    expected = alone(loop, tmp_path / "loop")[0]
    assert states[1].diverged
    assert states[1].diverged["step"] == expected.diverged["step"]
    assert states[1].seen == expected.seen
    assert history.count('"seed": 1') == expected.diverged["step"] - 1 < history.count('"seed": 2')
    for mine, held in zip([weights[0], *weights[2:]], healthy, strict=True):
        assert all(torch.equal(value, held[name]) for name, value in mine.items())


@pytest.mark.parametrize(
    "change",
    [{"mixing": method("mixing", "none")}, {"optimizer": type("Other", (), {"lr": 0.1, "gradients": None})()}],
)
def test_what_does_not_fit_is_left_to_the_loop(change, tmp_path):
    made = runs(range(2), [replace(phase_of(5), **change)])
    assert (stacked.misfit(made[0]) == "") == ("mixing" in change)
    projected = [replace(run, phases=[replace(run.phases[0], project=lambda net: None)]) for run in made]
    told = {"execution": "loop", "execution_reason": "weights are projected after each step"}
    assert stacked.train(projected, Partial(tmp_path, "cell")) == told
    assert stacked.train(made[:1], Partial(tmp_path, "cell")) == {**told, "execution_reason": "a single seed"}
    assert not list(tmp_path.rglob("seed-*"))
