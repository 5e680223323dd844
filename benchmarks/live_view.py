"""Live view: what the process that mirrors a study into MLflow while it runs costs a training job.

The job is a fine-tuning of five seeds, timed as a process, alone and beside that process, which has a hundred cells of
other jobs to write.
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

from benchmarks import _projects
from benchmarks.harness import Command, Json, Options, Target, compare, main
from benchmarks.sides import ROOT, Once

STUDY = "size_made.full"
FOLLOW = (
    "import sys; from counterpoise.planning import plan; from counterpoise.tracking import store; "
    f"sys.exit(store.follow(plan.read(), sys.argv[1], ['{STUDY}']))"
)
STARTED = 8.0  # seconds in which the process has imported MLflow and made its store, and writes


def alone(job: Command, out: Path) -> Callable[[], Once]:
    """Return the job, timed from nothing."""

    def call() -> Once:
        shutil.rmtree(out, ignore_errors=True)
        return job()

    return call


def beside(job: Command, out: Path, folder: Path) -> Callable[[], Once]:
    """Return the job, timed from nothing while the view is kept up to date by a process of its own."""

    def call() -> Once:
        shutil.rmtree(out, ignore_errors=True)
        (folder / "live.db").unlink(missing_ok=True)
        line = [sys.executable, "-c", FOLLOW, "sqlite:///live.db"]
        with subprocess.Popen(
            line, cwd=folder, stdin=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)}
        ) as live:
            time.sleep(STARTED)
            measured = job()
            if live.poll() is not None:
                raise SystemExit("the process that keeps the view up to date has ended before the job")
            live.communicate(b"end")
        return measured

    return call


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the cost to a job of the project."""
    name = "training beside the live view"
    if not options.wants(name):
        return
    from counterpoise.planning import plan

    with tempfile.TemporaryDirectory() as held:
        folder = _projects.write(Path(held) / "job", 100)  # so that the view is being written all the time
        _projects.filled(folder, steps=1000 if options.quick else 5000)
        made = plan.read(folder / plan.PLAN)
        cell = next(c for c in made.cells.values() if c.stage == "finetune")
        os.environ["PYTHONPATH"] = str(ROOT)
        job = Command((sys.executable, "-m", "counterpoise", "finetune", cell.name, "seeds-00-04"), folder)
        out = folder / cell.folder / "seeds-00-04"
        sides = {"tracked": beside(job, out, folder), "not tracked": alone(job, out)}
        yield compare(name, sides, options, target=Target("cpu_ratio", at_most=1.01), cost=True)


if __name__ == "__main__":
    main("benchmarks.live_view", "Live view", measure, __doc__.partition("\n\n")[2])
