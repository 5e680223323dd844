"""Where a job computes: chosen, recorded, and on a card the same numbers without a step that waits for it.

No card is needed: fake_card.py stands in for one, with the values of the CPU and the rules of a card.

.venv/bin/python -m pytest -n 0 tests/test_devices.py
"""

import fcntl
import json
import os
from collections import Counter

import fake_card
import make_goldens
import numpy as np
import pytest
import small_project
import test_stacked
import torch

from counterpoise import devices, gpu_locks, records, registry
from counterpoise.checking import preflight
from counterpoise.data import samples
from counterpoise.errors import UserError
from counterpoise.jobs import job
from counterpoise.planning import plan as planning
from counterpoise.training import loop, network, precision, progress, stacked
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Run

KINDS = {"models", "heads", "ensembles", "pretraining", "finetuning", "losses", "augmentation", "mixing"}
KINDS |= {"optimizers", "schedules", "semi_supervised"}


@pytest.fixture(autouse=True)
def room(monkeypatch):
    monkeypatch.setattr(devices, "free", lambda device: 2**40)


# Choosing ----------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch):
    """Let torch be built for cards and see some or none; gpu_locks.py is asked how many there are."""

    def of(seen, built="12.8"):
        monkeypatch.setattr(torch.version, "cuda", built)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: seen > 0)
        monkeypatch.setattr(gpu_locks, "count", lambda: seen)

    monkeypatch.setattr(devices, "_as_on_a_cpu", lambda: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    return of


def test_a_machine_without_a_card_computes_on_its_cpu(machine, monkeypatch):
    for seen, built in ((0, "12.8"), (2, None)):
        machine(seen, built)
        assert devices.choose() == torch.device("cpu")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_card_is_taken_before_torch_may_look(machine, monkeypatch):
    machine(2)
    told: list[str] = []

    def look():
        told.append("look")
        return True

    monkeypatch.setattr(gpu_locks, "take", lambda number: told.append(f"take one of {number}"))
    monkeypatch.setattr(torch.cuda, "is_available", look)
    assert devices.choose() == torch.device("cuda")
    assert told == ["take one of 2", "look"]


def test_a_card_that_another_process_holds_is_left_to_it(machine, monkeypatch, tmp_path):
    machine(2)
    take = gpu_locks.take
    monkeypatch.setattr(gpu_locks, "take", lambda number: take(number, tmp_path))
    monkeypatch.setattr(gpu_locks, "_held", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # restored after the test, whatever `take` writes
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with (tmp_path / "0.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert devices.choose() == torch.device("cuda")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_user_may_force_the_cpu_and_demand_a_card(machine, monkeypatch):
    machine(1)
    monkeypatch.setenv(devices.VARIABLE, "cpu")
    assert devices.choose() == torch.device("cpu")
    monkeypatch.setenv(devices.VARIABLE, "cuda")
    for seen, built, reason in ((0, "12.8", "torch sees no card"), (0, None, "built for the CPU alone")):
        machine(seen, built)
        with pytest.raises(UserError, match=rf"COUNTERPOISE_DEVICE is cuda, but .*{reason}.*write cpu or auto") as told:
            devices.choose()
        assert "\n" not in str(told.value)
    monkeypatch.setenv(devices.VARIABLE, "gpu")
    with pytest.raises(UserError, match="expected auto, cpu or cuda; found 'gpu'"):
        devices.choose()


# Every method on a card --------------------------------------------------------------------------------------

# What waits for the card at every step, and why; these are slower there than they might be.
WAITS = {
    "losses.class_subset_softmax": "draws the classes of a batch on the CPU, so must know which are in it",
    "mixing.cmo": "scores the rows of each share together",
    "mixing.manifold_mixup": "scores the rows of each share together",
    "mixing.mixup": "scores the rows of each share together",
    "mixing.remix": "scores the rows of each share together",
    "optimizers.imbsam": "splits the batch into head and tail",
    "optimizers.per_class_normalised_gd": "splits the batch by class",
    "finetuning.rcal": "mixes, and draws features by class",
    "finetuning.selmix": "draws pairs of classes on the CPU",
    "finetuning.stepwise_smooth_tail": "picks the columns of some classes",
    "semi_supervised.daso": "keeps a queue for each class",
}


def on_a_card(key):
    """Return whether what a golden holds trains a network."""
    kind, _, name = key.partition(".")
    if kind == "samplers":
        return hasattr(registry.method(kind, name), "draw")
    return kind in KINDS and not getattr(registry.method(kind, name), "classical", False)


@pytest.fixture
def waited(monkeypatch):
    """Return a context with a card, and what the steps of a training waited for."""
    waits: list[list[str]] = []
    in_steps: Counter[str] = Counter()
    begin, read = loop._train_mode, progress.read

    def begun(*given):
        begin(*given)
        waits[0].clear()

    def reading(pending, state):
        in_steps.update(waits[0] if pending else ())
        read(pending, state)

    monkeypatch.setattr(loop, "_train_mode", begun)
    monkeypatch.setattr(progress, "read", reading)
    monkeypatch.setattr(loop, "ROWS", 1)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", float("inf"))
    with fake_card.card() as told:
        waits.append(told)
        yield in_steps


@pytest.mark.parametrize("key", [key for key in make_goldens.KEYS if on_a_card(key)])
def test_a_method_trains_on_a_card_as_on_a_cpu_and_no_step_waits(key, waited, monkeypatch):
    monkeypatch.setattr(make_goldens, "DEVICE", fake_card.CARD)
    make_goldens.rows.cache_clear()
    case = make_goldens.read(key)["cases"][0]
    try:
        found = make_goldens.numbers(key, case["options"])
    finally:
        make_goldens.rows.cache_clear()
    same = {part: case["numbers"][part] for part in ("weights", "seen")}  # rows of history are fewer here
    assert not list(make_goldens.differences({part: found[part] for part in same}, same))
    assert bool(waited) == (key in WAITS), dict(waited)


def test_data_that_do_not_fit_on_a_card_stay_with_the_host(monkeypatch):
    x, ids, labels = np.arange(24, dtype=np.uint8).reshape(6, 4), np.array([5, 1, 3]), np.array([0, 1, 1])
    with fake_card.card():
        for free, home in ((2 * x.nbytes, "card"), (2 * x.nbytes - 1, "cpu")):
            monkeypatch.setattr(devices, "free", lambda device, free=free: free)
            sample = samples.Sample(x, ids, labels, np.zeros(4), np.ones(4), device=fake_card.CARD)
            assert sample.raw.device.type == sample.labels.device.type == home
            images, found = sample.batch(torch.tensor([2, 0]))
            assert images.device.type == found.device.type == "card"
            assert images.tolist() == x[[3, 5]].tolist()
            assert found.tolist() == [1, 0]


# Jobs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Run the jobs of a small study in a folder of its own, on a device."""

    def run(device, name, cases, monkeypatch=monkeypatch, **base):
        monkeypatch.chdir(small_project.make(tmp_path / name, cases, seeds=2, **base))
        monkeypatch.setattr(devices, "choose", lambda: device)
        plan = planning.make("all", "smoke")
        plan.write(planning.RESULTS / "plan.json")
        for stage in ("preprocess", "sample", "pretrain", "finetune", "evaluate"):
            for cell in plan.cells.values():
                for block in cell.blocks if cell.stage == stage else ():
                    job.run(stage, cell.name, None if stage == "preprocess" else planning.block_name(block))
        return plan, {str(p.relative_to(tmp_path / name)): p for p in (tmp_path / name / "results").rglob("*.*")}

    return run


STEPS = {"steps": 30, "batch_size": 16}
CASES = {
    "pretrained": {"pretrain": {"method": "supervised", **STEPS}, "finetune": {"method": "last_layer"}},
    "stacked": {"execution": "stacked", "finetune": {"loss": "gcl", "augmentation": "shift", "snapshots": 2}},
    "experts": {"ensemble": "sade", "finetune": {"loss": "cross_entropy"}},
    "semi": {
        "unlabelled": {"per_class": 40},
        "finetune": {"augmentation": "affine_cutout", "semi_supervised": "fixmatch"},
    },
}


def test_jobs_on_a_card_leave_what_jobs_on_a_cpu_leave_and_say_where_they_ran(project):
    plan, on_cpu = project(devices.CPU, "cpu", CASES, model="mlp", finetune=STEPS)
    with fake_card.card():
        _, there = project(fake_card.CARD, "card", CASES, model="mlp", finetune=STEPS)
    compared = [name for name in on_cpu if name.endswith(("safetensors", "parquet", "jsonl"))]
    assert len(compared) > 20
    assert all(there[name].read_bytes() == on_cpu[name].read_bytes() for name in compared)
    for cell in plan.cells.values():
        if cell.stage in ("pretrain", "finetune", "evaluate"):
            told = records.read_json(there[f"{cell.folder}/seeds-00-01/run.json"])
            assert told["device"] == ("cpu" if cell.stage == "evaluate" else "card")


def test_a_stack_on_a_card_is_the_stack_on_a_cpu_and_no_step_waits(tmp_path, monkeypatch):
    phases = [test_stacked.phase_of(12, loss=registry.build("losses", {"name": "gcl"}))]
    waits: list[list[str]] = []
    expected = test_stacked.trained(test_stacked.runs(range(3), phases), tmp_path / "cpu")
    in_steps: Counter[str] = Counter()
    begin, count = stacked._Block._phase, stacked._Block._count

    def begun(block, *given):
        waits[0].clear()
        begin(block, *given)

    def counting(block):
        in_steps.update(waits[0] if block.pending else ())
        count(block)

    monkeypatch.setattr(stacked._Block, "_phase", begun)
    monkeypatch.setattr(stacked._Block, "_count", counting)
    monkeypatch.setattr(loop, "ROWS", 1)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", float("inf"))
    with fake_card.card() as told:
        waits.append(told)
        made = test_stacked.runs(range(3), phases)
        for run in made:
            x, ids, labels = (getattr(run.sample, part).numpy() for part in ("raw", "ids", "labels"))
            mean, std = run.sample.mean.flatten(), run.sample.std.flatten()
            run.sample = samples.Sample(x, ids, labels, mean, std, device=fake_card.CARD)
            run.net.to(fake_card.CARD)
            run.counts_C = run.counts_C.to(fake_card.CARD)
        stacked.train(made, Partial(tmp_path / "card", "cell"))
        weights = [{name: value.cpu() for name, value in run.net.state_dict().items()} for run in made]
    assert in_steps.total() <= len(made), f"labels go to the host once, to draw epochs: {in_steps}"
    for found, on_cpu in zip(weights, expected[0], strict=True):
        assert all(torch.equal(found[name], on_cpu[name]) for name in on_cpu)


# Half precision and compiling --------------------------------------------------------------------------------


def test_the_defaults_are_not_in_an_identity_and_other_choices_are(tmp_path, monkeypatch):
    says = {"plain": {}, "said": {"precision": "float32", "compile": "off"}, "half": {"precision": "bf16"}}
    says |= {"compiled": {"compile": "default"}, "graphs": {"compile": "reduce-overhead"}}
    monkeypatch.chdir(small_project.make(tmp_path / "p", says))
    plan = planning.make("all", "smoke")
    entries = {entry["case"]: entry for entry in plan.studies["test2026_small.smoke"]["entries"]}
    assert entries["plain"]["finetune"] == entries["said"]["finetune"]
    assert len({entry["finetune"] for entry in entries.values()}) == 4
    assert len({entry["sample"] for entry in entries.values()}) == 1
    hashed = json.dumps(plan.cells[entries["plain"]["finetune"]].identity)
    assert "precision" not in hashed
    assert "compile" not in hashed


def trained(model, steps=20, **cfg):
    """Train a small network for some steps as a recipe says; return it and its rows of history."""
    model = registry.build("models", model)
    x = np.random.default_rng(0).normal(size=(60, 3, 8, 8)).astype(np.float32)
    labels = np.arange(60) % 3
    x[np.arange(60), 0, labels, labels] += 4
    rows = samples.Sample(x, np.arange(60), labels, [0.0] * 3, [1.0] * 3)
    net = network.build(model, registry.build("heads", {"name": "linear"}), (3, 8, 8), 3, 0)
    precision.quicken(net, small_project.recipe(**cfg))
    phase = test_stacked.phase_of(steps, sampler=registry.build("samplers", {"name": "none"}))
    history = []
    run = Run(net, [phase], rows, torch.full((3,), 20.0), "finetune", 0)
    loop.train(run, resume=None, save=lambda *given: None, log=lambda row, number: history.append(row))
    return net, rows, history


CNN = {"name": "digits_cnn"}


def test_half_precision_learns_in_float32_weights_and_predicts_in_float32():
    net, rows, history = trained(CNN, 60, precision="bf16")
    plain, _, expected = trained(CNN, 60)
    assert history[-1]["loss"] < 0.9 * history[0]["loss"]
    assert history[0]["loss"] != expected[0]["loss"]
    assert history[0]["loss"] == pytest.approx(expected[0]["loss"], rel=0.05)
    assert net.state_dict().keys() == plain.state_dict().keys()
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    images = rows.standardise(rows.batch(torch.arange(8))[0])
    features = net.train().encoder(images)
    assert features.dtype == torch.float32
    assert torch.equal(features, features.bfloat16().float()), "what the encoder gives in training has half the digits"
    with torch.no_grad():
        predicted = loop.predict(net, rows, rows.raw.numpy(), np.arange(8))
        again = network.build(
            registry.build("models", CNN), registry.build("heads", {"name": "linear"}), (3, 8, 8), 3, 0
        )
        again.load_state_dict(net.state_dict())
        assert torch.equal(predicted, again.eval()(images))


def test_a_compiled_encoder_gives_the_numbers_of_the_loop_for_all_seeds_at_once(tmp_path, monkeypatch):
    pytest.importorskip("torch._inductor.cpp_builder")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    mlp = {"name": "mlp", "hidden": [8]}
    try:
        (net, _, history), (plain, _, expected) = trained(mlp, compile="default"), trained(mlp)
    except UserError as error:
        pytest.skip(str(error))
    frames = torch._dynamo.utils.counters["frames"]["ok"]
    assert frames >= 1
    for found, row in zip(history, expected, strict=True):
        assert found["loss"] == pytest.approx(row["loss"], rel=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, rtol=1e-5, atol=1e-7)
    trained(mlp, 2, compile="default")
    assert torch._dynamo.utils.counters["frames"]["ok"] == frames, "another seed compiles nothing"
    assert any(tmp_path.rglob("*.so")), "what was compiled is kept where it is said to be"


def test_a_machine_without_a_compiler_says_so_in_a_line(monkeypatch):
    from torch._inductor import cpp_builder, exc

    def none():
        raise exc.InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(UserError, match=r"compile: found no C\+\+ compiler .*write `compile: off`") as told:
        trained({"name": "mlp"}, compile="default")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"execution": "stacked", "compile": "default"}, "`execution: stacked` .*`compile: off`"),
        (
            {"precision": "bf16", "finetune": {"mixing": "manifold_mixup"}},
            "manifold_mixup does not go with .*`precision: float32`",
        ),
        ({"compile": "default", "model": "logistic_regression"}, "logistic_regression .*`compile: off`"),
    ],
)
def test_what_cannot_work_together_is_refused_when_planning(case, said, tmp_path, monkeypatch):
    monkeypatch.chdir(small_project.make(tmp_path / "p", {"plain": {}, "odd": case}))
    with pytest.raises(UserError, match=said) as told:
        preflight.check_plan(planning.make("all", "smoke"))
    assert "\n" not in str(told.value)
