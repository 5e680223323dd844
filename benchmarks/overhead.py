"""Overhead: what a run costs beside the training itself, where it goes, and what an older version cost.

The default run is timed as a whole, its results empty, on two cores; a peer folder named `counterpoise` may hold an
older version of this project, which then runs in turns with this one. Shares are seconds of cores (wall times cores)
over the training seconds that the jobs' records hold; the study of long jobs trains four networks for some two minutes
each. The parts are CPU seconds of this version's run: of the records of each stage's jobs, of a process that imports
what jobs import (once a run), of one that plans anew (once for each change of configuration or code), and of starting
and ending one job beside its work; what is left is Snakemake, the live view and the reports.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Command, Json, Options, Target, main, once, row, value
from benchmarks.sides import ROOT, Once

CORES = 2
PARTS = ("Snakefile", "rules", "envs", "workflow", "profiles", "config")
PLAN = (
    "from counterpoise.checking import preflight; from counterpoise.planning import study; "
    "preflight.checked_plan(study.settings())"
)
IMPORT = (
    "import importlib; from counterpoise.jobs import forkserver; "
    "[importlib.import_module(name) for name in forkserver.IMPORTED]"
)


@dataclass(frozen=True)
class Run:
    """A run of Snakemake in a project, from nothing, by the code of a version."""

    project: Path
    version: Path = ROOT

    def __call__(self) -> Once:
        """Remove what there is and run."""
        line = f"rm -rf results mlflow.db && exec {sys.executable} -m snakemake --quiet all --cores {CORES}"
        os.environ["PYTHONPATH"] = str(self.version)
        return Command(("bash", "-c", line), self.project)()

    def records(self) -> list[dict[str, Any]]:
        """Return what its jobs recorded, each with its stage."""
        files = sorted((self.project / "results").glob("*/*/**/run.json"))
        stages = [file.relative_to(self.project / "results").parts[0] for file in files]
        return [json.loads(file.read_text()) | {"stage": stage} for file, stage in zip(files, stages, strict=True)]


def linked(folder: Path, version: Path) -> Path:
    """Return a folder in which a version of the project runs, apart from its own results."""
    folder.mkdir()
    for name in PARTS:
        (folder / name).symlink_to(version / name)
    return folder


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the default run with its parts, then the study of long jobs."""
    few = replace(options, repeats=1 if options.quick else 3)
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        if options.wants("default run"):
            yield from _default(folder, few)
        if options.wants("long jobs") and not options.quick:
            yield from _long(folder)


def _default(folder: Path, options: Options) -> Iterator[Json]:
    sides = {"ours": Run(linked(folder / "ours", ROOT))}
    if older := options.peer("counterpoise"):
        sides["older version"] = Run(linked(folder / "older", older), older)
    calls: dict[str, list[Once]] = {side: [] for side in sides}
    for number in range(options.repeats):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            calls[side].append(once(sides[side]))
    yield row("default run", calls, target=Target("wall", at_most=120))
    for side, run in sides.items():
        last, records = calls[side][-1], run.records()
        trained, said = sum(r.get("train_seconds") or 0 for r in records), "" if side == "ours" else f", {side}"
        yield value(f"default run{said}: seconds of cores over training seconds", last.wall * CORES / trained, "x")
        for stage in dict.fromkeys(r["stage"] for r in records):
            jobs = [r for r in records if r["stage"] == stage]
            yield value(f"default run{said}: {len(jobs)} jobs of {stage}", sum(r["cpu_seconds"] for r in jobs), "CPU s")
        yield value(f"default run{said}: all jobs' work", sum(r["cpu_seconds"] for r in records), "CPU s")
        yield value(f"default run{said}: everything else", last.cpu - sum(r["cpu_seconds"] for r in records), "CPU s")
    os.environ["PYTHONPATH"] = str(ROOT)
    project = sides["ours"].project
    for name, program in (("imports of the process that forks", IMPORT), ("the first planning", PLAN)):
        line = f"rm -rf results/plans && exec {sys.executable} -c '{program}'"
        yield value(f"default run: {name}", Command(("bash", "-c", line), project)().cpu, "CPU s")
    began = Command((sys.executable, "-c", "import counterpoise.__main__, counterpoise.jobs.forkserver"), project)
    cost = min(began().cpu for _ in range(5))
    yield value("start of a job that is forked", cost, "CPU s", target=Target("value", at_most=3))


def _long(folder: Path) -> Iterator[Json]:
    """Yield the share of a study of four jobs that train for minutes, two after the other on each core."""
    project = _projects.write(folder / "long", 1)
    study = project / "config/studies/size_made.yaml"
    cases = "  baseline: {}\n  again: {finetune: {replicate: 1}}\n"
    cases += "  class_balanced: {sample: class_balanced}\n  class_weighted: {finetune: {loss: class_weighted}}\n"
    study.write_text(study.read_text().replace(_projects.CASES, cases).replace("A: oversampling", "A: class_balanced"))
    base = project / "config/bases/digits_mlp.yaml"
    base.write_text(base.read_text().replace("steps: 300", "steps: 60000"))
    run = Run(project)
    last = once(run)
    trained = [r["train_seconds"] for r in run.records() if r.get("train_seconds")]
    note = f"jobs that trained for {', '.join(f'{seconds:.0f}' for seconds in trained)} s"
    share = last.wall * CORES / sum(trained)
    yield value(
        "long jobs: seconds of cores over training seconds", share, "x", target=Target("value", at_most=1.05), note=note
    )


if __name__ == "__main__":
    main("benchmarks.overhead", "Overhead", measure, __doc__.partition("\n\n")[2])
