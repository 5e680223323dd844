"""Pretraining and fine-tuning as jobs: what they leave, whatever happens to them."""

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_project
import torch
from safetensors.torch import save_file

from counterpoise import cli, records
from counterpoise.data.inputs import Inputs
from counterpoise.errors import UserError
from counterpoise.jobs import job
from counterpoise.planning import plan as planning
from counterpoise.registry import build
from counterpoise.training import checkpoints, loop, phases
from counterpoise.training.network import build as build_network
from counterpoise.training.partial import Partial
from counterpoise.training.predictions import Predictions

SHORT = {"steps": 24, "batch_size": 16}
STILL = {**SHORT, "optimizer": {"name": "sgd", "lr": 1e-30}}  # no float32 moves
WILD = {**SHORT, "optimizer": {"name": "sgd", "lr": 1e30}}
SUPERVISED = {"method": "supervised", "sample": "random_oversampling"}


class Killed(Exception):
    pass


class Project:
    """A plan in a folder, and its jobs run in this process."""

    def __init__(self, folder, cases, **base):
        os.chdir(small_project.make(folder, cases, **({"pretrain": SHORT, "finetune": SHORT} | base)))
        self.plan = planning.make("all", "smoke")
        self.plan.write(planning.RESULTS / "plan.json")
        self.entries = {e["case"]: e for e in self.plan.studies["test2026_small.smoke"]["entries"]}

    def compute(self, *stages):
        for stage in stages:
            for cell in self.plan.cells.values():
                for block in cell.blocks if cell.stage == stage else ():
                    job.run(stage, cell.name, None if stage == "preprocess" else planning.block_name(block))
        return self

    def folder(self, case, stage, block="seeds-00-01"):
        return self.plan.cells[self.entries[case][stage]].folder / (block if stage != "preprocess" else "")

    def run_json(self, case, stage, block="seeds-00-01"):
        return records.read_json(self.folder(case, stage, block) / "run.json")

    def tensors(self, case, stage, block="seeds-00-01"):
        return checkpoints.load(self.folder(case, stage, block) / "model.safetensors")[0]

    def contents(self):
        return {path.name: path.read_bytes() for path in sorted(Path("results").rglob("*.*")) if path.is_file()}


DATA = ("preprocess", "sample")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda cases, name="project", **base: Project(tmp_path / name, cases, **base).compute(*DATA)


def initial_head(project, seed):
    model, task = build("models", {"name": "digits_cnn"}), build("heads", {"name": "linear"})
    return build_network(model, task, (1, 8, 8), 10, seed).head.state_dict()


def test_the_last_layer_starts_from_the_head_that_was_pretrained_and_a_probe_from_a_fresh_one(project):
    p = project(
        {
            "two_phase": {"pretrain": SUPERVISED, "finetune": {"method": "last_layer"}},
            "kept": {"pretrain": SUPERVISED, "finetune": {"method": "last_layer", **STILL}},
            "probe": {"pretrain": SUPERVISED, "finetune": {"method": "linear_probe", **STILL}},
        }
    ).compute("pretrain", "finetune")
    before = p.tensors("two_phase", "pretrain")
    assert len(before) == 16, "encoder and head of two seeds"
    for case in p.entries:
        after = p.tensors(case, "finetune")
        assert after.keys() == before.keys()
        assert all(torch.equal(after[name], before[name]) for name in before if "/encoder." in name)
    assert not torch.equal(p.tensors("two_phase", "finetune")["0/head.weight"], before["0/head.weight"])
    assert torch.equal(p.tensors("kept", "finetune")["0/head.weight"], before["0/head.weight"])
    for seed in (0, 1):
        assert torch.equal(p.tensors("probe", "finetune")[f"{seed}/head.weight"], initial_head(p, seed)["weight"])


def test_the_layout_of_images_changes_numbers_by_rounding_only_and_is_another_cell(project):
    p = project({"plain": {}, "last": {"layout": "channels_last"}}).compute("finetune")
    assert p.entries["plain"]["finetune"] != p.entries["last"]["finetune"]
    assert p.entries["plain"]["sample"] == p.entries["last"]["sample"]
    plain, last = (p.tensors(case, "finetune") for case in ("plain", "last"))
    for name, value in plain.items():
        torch.testing.assert_close(last[name].contiguous(), value, rtol=1e-3, atol=1e-5)


def test_rows_that_a_sampler_makes_are_trained_on_and_never_tested(project):
    p = project({"plain": {}, "made": {"sample": "smote"}}).compute("finetune")
    held = {}
    for case in ("plain", "made"):
        table = pq.read_table(p.folder(case, "finetune") / "predictions.parquet")
        held[case] = table.to_pandas(), json.loads(table.schema.metadata[b"counterpoise"])
    columns = ["seed", "split", "id", "label"]
    assert held["made"][0][columns].equals(held["plain"][0][columns]), "what is predicted are real rows"
    assert held["made"][1]["class_counts"] == held["plain"][1]["class_counts"]
    seen = np.array(held["made"][1]["seen_counts"]["0"])
    assert seen.max() < 1.6 * seen.min(), "batches are balanced"


def test_a_self_supervised_head_is_not_handed_on(project):
    p = project({"rotation": {"pretrain": {"method": "rotation"}}}).compute("pretrain", "finetune")
    assert not [name for name in p.tensors("rotation", "pretrain") if "/head." in name]
    assert p.tensors("rotation", "finetune")["0/head.weight"].shape == (10, 32)


def test_a_seed_does_not_depend_on_the_block_that_it_is_computed_in(project):
    cases = {"scratch": {"finetune": {"snapshots": 2}}}
    found = []
    for block, name in ((1, "seeds-03-03"), (4, "seeds-00-03")):
        p = project(cases, f"block-{block}", block=block, seeds=4).compute("finetune")
        folder = p.folder("scratch", "finetune", name)
        rows = pq.read_table(folder / "predictions.parquet", filters=[("seed", "=", 3)])
        tensors = {k: v.numpy().tobytes() for k, v in p.tensors("scratch", "finetune", name).items() if k[:2] == "3/"}
        lines = [line for line in (folder / "history.jsonl").read_text().splitlines() if '"seed": 3' in line]
        found.append((rows.replace_schema_metadata().combine_chunks(), tensors, lines))
    assert found[0] == found[1]
    assert set(found[0][0]["selection"].to_pylist()) == {"last", "step-000008", "step-000016"}


@pytest.mark.parametrize("saves", [3, 24, 30, 47])
def test_a_block_killed_in_any_seed_goes_on_and_ends_with_the_same_bytes(project, monkeypatch, saves):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    p = project({"scratch": {"finetune": {"snapshots": 3}}}, "disturbed")
    name, done, steps = p.entries["scratch"]["finetune"], [], []
    keep, batch = Partial.save, phases.Batches.step

    def save(*arguments):
        keep(*arguments)
        done.append(1)
        if len(done) == saves:
            raise Killed

    monkeypatch.setattr(Partial, "save", save)
    with pytest.raises(Killed):
        job.run("finetune", name, "seeds-00-01")
    monkeypatch.setattr(phases.Batches, "step", lambda self, step: steps.append(step) or batch(self, step))
    job.run("finetune", name, "seeds-00-01")
    assert len(steps) == 2 * SHORT["steps"] - saves, "only the steps after the checkpoint"
    disturbed = small_project.digests(Path.cwd())
    assert not small_project.left_behind(Path.cwd())
    project({"scratch": {"finetune": {"snapshots": 3}}}, "plain").compute("finetune")
    assert small_project.digests(Path.cwd()) == disturbed


def test_a_loss_that_is_not_finite_is_a_recorded_result(project):
    p = project({"wild": {"finetune": WILD}}).compute("finetune", "evaluate")
    run = p.run_json("wild", "finetune")
    assert run["status"] == "done"
    assert set(run["diverged"]) == {"0", "1"}
    assert set(run["diverged"]["0"]) == {"step", "epoch", "lr", "reason"}
    assert run["diverged"]["0"]["lr"] == 1e30
    table = pq.read_table(p.folder("wild", "finetune") / "predictions.parquet")
    assert len(table) == 0
    assert json.loads(table.schema.metadata[b"counterpoise"])["diverged"] == run["diverged"]
    assert p.run_json("wild", "evaluate")["diverged"] == run["diverged"]


def test_a_pretraining_that_diverged_is_the_reason_of_its_fine_tuning(project):
    p = project({"wild": {"pretrain": {**SUPERVISED, **WILD}}}).compute("pretrain", "finetune")
    assert "loss" in p.run_json("wild", "pretrain")["diverged"]["1"]["reason"]
    assert p.run_json("wild", "pretrain")["images"] > 0, "its work counts"
    assert p.tensors("wild", "pretrain") == {}
    assert p.run_json("wild", "finetune")["diverged"]["1"]["reason"] == "its pretraining diverged"


def test_a_network_at_chance_on_its_own_training_data_counts_as_diverged(project):
    p = project({"scratch": {}})
    sample, data = p.folder("scratch", "sample"), p.folder("scratch", "preprocess")
    table = Predictions(data)
    table.begin(Inputs(p.entries["scratch"]["recipe"], data, sample, 0))

    def logits(value):
        return lambda x, ids: np.tile(np.asarray(value, np.float32), (len(ids), 1))

    assert table.add_last(logits(np.eye(10)[3]))["reason"] == "chance level on the training data"
    assert table.add_last(logits(np.full(10, np.nan)))["reason"] == "chance level on the training data"
    assert not table.parts


def given(path, **finetuning):
    return {"given": {"pretrain": {"method": {"name": "checkpoint", "path": str(path)}}, "finetune": finetuning}}


@pytest.fixture
def network():
    model, task = build("models", {"name": "digits_cnn"}), build("heads", {"name": "linear"})
    return build_network(model, task, (1, 8, 8), 10, 99)


@pytest.mark.parametrize("form", ["safetensors", "encoder alone", "torch", "wrapped", "of this project"])
def test_a_given_checkpoint_feeds_every_seed(project, network, tmp_path, form):
    whole, encoder = network.state_dict(), network.encoder.state_dict()
    path = tmp_path / ("given.pt" if form in ("torch", "wrapped") else "given.safetensors")
    if form == "safetensors":
        save_file(whole, path)
    elif form == "encoder alone":
        save_file(encoder, path)
    elif form == "of this project":
        checkpoints.save(path, {f"{seed}/{name}": value + seed for seed in (0, 1) for name, value in whole.items()})
    elif form == "torch":
        torch.save(whole, path)
    else:
        torch.save({"state_dict": {f"module.{name}": value for name, value in whole.items()}, "epoch": 7}, path)
    p = project(given(path)).compute("pretrain", "finetune")
    tensors = p.tensors("given", "pretrain")
    for seed in (0, 1):
        shift = seed if form == "of this project" else 0
        assert torch.equal(tensors[f"{seed}/encoder.0.weight"], encoder["0.weight"] + shift)
    assert ("0/head.weight" in tensors) == (form != "encoder alone")
    assert p.run_json("given", "finetune")["status"] == "done"


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def corrupt(path, network):
    path.with_suffix(".safetensors").write_bytes(b"\x00" * 64)
    return path.with_suffix(".safetensors")


def truncated(path, network):
    save_file(network.state_dict(), path.with_suffix(".safetensors"))
    path.with_suffix(".safetensors").write_bytes(path.with_suffix(".safetensors").read_bytes()[:-100])
    return path.with_suffix(".safetensors")


def truncated_torch(path, network):
    torch.save(network.state_dict(), path)
    path.write_bytes(path.read_bytes()[:3000])
    return path


def no_checkpoint(path, network):
    path.write_text("weights")
    return path


def pickled_code(path, network):
    torch.save({"encoder": Payload()}, path)
    return path


def not_tensors(path, network):
    torch.save({"epoch": 3}, path)
    return path


def foreign(path, network):
    torch.save({"encoder.conv1.weight": torch.zeros(3)}, path)
    return path


def other_shape(path, network):
    torch.save({name: value[..., :1].contiguous() for name, value in network.state_dict().items()}, path)
    return path


def other_seeds(path, network):
    save_file({f"7/{name}": value for name, value in network.state_dict().items()}, path.with_suffix(".safetensors"))
    return path.with_suffix(".safetensors")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (corrupt, "cannot be read (SafetensorError"),
        (truncated, "cannot be read (SafetensorError"),
        (truncated_torch, "not a checkpoint of plain tensors"),
        (no_checkpoint, "not a checkpoint of plain tensors"),
        (pickled_code, "pickled code is never run"),
        (not_tensors, "expected a dictionary of tensors"),
        (foreign, "does not fit the model: missing ['0.bias'"),
        (other_shape, "has shape"),
        (other_seeds, "has no network of seed 0; found those of seeds [7]"),
    ],
)
def test_a_bad_checkpoint_is_one_clear_line(project, network, tmp_path, make, expected):
    path = make(tmp_path / "given.pt", network)
    p = project(given(path))
    with pytest.raises(UserError) as caught:
        p.compute("pretrain")
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("executed").exists()


def test_a_checkpoint_that_is_missing_or_was_exchanged_is_refused(project, network, tmp_path):
    path = tmp_path / "given.safetensors"
    with pytest.raises(UserError, match="no file at path"):
        project(given(path))
    save_file(network.state_dict(), path)
    p = project(given(path))
    save_file({name: value + 1 for name, value in network.state_dict().items()}, path)
    with pytest.raises(UserError, match="another file than when this run was planned"):
        p.compute("pretrain")


def test_children_of_a_failure_are_skipped_with_its_reason_and_leave_empty_files(project):
    p = project({"two_phase": {"pretrain": SUPERVISED}})
    path = p.folder("two_phase", "sample") / "run.json"
    records.write_json(path, records.read_json(path) | {"status": "failed", "error": "class 3 is left empty"})
    p.compute("pretrain", "finetune", "evaluate")
    for stage in ("pretrain", "finetune", "evaluate"):
        run = p.run_json("two_phase", stage)
        assert run["status"] == "skipped"
        assert "class 3 is left empty" in run["error"]
    assert len(pq.read_table(p.folder("two_phase", "finetune") / "predictions.parquet")) == 0
    assert p.tensors("two_phase", "pretrain") == {}
    assert not small_project.left_behind(Path.cwd())


def test_a_job_whose_parent_is_not_there_says_so(project):
    p = project({"two_phase": {"pretrain": SUPERVISED}})
    with pytest.raises(UserError, match="not computed yet"):
        p.compute("finetune")


def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_goes_on(project, capsys, monkeypatch):
    """A limit on the size of files fails as a full disk does: in the middle of a write."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python would leave the half of it beside our modules
    p = project({"scratch": {}})
    arguments = ["finetune", p.entries["scratch"]["finetune"], "seeds-00-01"]
    folder = p.folder("scratch", "finetune")
    for limit in (2_000, 30_000, 60_000):  # the history, the weights of both seeds, the predictions
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            code = cli.main(arguments)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert code != 0
        message = capsys.readouterr().err
        assert message.startswith(f"error: {folder}")
        assert message.endswith(": File too large\n")
        assert not list(folder.rglob("*.tmp"))
        assert not (folder / "run.json").exists()
    assert cli.main(arguments) == 0
    full = small_project.digests(Path.cwd())
    project({"scratch": {}}, "plain").compute("finetune")
    assert small_project.digests(Path.cwd()) == full


def test_an_array_cut_short_by_the_disk_names_its_file(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            records.write_array(tmp_path / "x.npy", np.zeros(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "x.npy")
    assert not list(tmp_path.iterdir())


def test_a_second_process_waits_for_the_lock(tmp_path, capsys):
    entered = threading.Event()

    def second():
        with records.lock(tmp_path):
            entered.set()

    with records.lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.3)
    assert entered.wait(5)
    thread.join()
    assert "waiting: another process is computing" in capsys.readouterr().err


def test_what_a_killed_process_left_half_written_goes_with_the_next_run(project):
    p = project({"scratch": {}})
    folder = p.folder("scratch", "finetune")
    for stale in (folder / ".run.json.123.tmp", folder / "partial" / ".checkpoint.safetensors.123.tmp"):
        stale.parent.mkdir(parents=True, exist_ok=True)
        stale.write_text("half")
    with records.lock(folder):
        Partial(folder, "cell")
        assert not list(folder.rglob("*.tmp"))


def test_a_child_tidies_up_after_a_parent_that_was_killed_after_its_last_word(project):
    p = project({"scratch": {}}).compute("finetune")
    left = p.folder("scratch", "finetune") / "partial"
    left.mkdir()
    p.compute("evaluate")
    assert not left.exists()


CHILD = (
    "import os, sys, time; from counterpoise.stopping import die_with; {call};"
    " print(os.getpid(), flush=True);"
    " import ctypes; ctypes.PyDLL(None).sleep(600)"  # with the interpreter's lock, as an import may
)


def gone(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_a_job_ends_soon_after_the_process_that_started_it_was_killed():
    call = f"subprocess.run([sys.executable, '-c', {CHILD.format(call='die_with(os.getppid())')!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; {call}"],
        stdout=subprocess.PIPE,
        env=small_project.environment(),
    ) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert gone(child, 30)


def test_a_job_whose_starter_died_before_it_could_look_ends_at_once():
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(call="die_with(1 << 30)")], env=small_project.environment()
    )
    assert done.returncode == 75
