"""Run a study under SLURM, disturb it, and compare every byte with a local run.

A small study on digits (from scratch, two-phase, rotation; two blocks of two seeds) runs once with
`snakemake --cores 2`, then under SLURM with `--workflow-profile profiles/slurm`. There, training jobs that are well
into their last seed are disturbed in turn: `requeue` (scontrol requeue), `cancel` (scancel: Snakemake tries again),
`preempt` (a job for whole nodes in the partition that --urgent names) and `snakemake` (SIGKILL to Snakemake, whose jobs
go on while a new one starts). Prints where each landed; exit code 1 if any byte differs or one did not happen.

Not part of the suite: it needs a cluster on which this folder is shared (one machine is enough: docs/slurm.md).

    python tests/slurm_equality.py --kinds requeue cancel snakemake --folder /shared/somewhere
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

import small_project

CASES = {
    "scratch": {"finetune": {"snapshots": 4}},
    "two_phase": {
        "pretrain": {"method": "supervised", "sample": "random_oversampling"},
        "finetune": {"method": "last_layer"},
    },
    "rotation": {"pretrain": {"method": "rotation"}, "finetune": {"replicate": 1}},
}
SLURM = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "5")
LEAST = 300  # steps into the last seed of a block, so that starting anew would be seen
KINDS = ("requeue", "cancel", "preempt", "snakemake")


def project(folder: Path, steps: int) -> Path:
    """Write the study to a folder of its own."""
    training = {"steps": steps, "batch_size": 16}
    return small_project.make(folder, CASES, seeds=4, pretrain=training, finetune=training)


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake as a person would; jobs save a checkpoint ten times a second."""
    variables = small_project.environment(COUNTERPOISE_CHECKPOINT_SECONDS="0.1")
    command = [sys.executable, "-m", "snakemake", *arguments]
    with (folder / "snakemake.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)


def running() -> dict[str, str]:
    """Return the job id of each running job by its comment, which names rule, cell and block."""
    line = ["squeue", "--noheader", "--states=running", "--format=%i|%k"]
    found = subprocess.run(line, capture_output=True, text=True, check=True).stdout.splitlines()
    return {comment: job for job, _, comment in (entry.partition("|") for entry in found)}


def training(folder: Path, spent: Collection[str]) -> tuple[str, Path] | None:
    """Return a training job (its id, and its folder) that trains its last seed and was not disturbed before."""
    jobs = running()
    for held in sorted((folder / "results").glob("*/*/*/partial/checkpoint.safetensors")):
        stage, cell, block = held.parts[-5:-2]
        job = next((j for comment, j in jobs.items() if cell in comment and block in comment), None)
        if job is None or job in spent:
            continue
        try:
            last = json.loads((held.parent / "history.jsonl").read_text().splitlines()[-1])
        except (OSError, IndexError, ValueError):
            continue
        if last["seed"] == int(block[-2:]) and last["step"] > LEAST:
            print(f"  {stage} {cell} {block}, seed {last['seed']} at step {last['step']}:", flush=True)
            return job, held.parents[1]
    return None


def strike(kind: str, job: str, process: subprocess.Popen[bytes], urgent: str) -> None:
    """Disturb one job, or Snakemake."""
    if kind == "snakemake":
        process.kill()
        process.wait()
        return
    command = {
        "requeue": ["scontrol", "requeue", job],
        "cancel": ["scancel", job],
        "preempt": ["sbatch", "--partition", urgent, "--exclusive", "--output=/dev/null", "--wrap", "sleep 5"],
    }[kind]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def disturbed(folder: Path, kinds: list[str], urgent: str) -> list[str]:
    """Run the study under SLURM with one disturbance of each kind; return what went wrong."""
    process, spent, left = start(folder, *SLURM), dict[str, Path](), list(kinds)
    while left and process.poll() is None:
        found = training(folder, spent)
        if found is None:
            time.sleep(0.1)
            continue
        kind = left.pop(0)
        strike(kind, found[0], process, urgent)
        spent[found[0]] = found[1]
        print(f"    {kind} of SLURM job {found[0]}", flush=True)
        if kind == "snakemake":
            process = start(folder, *SLURM)
    faults = [f"{kind}: no training job was there to disturb" for kind in left]
    faults += [f"snakemake ended with {code}"] if (code := process.wait()) else []
    for job, held in spent.items() if "snakemake" not in kinds else ():  # a new Snakemake does queued jobs twice
        run = json.loads((held / "run.json").read_text())
        print(f"job {job}: the process that ended it ran {run['wall_seconds']:.1f} s", end="")
        print(f" of {run['train_seconds']:.1f} s of training")
    return faults


def main() -> int:
    """Run locally, then under SLURM; print the disturbances and the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=["requeue", "cancel"], help="in this order")
    parser.add_argument("--urgent", default="", help="a partition whose jobs preempt those of the default one")
    parser.add_argument("--steps", type=int, default=3000, help="of each training (default: 3000)")
    parser.add_argument("--folder", type=Path, help="shared by all nodes (default: a temporary folder here)")
    options = parser.parse_args()
    if "preempt" in options.kinds and not options.urgent:
        parser.error("--kinds preempt needs --urgent PARTITION")
    top = Path(options.folder or tempfile.mkdtemp(prefix="slurm_equality-", dir=Path.cwd())).resolve()
    local, cluster = (project(top / name, options.steps) for name in ("local", "slurm"))
    if start(local, "--cores", "2").wait():
        sys.exit(f"the local run failed: see {local / 'snakemake.log'}")
    faults = disturbed(cluster, options.kinds, options.urgent)
    expected, found = small_project.digests(local), small_project.digests(cluster)
    faults += [f"{name}: only in one run" for name in sorted(expected.keys() ^ found.keys())]
    faults += [f"{name}: other bytes" for name in expected.keys() & found.keys() if expected[name] != found[name]]
    faults += [f"{path}: left behind" for path in small_project.left_behind(cluster)]
    for name in small_project.RESULTS_OF_JOBS:
        same = [expected[key] == found.get(key) for key in expected if key.endswith(f"/{name}")]
        print(f"{name:20} {sum(same):3} of {len(same):3} files equal to the byte")
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
