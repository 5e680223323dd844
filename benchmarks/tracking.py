"""Tracking: how long the whole MLflow view of a store of runs takes to write, and to search.

The store is the default one (SQLite); it is written from files by `track.rebuild`, one run for each seed of each case
at each point and one for each case and point. The search is what MLflow's page asks for: the newest 100 runs of an
experiment, with their metrics.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Fresh, Json, Options, compare, main


def mirror(folder: str) -> Callable[[], Any]:
    """Return the writing of the whole view into a new store."""
    from counterpoise.planning import plan
    from counterpoise.tracking import store

    os.chdir(folder)
    made = plan.read()
    Path("mlflow.db").unlink(missing_ok=True)
    return lambda: store.rebuild(made, "sqlite:///mlflow.db")


def again(folder: str) -> Callable[[], Any]:
    """Return the writing of a view that lacks nothing."""
    from counterpoise.planning import plan
    from counterpoise.tracking import store

    os.chdir(folder)
    made = plan.read()
    return lambda: store.rebuild(made, "sqlite:///mlflow.db")


def search(folder: str) -> Callable[[], Any]:
    """Return what MLflow's page asks its store for."""
    os.chdir(folder)
    from mlflow import MlflowClient

    client = MlflowClient("sqlite:///mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return lambda: client.search_runs(experiments, max_results=100)


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the writing of the store, a look at it that finds nothing new, and the search."""
    runs = 100 if options.quick else 10_000
    name, work = f"{runs:,} runs", (runs, "runs")
    if not options.wants(name):
        return
    with tempfile.TemporaryDirectory() as held:
        points = runs // 25  # five cases, five seeds
        folder = _projects.write(Path(held) / "store", points * _projects.CELLS_OF_POINT)
        _projects.filled(folder)
        # Writing a store costs minutes, and so does looking through it.
        for title, function, rounds in (
            ("store of", "mirror", 1),
            ("nothing new in", "again", 1),
            ("search in", "search", options.repeats),
        ):
            side = Fresh(f"benchmarks.tracking:{function}", (str(folder),))
            yield compare(f"{title} {name}", {"ours": side}, replace(options, repeats=rounds), work=work, warm=False)


if __name__ == "__main__":
    main("benchmarks.tracking", "Tracking", measure, __doc__.partition("\n\n")[2])
