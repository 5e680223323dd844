"""Planning: from a study file to cells, and to Snakemake's list of jobs.

The planner alone is `plan.make` in a fresh process that has imported torch. `snakemake -n` stands beside a Snakefile of
as many independent trivial jobs, both from the start of the process to its end: with one file a job, and with the
three files, the log and the input function that an evaluation has. It reads the plan that the call before has kept;
"anew" has to plan and check first, as after every change of configuration or code. Cells are of one block each, so they
are jobs. Floor: importing Snakemake, and its own work for so many jobs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Command, Fresh, Json, Options, Target, compare, main

FILES = 3  # of an evaluation


def planner(folder: str) -> Callable[[], Any]:
    """Return the planning of a project."""
    import torch  # a second by itself, whatever the number of cells

    from counterpoise.planning import plan

    assert torch
    return lambda: plan.make("size_made", "full", Path(folder) / "config")


def writer(folder: str) -> Callable[[], Any]:
    """Return the writing of a project's plan, for jobs to read."""
    os.chdir(folder)
    made = planner(folder)()
    return lambda: made.write(Path("results/plan.json"))


def reader(folder: str) -> Callable[[], Any]:
    """Return the reading of the plan, as every job does when it starts."""
    from counterpoise.planning import plan

    return lambda: plan.read(Path(folder) / "results/plan.json")


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the rows of every number of cells."""
    with tempfile.TemporaryDirectory() as held:
        for cells in (100, 1000) if options.quick else (100, 1000, 10_000):
            yield from _of_size(cells, Path(held), options)


def _of_size(cells: int, held: Path, options: Options) -> Iterator[Json | None]:
    project = _projects.write(held / f"project{cells}", cells)
    trivial, alike = (_projects.bare(held / f"bare{cells}-{files}", cells, files) for files in (1, FILES))
    name, work = f"{cells:,} cells", (cells, "cells")
    for title, function, seconds in (
        ("planner", "planner", 2),
        ("plan written", "writer", None),
        ("plan read", "reader", None),
    ):
        side = Fresh(f"benchmarks.planning:{function}", (str(project),))
        target = Target("cpu", at_most=seconds) if seconds and cells == 10_000 else None
        yield compare(f"{title}, {name}", {"ours": side}, options, target=target, work=work, warm=False)
    bare = ("-n", "--cores", "1", "--scheduler", "greedy")
    sides = {
        "ours": _projects.snakemake(project, "-n"),
        "bare Snakefile": _projects.snakemake(trivial, *bare),
        "bare Snakefile, files alike": _projects.snakemake(alike, *bare),
    }
    target = Target("cpu_ratio", at_most=1.3)
    yield compare(f"snakemake -n, {name}", sides, options, target=target, work=work, cost=True)
    if options.wants("anew"):
        anew = Command(("bash", "-c", "rm -rf results && exec " + " ".join(sides["ours"].line)), project)
        yield compare(
            f"snakemake -n anew, {name}", {"ours": anew, "bare Snakefile": sides["bare Snakefile"]}, options, cost=True
        )
    if cells == 1000 and options.wants("finished"):
        _projects.finished(project)
        sides = {"ours": _projects.snakemake(project, "--cores", "1")}
        yield compare(f"nothing to do, finished {name}", sides, options, target=Target("cpu", at_most=10))


if __name__ == "__main__":
    main("benchmarks.planning", "Planning", measure, __doc__.partition("\n\n")[2])
