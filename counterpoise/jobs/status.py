"""What has become of every job of a plan, read from the files that jobs leave."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from counterpoise import digests
from counterpoise.planning import plan as planning
from counterpoise.readers import Damaged, read_json, read_run

OUTPUTS = {  # the outputs that the rules of Snakemake declare; a job is done when all of them exist
    "preprocess": ("train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", "meta.json", "run.json"),
    "sample": ("split.parquet", "statistics.json", "run.json"),
    "pretrain": ("model.safetensors", "history.jsonl", "run.json"),
    "finetune": ("model.safetensors", "predictions.parquet", "history.jsonl", "run.json"),
    "evaluate": ("metrics.parquet", "confusion.parquet", "run.json"),
    "report": ("index.html", "claims.json", "table.parquet"),
}


@dataclass(frozen=True)
class Job:
    """One block of seeds of a cell; `block` is None where a stage has no seeds."""

    cell: planning.Cell
    block: str | None

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.cell.folder / self.block if self.block else self.cell.folder


@dataclass(frozen=True)
class State:
    """`status` is done, failed, skipped, running, missing or damaged."""

    status: str
    reason: str = ""
    run: dict[str, Any] | None = None


def jobs(plan: planning.Plan) -> Iterator[Job]:
    """Return every job of a plan, in the order of its cells."""
    for cell in plan.cells.values():
        yield from jobs_of(cell)


def jobs_of(cell: planning.Cell) -> Iterator[Job]:
    """Return the jobs of one cell: one for each block, or one where the stage has no seeds."""
    if cell.stage in planning.WHOLE:
        yield Job(cell, None)
    else:
        for block in cell.blocks:
            yield Job(cell, planning.block_name(block))


def cells_of(about: dict[str, Any]) -> set[str]:
    """Return the names of all cells that a study needs; `about` is as the plan holds it."""
    stages = planning.STAGES[:-1]
    return {entry[stage] for entry in about["entries"] for stage in stages if entry[stage]} | {about["report"]}


def jobs_of_study(plan: planning.Plan, about: dict[str, Any]) -> list[Job]:
    """Return the jobs that a study needs: another may need more seeds of the same cell."""
    blocks = {None, *map(planning.block_name, about["blocks"])}
    return [job for name in cells_of(about) for job in jobs_of(plan.cells[name]) if job.block in blocks]


def state(job: Job) -> State:
    """Return what has become of a job."""
    missing = [name for name in OUTPUTS[job.cell.stage] if not (job.folder / name).exists()]
    if missing:
        if is_running(job.folder):
            return State("running", "is being computed now")
        begun = " (a checkpoint is there: it will go on from it)" if any(_checkpoints(job.folder)) else ""
        return State(
            "missing",
            ("no output yet" if len(missing) == len(OUTPUTS[job.cell.stage]) else f"lacks {', '.join(missing)}")
            + begun,
        )
    try:
        if job.cell.stage == "report":
            read_json(job.folder / "claims.json")
            if not (job.folder / "run.json").exists():
                return State("done")  # of an earlier version
        run = read_run(job.folder)
        digests.require_sizes(job.folder, run)
    except Damaged as fault:
        return State("running", "is being computed now") if is_running(job.folder) else State("damaged", fault.what)
    return State(run["status"], run["error"] or "", run)


def forget(plan: planning.Plan, jobs: Iterable[Job]) -> None:
    """Remove the record of each job, so that the next run computes it, and the pages of the studies that it is for."""
    cells = set()
    for job in jobs:
        (job.folder / "run.json").unlink(missing_ok=True)
        cells.add(job.cell.name)
    for about in plan.studies.values():
        if cells.intersection([about["report"], *plan.cells[about["report"]].parents.values()]):
            for name in ("index.html", "claims.json", "run.json"):
                (planning.RESULTS / "report" / about["report"] / name).unlink(missing_ok=True)


def forget_damaged(jobs: Iterable[Job]) -> None:
    """Remove one output of each job, not its record: Snakemake then runs the job, but none of those that follow."""
    for job in jobs:
        (job.folder / OUTPUTS[job.cell.stage][0]).unlink(missing_ok=True)


def holes(plan: planning.Plan, *, dry: bool) -> list[str]:
    """Forget damaged jobs, and return the outputs that are gone though the record of their job is there.

    Of itself Snakemake makes a file again only for a job that is to run. A dry run says what is damaged and leaves it.
    """
    found: list[str] = []
    for job in jobs(plan):
        held = state(job)
        if held.status == "damaged":
            print(f"damaged, so {'to be ' if dry else ''}computed again: {held.reason}", file=sys.stderr)
            if not dry:
                forget_damaged([job])
        if job.cell.stage != "report" and held.status in ("damaged", "missing") and (job.folder / "run.json").exists():
            paths = (job.folder / name for name in OUTPUTS[job.cell.stage])
            found += [str(path) for path in paths if not path.exists()]
    return found


def is_running(folder: Path) -> bool:
    """Return whether a process holds the lock of a job."""
    path = folder / ".lock"
    if not path.exists():
        return False
    with path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _checkpoints(folder: Path) -> Iterator[Path]:
    yield from (folder / "partial").glob("*.safetensors")
