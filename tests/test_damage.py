"""Files of a finished study, damaged in every way, before every command that may read them.

A command ends with its usual exit codes and without a traceback, says which file is damaged, and changes nothing else.
Each file is damaged twice: with sizes and digests in `run.json`, and as an earlier version left it, without.
"""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import small_project
import torch
import yaml

from counterpoise import readers, records
from counterpoise.cli import main
from counterpoise.jobs import job as jobs
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.stages import report
from counterpoise.tracking import store as track
from counterpoise.training.partial import Partial

STUDY = "test2026_small.smoke"
SHORT = {"steps": 8, "batch_size": 8}
CASES = {
    "net": {"pretrain": {"method": "supervised"}},
    "again": {"evaluate": {"rebalancing": "logit_adjustment"}, "pretrain": {"method": "supervised"}},
}


def other_schema(path):
    """Return the content of a file of the same kind that holds something else."""
    if path.suffix == ".json":
        return b'{"something": {"else": 1}}'
    if path.suffix == ".jsonl":
        return b'{"something": "else"}\n'
    if path.suffix == ".parquet":
        held = io.BytesIO()
        pq.write_table(pa.table({"x": [1]}), held)
        return held.getvalue()
    if path.suffix == ".npy":
        held = io.BytesIO()
        np.save(held, np.zeros(()))
        return held.getvalue()
    return safetensors.numpy.save({"x": np.zeros(1)}) if path.suffix == ".safetensors" else b"<html>"


DAMAGES = {
    "empty": lambda path: b"",
    "truncated": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "null": lambda path: b"null\n",
    "list": lambda path: b"[]\n",
    "other schema": other_schema,
    "not UTF-8": lambda path: b"\xff\xfe\x00\xd8" + path.read_bytes()[4:],
    "noise": lambda path: np.random.default_rng(0).bytes(path.stat().st_size),
}
FILES = {
    "plan.json": (None, "plan.json"),
    "plans": (None, "plans/*.json"),
    **{f"preprocess/{name}": ("preprocess", name) for name in ("train_x.npy", "train_y.npy", "test_y.npy")},
    **{
        f"{stage}/{name}": (stage, name)
        for stage, names in status.OUTPUTS.items()
        for name in names
        if not name.endswith(".npy")
    },
    "finetune/spec.json": ("finetune", "spec.json"),
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project with a small study, every job of which has been run, and its plan."""
    folder = small_project.make(tmp_path_factory.mktemp("damage") / "p", CASES, pretrain=SHORT, finetune=SHORT, seeds=2)
    path = folder / "config" / "config.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "tracking": "sqlite:///mlflow.db"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = planning.make("all", "smoke")
        plan.write(planning.PLAN)
        kept = planning.RESULTS / "plans" / "0123456789ab.json"
        records.write_json(kept, {"made_of": "", **plan.content()})
        for job in ordered(plan):
            jobs.run(job.cell.stage, job.cell.name, job.block)
        report.index(plan)
    return folder, plan


def ordered(plan):
    return sorted(status.jobs(plan), key=lambda job: planning.STAGES.index(job.cell.stage))


@pytest.fixture
def fresh(finished, tmp_path, monkeypatch):
    """Return what makes a copy of the finished project; it shares its files, so that what is damaged is replaced."""
    folder, plan = finished
    written = json.dumps(plan.content())
    monkeypatch.setattr(planning, "make_all", lambda config=None: planning.of(json.loads(written), Path()))
    monkeypatch.setattr("counterpoise.report.study_page.render", lambda *_: "<html></html>")
    for name in ("class_histogram", "confusion_matrix"):
        monkeypatch.setattr(f"counterpoise.tracking.figures.{name}", lambda *_: None)
    monkeypatch.setattr(track, "_prepare", lambda uri: None)
    monkeypatch.setattr(track, "_client", lambda uri: Silent())
    monkeypatch.setattr(track.Store, "_experiment", lambda self, plan, study: ("1", {}))

    def copy(recorded):
        monkeypatch.chdir(tmp_path)
        shutil.rmtree("p", ignore_errors=True)
        shutil.copytree(folder, "p", copy_function=os.link)
        monkeypatch.chdir("p")
        for job in () if recorded else status.jobs(plan):
            run = records.read_json(job.folder / "run.json")
            put(job.folder / "run.json", json.dumps({k: v for k, v in run.items() if k != "files"}).encode())
        return plan

    return copy


class Silent:
    """An MLflow client that takes everything."""

    def __getattr__(self, name):
        return lambda *a, **k: type("Any", (), {"info": type("Info", (), {"run_id": "1"}), "token": None})()


def put(path, content):
    path.unlink()
    path.write_bytes(content)


def contents():
    """Return when each file below `results` was written."""
    files = (p for p in Path("results").rglob("*") if p.is_file() and not p.name.endswith(".lock"))
    return {path: path.stat().st_mtime_ns for path in files}


def job_of(plan, stage):
    return next((job for job in ordered(plan) if job.cell.stage == stage), None)


def children(plan, stage):
    """Return the commands of the jobs that read what a stage leaves."""
    below = {
        "preprocess": ("sample", "finetune"),
        "sample": ("pretrain", "finetune"),
        "pretrain": ("finetune",),
        "finetune": ("evaluate",),
        "evaluate": ("report",),
    }
    found = [job_of(plan, child) for child in below.get(stage, ())]
    return [[job.cell.stage, job.cell.name, *([job.block] if job.block else [])] for job in found]


@pytest.mark.parametrize(("recorded", "damages"), [(True, ("truncated", "noise")), (False, tuple(DAMAGES))])
@pytest.mark.parametrize("file", FILES)
def test_every_file_by_every_damage_by_every_command(fresh, capsys, file, recorded, damages):
    stage, name = FILES[file]

    def call(*words):
        code = main(list(words))
        out, err = capsys.readouterr()
        assert code in (0, 1, 2), words
        assert "Traceback" not in out + err
        return code, out + err

    for damage in damages:
        plan = fresh(recorded)
        job = job_of(plan, stage) if stage else None
        path = job.folder / name if job else next(Path("results").glob(name))
        put(path, DAMAGES[damage](path))
        before, bad = contents(), status.state(job).status if job else ""
        call("plan")
        compared = call("check", "--results")
        call("track")
        call("publish", STUDY, "--allow-dirty")
        call("show", job.cell.name if job else STUDY)
        why = call("why", job.cell.name if job else job_of(plan, "finetune").cell.name)
        assert contents() == before, "looking changes nothing"
        if bad == "damaged":
            assert str(path) in why[1]
        if recorded and stage:
            assert compared[0] == 2
            assert str(path) in compared[1]
        for words in children(plan, stage):
            code, said = call(*words)
            assert code == 0 or f"{path}: " in said, words
        code, said = call("report")
        assert code == 0 or f"{path}: " in said
        if stage in ("preprocess", "sample", "pretrain", "finetune", "evaluate"):
            code, said = call("retry", job.cell.name)
            assert code == 0, said
            assert status.state(job).status == "missing"
            assert len(status.holes(plan, dry=False)) == 1


@pytest.mark.parametrize(
    "name", ["checkpoint.safetensors", "seed-00.safetensors", "history.jsonl", "seed-00-step-000004.npy"]
)
@pytest.mark.parametrize("damage", ["empty", "truncated", "other schema", "noise"])
def test_unfinished_work_that_is_damaged_is_begun_anew(tmp_path, capsys, name, damage):
    held = Partial(tmp_path, "cell")
    weights, state = {"w": torch.zeros(3)}, {"phase": 0, "step": 4}
    held.finish(0, weights, state)
    held.save(1, weights, state)
    records.write_array(held.folder / "seed-00-step-000004.npy", np.zeros(3))
    held.log(dict.fromkeys(readers.LINE, 0) | {"seed": 1, "step": 4}, 0)
    path = held.folder / name
    put(path, DAMAGES[damage](path))
    again = Partial(tmp_path, "cell")
    if name == "history.jsonl" and damage in ("empty", "truncated"):  # a last line that is cut short is no damage
        assert again.finished(0)
        return
    assert str(path) in capsys.readouterr().err
    assert again.checkpoint(1) is None
    assert (again.finished(0) is not None) == (name == "checkpoint.safetensors"), (
        "finished seeds are kept if they can be"
    )
