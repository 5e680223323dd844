"""Planning: from a study file to cells, and to Snakemake's list of jobs.

The planner alone is `plan.make` in a fresh process, after its imports; `snakemake -n` stands beside a Snakefile of as
many independent trivial jobs, both from the start of the process to its end. Cells are of one block each, so they are
jobs. Floor of the second: importing Snakemake, and its own work for so many jobs.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Fresh, Json, Options, Target, compare, main


def planner(folder: str) -> Callable[[], Any]:
    """Return the planning of a project."""
    from counterpoise import plan, registry

    registry.names("samplers")
    return lambda: plan.make("size_made", "full", Path(folder) / "config")


def writer(folder: str) -> Callable[[], Any]:
    """Return the writing of a project's plan, for jobs to read."""
    os.chdir(folder)
    made = planner(folder)()
    return lambda: made.write(Path("results/plan.json"))


def reader(folder: str) -> Callable[[], Any]:
    """Return the reading of the plan, as every job does when it starts."""
    from counterpoise import plan

    return lambda: plan.read(Path(folder) / "results/plan.json")


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the rows of every number of cells."""
    with tempfile.TemporaryDirectory() as held:
        for cells in (100, 1000) if options.quick else (100, 1000, 10_000):
            yield from _of_size(cells, Path(held), options)


def _of_size(cells: int, held: Path, options: Options) -> Iterator[Json | None]:
    project = _projects.write(held / f"project{cells}", cells)
    trivial = _projects.bare(held / f"bare{cells}", cells)
    name, work = f"{cells:,} cells", (cells, "cells")
    for title, function, seconds in (
        ("planner", "planner", 2),
        ("plan written", "writer", None),
        ("plan read", "reader", None),
    ):
        side = Fresh(f"benchmarks.planning:{function}", (str(project),))
        target = Target("cpu", at_most=seconds) if seconds and cells == 10_000 else None
        yield compare(f"{title}, {name}", {"ours": side}, options, target=target, work=work, warm=False)
    sides = {
        "ours": _projects.snakemake(project, "-n"),
        "bare Snakefile": _projects.snakemake(trivial, "-n", "--cores", "1", "--scheduler", "greedy"),
    }
    yield compare(
        f"snakemake -n, {name}", sides, options, target=Target("cpu_ratio", at_most=1.3), work=work, cost=True
    )
    if cells == 1000 and options.wants("finished"):
        _projects.finished(project)
        sides = {"ours": _projects.snakemake(project, "--cores", "1")}
        yield compare(f"nothing to do, finished {name}", sides, options, target=Target("cpu", at_most=10))


if __name__ == "__main__":
    main("benchmarks.planning", "Planning", measure, __doc__.partition("\n\n")[2])
