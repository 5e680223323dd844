"""The loop: stateless batches, honest history, recorded divergence, and resuming to the byte at every step."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from counterpoise import readers, streams
from counterpoise.data import samples
from counterpoise.registry import build
from counterpoise.training import loop
from counterpoise.training.network import build as build_network
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Batches, Phase, Run, snapshot_steps

SHAPE, SEED = (1, 4, 4), 3
LABELS = np.repeat([0, 1, 2], [40, 14, 6])
COUNTS = torch.tensor([40.0, 14.0, 6.0])


class Killed(Exception):
    pass


@pytest.fixture
def sample():
    x = streams.numpy("test", "x", 0).normal(size=(len(LABELS), *SHAPE)).astype(np.float32)
    return loop.Sample(x + LABELS[:, None, None, None], np.arange(len(LABELS)), LABELS, [0.5], [1.2])


@pytest.fixture
def phase():
    return Phase(
        steps=25,
        batch_size=7,
        task=build("pretraining", {"name": "supervised"}),
        sampler=build("samplers", {"name": "random_oversampling"}),
        loss=build("losses", {"name": "cross_entropy"}),
        augmentation=build("augmentation", {"name": "shift"}),
        optimizer=build("optimizers", {"name": "sgd", "lr": 0.1}),
        schedule=build("schedules", {"name": "step_decay"}),
        snapshots=3,
    )


def batches_of(phase, sample, stage="finetune", number="0", seed=SEED):
    return Batches(phase.sampler, phase.batch_size, phase.steps, sample.labels, (stage, number, seed))


def network(phase, seed=SEED):
    return build_network(
        build("models", {"name": "mlp", "hidden": [8]}), build("heads", {"name": "linear"}), SHAPE, len(COUNTS), seed
    )


def fit(phases, sample, folder, after=lambda event: None):
    """Train from the checkpoint in `folder`, if there is one; `after("save" or "log")` may raise."""
    partial, net, snapshots = Partial(folder, "cell"), network(phases[0]), {}

    def predict(step):
        snapshots[step] = loop.predict(net, sample, sample.raw.numpy(), sample.ids.numpy())

    def save(tensors, state):
        partial.save(SEED, tensors, state)
        after("save")

    def log(row, number):
        partial.log(row, number)
        after("log")

    hooks = {"snapshot": predict, "validate": lambda: predict("now")}
    state = loop.train(
        Run(net, phases, sample, COUNTS, "finetune", SEED, hooks),
        resume=partial.checkpoint(SEED),
        save=save,
        log=log,
    )
    partial.publish_history(folder / "history.jsonl")
    snapshots.pop("now", None)
    return net, state, snapshots


def kill_after(event, number):
    events = []

    def after(name):
        events.append(name)
        if events.count(event) == number:
            raise Killed

    return after


def content(net):
    return {name: value.numpy().tobytes() for name, value in net.state_dict().items()}


def without_time(state):
    return {key: value for key, value in vars(state).items() if key != "seconds"}


def history(folder):
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("event", ["save", "log"])
def test_resuming_at_every_step_of_both_phases_equals_the_undisturbed_run(event, phase, sample, tmp_path, monkeypatch):
    phases = [replace(phase, steps=8), replace(phase, steps=6, head_only=True, snapshots=0)]
    net, state, snapshots = fit(phases, sample, tmp_path / "plain")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    for number in range(1, 15):
        folder = tmp_path / str(number)
        with pytest.raises(Killed):
            fit(phases, sample, folder, kill_after(event, number))
        again, resumed, late = fit(phases, sample, folder)
        assert content(again) == content(net)
        assert without_time(resumed) == without_time(state)
        assert (folder / "history.jsonl").read_bytes() == (tmp_path / "plain" / "history.jsonl").read_bytes()
        assert all(torch.equal(logits, snapshots[step]) for step, logits in late.items())


def test_rows_after_the_checkpoint_and_half_a_row_are_cut_from_the_history(tmp_path):
    partial = Partial(tmp_path, "cell")
    for seed, number, step in [(2, 0, 9), (3, 0, 5), (3, 0, 10), (3, 1, 5), (3, 1, 10)]:
        partial.log(dict.fromkeys(readers.LINE) | {"seed": seed, "step": step}, number)
    partial.save(3, {}, {"phase": 1, "step": 7})
    with partial.history.open("a") as file:
        file.write('{"seed": 3, "st')
    assert Partial(tmp_path, "cell").checkpoint(3) == ({}, {"phase": 1, "step": 7})
    rows = [json.loads(line) for line in partial.history.read_text().splitlines()]
    assert [(r["seed"], r["number"], r["step"]) for r in rows] == [(2, 0, 9), (3, 0, 5), (3, 0, 10), (3, 1, 5)]
    assert partial.checkpoint(4) is None, "another seed's checkpoint"


def test_any_batch_can_be_asked_for_in_any_order(phase, sample):
    batches = batches_of(phase, sample)
    forward = [batches.step(step) for step in range(40)]
    assert all(len(positions) == phase.batch_size for positions in forward)
    for step in np.random.default_rng(0).permutation(40).tolist():
        assert torch.equal(batches_of(phase, sample).step(step), forward[step])
        assert torch.equal(batches.step(step), forward[step])
    joined = torch.cat(forward)
    assert torch.equal(joined[: batches.length], batches.epoch(0))
    assert torch.equal(joined[batches.length : 2 * batches.length], batches.epoch(1))


def test_a_batch_may_be_larger_than_an_epoch(phase, sample):
    batches = batches_of(replace(phase, batch_size=500), sample)
    assert len(batches.step(0)) == 500
    assert batches.length == 120
    assert torch.equal(batches.step(0)[120:240], batches.epoch(1))


def test_streams_of_seeds_and_phases_differ(phase, sample):
    first = batches_of(phase, sample).epoch(0)
    assert not torch.equal(first, batches_of(phase, sample, seed=SEED + 1).epoch(0))
    assert not torch.equal(first, batches_of(phase, sample, number="1").epoch(0))
    assert not torch.equal(first, batches_of(phase, sample, stage="pretrain").epoch(0))


def test_a_row_holds_means_over_the_steps_since_the_last_row(phase, sample, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "ROWS", 3)
    losses = []

    def recorded(outputs, targets, counts):
        losses.append(torch.nn.functional.cross_entropy(outputs, targets))
        return losses[-1]

    fit([replace(phase, loss=recorded)], sample, tmp_path)
    rows, values = history(tmp_path), [loss.item() for loss in losses]
    assert [row["step"] for row in rows] == [8, 16, 24, 25]
    for row, (start, stop) in zip(rows, [(0, 8), (8, 16), (16, 24), (24, 25)], strict=True):
        assert row["loss"] == pytest.approx(np.mean(values[start:stop]), rel=1e-12)
    assert rows[-1]["epoch"] == pytest.approx(25 * 7 / 120, abs=1e-4)
    assert rows[-1]["lr"] == phase.optimizer.lr * phase.schedule.factor(24, 25)


@pytest.mark.parametrize("stage", ["finetune", "pretrain"])
def test_where_training_goes_on_otherwise_the_tail_s_own_recall_is_told(stage, phase, sample):
    phases, rows, net = [replace(phase, steps=30), replace(phase, steps=5)], [], network(phase)
    phases = phases[:1] if stage == "pretrain" else phases
    seen = {"validate": lambda: recall.append(float((outputs().argmax(1)[54:] == 2).double().mean()))}

    def outputs():
        return loop.predict(net, sample, sample.raw.numpy(), sample.ids.numpy())

    recall = []
    run = Run(net, phases, sample, COUNTS, stage, SEED, seen)
    loop.train(run, resume=None, save=lambda tensors, state: None, log=lambda row, number: rows.append((number, row)))
    told = {(number, row["step"]): row["tail_recall"] for number, row in rows if "tail_recall" in row}
    at = [(number, row["step"]) for number, row in rows].index((0, 30))
    assert told == {(0, 30): recall[at]}
    assert recall[at] > 0


def test_what_training_saw_is_counted(phase, sample, tmp_path):
    batches = batches_of(phase, sample)
    drawn = torch.cat([batches.step(step) for step in range(phase.steps)])
    _, state, _ = fit([phase], sample, tmp_path)
    assert state.seen == sample.labels[drawn].bincount().tolist()
    assert state.images == phase.steps * phase.batch_size == sum(state.seen)


@pytest.mark.parametrize(("steps", "snapshots", "expected"), [(25, 3, {6, 12, 18}), (2, 4, {1}), (1, 3, set())])
def test_snapshots_are_at_steps_that_happen_and_leave_the_last_out(phase, steps, snapshots, expected):
    assert snapshot_steps([replace(phase, steps=steps, snapshots=snapshots)]) == expected


def test_a_loss_that_is_not_finite_is_recorded_with_step_epoch_and_learning_rate(phase, sample, tmp_path):
    wild = replace(phase, optimizer=build("optimizers", {"name": "sgd", "lr": 1e30}))
    _, state, _ = fit([wild], sample, tmp_path)
    assert state.diverged is not None
    assert 1 < state.step < phase.steps
    assert state.diverged["step"] == state.step
    assert state.diverged["epoch"] == state.step * 7 / 120
    assert state.diverged["lr"] == 1e30
    assert "learning rate 1e+30" in state.diverged["reason"]
    json.dumps(vars(state), allow_nan=False)


def test_the_encoder_keeps_its_bytes_while_only_the_head_learns(phase, sample, tmp_path):
    before = content(network(phase))
    after = content(fit([replace(phase, head_only=True)], sample, tmp_path)[0])
    assert {name for name in before if before[name] != after[name]} == {"head.weight", "head.bias"}


def test_initialisation_depends_on_the_seed_alone_and_leaves_the_global_stream_as_it_was(phase):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = content(network(phase))
    assert torch.equal(torch.rand(3), expected)
    assert content(network(phase)) == first
    assert content(network(phase, SEED + 1)) != first


def test_training_time_goes_on_counting_after_a_kill(phase, sample, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    with pytest.raises(Killed):
        fit([phase], sample, tmp_path, kill_after("save", 20))
    before = Partial(tmp_path, "cell").checkpoint(SEED)[1]["seconds"]
    assert fit([phase], sample, tmp_path)[1].seconds > before > 0


def test_inputs_may_be_larger_than_the_memory(tmp_path):
    size = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    made = np.lib.format.open_memmap(tmp_path / "train_x.npy", "w+", np.uint8, (size // 64, 1, 8, 8))  # sparse
    made[-1] = 7
    del made
    rows = np.array([0, size // 64 - 1])
    sample = samples.Sample(samples.open_array(tmp_path, "train_x"), rows, np.array([0, 1]), [0.0], [1.0])
    images, labels = sample.batch(torch.tensor([1, 0]))
    assert [images[0].unique().tolist(), images[1].unique().tolist(), labels.tolist()] == [[7.0], [0.0], [1, 0]]
