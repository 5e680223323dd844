"""Tracking: what the live view costs a training job, how long the whole view takes to write, and to search.

The job is a fine-tuning of five seeds, timed as a process, alone and beside the process that mirrors a study into
MLflow while it runs. The store is the default one (SQLite); it is written from files by `track.rebuild`, one run for
each seed of each case at each point and one for each case and point. The search is what MLflow's page asks for: the
newest 100 runs of an experiment, with their metrics.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Command, Fresh, Json, Options, Target, compare, main
from benchmarks.sides import ROOT, Once

STUDY = "size_made.full"
FOLLOW = (
    f"import sys; from counterpoise import plan, track; sys.exit(track.follow(plan.read(), sys.argv[1], ['{STUDY}']))"
)
STARTED = 8.0  # seconds in which the process has imported MLflow and made its store


def mirror(folder: str) -> Callable[[], Any]:
    """Return the writing of the whole view into a new store."""
    from counterpoise import plan, track

    os.chdir(folder)
    made = plan.read()
    Path("mlflow.db").unlink(missing_ok=True)
    return lambda: track.rebuild(made, "sqlite:///mlflow.db")


def again(folder: str) -> Callable[[], Any]:
    """Return the writing of a view that lacks nothing."""
    from counterpoise import plan, track

    os.chdir(folder)
    made = plan.read()
    return lambda: track.rebuild(made, "sqlite:///mlflow.db")


def search(folder: str) -> Callable[[], Any]:
    """Return what MLflow's page asks its store for."""
    os.chdir(folder)
    from mlflow import MlflowClient

    client = MlflowClient("sqlite:///mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return lambda: client.search_runs(experiments, max_results=100)


def beside(job: Command, folder: Path) -> Callable[[], Once]:
    """Return the job, timed while the view is kept up to date by a process of its own."""

    def call() -> Once:
        (folder / "live.db").unlink(missing_ok=True)
        line = [sys.executable, "-c", FOLLOW, "sqlite:///live.db"]
        with subprocess.Popen(
            line, cwd=folder, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as live:
            time.sleep(STARTED)
            measured = job()
            live.communicate(b"end")
        return measured

    return call


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the cost to a job, then the store."""
    with tempfile.TemporaryDirectory() as held:
        yield _cost(_projects.write(Path(held) / "job", 10), options)
        for runs in (100,) if options.quick else (1000, 10_000):
            name, work = f"{runs:,} runs", (runs, "runs")
            if not options.wants(name):
                continue
            points = runs // 25  # five cases, five seeds
            folder = _projects.write(Path(held) / f"store{runs}", points * _projects.CELLS_OF_POINT)
            _projects.filled(folder)
            for title, function in (("store of", "mirror"), ("nothing new in", "again"), ("search in", "search")):
                side = Fresh(f"benchmarks.tracking:{function}", (str(folder),))
                # Writing a store costs minutes, and looking through the large one as well.
                is_long = function == "mirror" or (function == "again" and runs > 1000)
                rounds = Options(options.quick, 1, None, options.only) if is_long else options
                yield compare(f"{title} {name}", {"ours": side}, rounds, work=work, warm=False)


def _cost(folder: Path, options: Options) -> Json | None:
    """Return the cost of the live view to a job of the project."""
    name = "training beside the live view"
    if not options.wants(name):
        return None
    from counterpoise import plan

    _projects.filled(folder, steps=1000 if options.quick else 5000)
    made = plan.read(folder / plan.PLAN)
    cell = next(c for c in made.cells.values() if c.stage == "finetune")
    os.environ["PYTHONPATH"] = str(ROOT)
    clear = f"rm -rf {folder / cell.folder}/seeds-00-04"
    line = f"{clear} && exec {sys.executable} -m counterpoise finetune {cell.name} seeds-00-04"
    job = Command(("bash", "-c", line), folder)
    sides = {"tracked": beside(job, folder), "not tracked": job}
    found = compare(name, sides, options, target=Target("cpu_ratio", at_most=1.01), cost=True)
    shutil.rmtree(folder)
    return found


if __name__ == "__main__":
    main("benchmarks.tracking", "Tracking", measure, __doc__.partition("\n\n")[2])
