"""A study under Snakemake goes on after SIGKILL and ends with the bytes of an undisturbed one.

`kill_study.py` is the long form of this, with random moments.
"""

import base64
import json
import os
import re
import signal
import subprocess
import time

import pytest
import small_project
import yaml
from kill_study import Run

from counterpoise import records
from counterpoise.jobs import job as jobs
from counterpoise.jobs import status
from counterpoise.planning import plan as planning

CASES = {
    "scratch": {"finetune": {"snapshots": 3}},
    "impossible": {"imbalance": {"per_class": 2, "minority_count": 2}, "label_noise": 0.9, "validation": 0},
}
TRAINING = ("--until", "finetune")


def compute_here(folder, monkeypatch):
    """Run all training jobs one after the other in this process, and return the digests of what they leave."""
    run = Run(folder, CASES, seeds=2)
    monkeypatch.chdir(run.folder)
    plan = planning.make("all", "smoke")
    plan.write(planning.RESULTS / "plan.json")
    for stage in ("preprocess", "sample", "finetune"):
        for cell in plan.cells.values():
            for block in cell.blocks if cell.stage == stage else ():
                jobs.run(stage, cell.name, None if stage == "preprocess" else planning.block_name(block))
    return small_project.digests(run.folder)


def wait(condition, seconds=200):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def saved(run):
    return [job for job in run.jobs() if job.saved]


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "disturbed", CASES, seeds=2)
    yield run
    run.process.kill()
    run.finish()


def test_a_killed_study_goes_on_to_the_same_bytes(run, tmp_path, monkeypatch):
    expected = compute_here(tmp_path / "plain", monkeypatch)

    run.token.write_text(json.dumps({"after": True, "renames": 2}))
    run.start(*TRAINING)
    wait(run.killed.exists)  # the training process, between write and rename
    struck = json.loads(run.killed.read_text())["pid"]
    job = wait(lambda: saved(run) if struck not in {j.pid for j in run.jobs()} else [])[0]
    assert run.process.poll() is None, "the same Snakemake tries again"
    os.kill(run.process.pid, signal.SIGKILL)
    os.kill(job.pid, signal.SIGKILL)
    run.finish()

    run.start(*TRAINING)
    wait(lambda: saved(run))
    os.kill(run.process.pid, signal.SIGKILL)
    run.finish()
    assert run.orphans() == []

    run.start(*TRAINING)
    assert run.finish() == 0, (run.folder / "snakemake.log").read_text()[-3000:]
    assert small_project.digests(run.folder) == expected
    assert small_project.left_behind(run.folder) == []
    for stage, ended in (("sample", "failed"), ("finetune", "skipped")):
        found = [records.read_json(p)["status"] for p in run.folder.glob(f"results/{stage}/*/*/run.json")]
        assert sorted(found) == ["done", ended], "a failed cell does not stop the others"

    # As Snakemake leaves it when it is killed before it has noted that a job ended: that job is not run again.
    for path in run.folder.glob("results/finetune/*/*/run.json"):
        marker = base64.urlsafe_b64encode(str(path.relative_to(run.folder)).encode()).decode()
        (run.folder / ".snakemake" / "incomplete" / marker).touch()
    # A job whose files are damaged is computed again at the next start, and none that followed it.
    damaged = next(run.folder.glob("results/sample/*/*/split.parquet"))
    os.truncate(damaged, 100)
    monkeypatch.chdir(run.folder)
    status.holes(planning.read(), dry=False)
    study = run.folder / "config" / "studies" / "test2026_small.yaml"
    study.write_text(yaml.safe_dump(yaml.safe_load(study.read_text()) | {"seeds": 4}))
    dry = subprocess.run(
        [*small_project.snakemake(), "-n", *TRAINING],
        cwd=run.folder,
        env=small_project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    planned = dict(re.findall(r"^(\w+) +(\d+)$", dry.stdout + dry.stderr, re.M))
    assert planned == {"sample": "3", "finetune": "2", "total": "5"}, "the new block of seeds, and what was damaged"
