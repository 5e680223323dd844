"""`retry` and `clean`: forget failures, remove what nothing needs."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from counterpoise import digests
from counterpoise.commands.show import everything, find
from counterpoise.commands.text import counted
from counterpoise.errors import UserError
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import study


def retry(options: argparse.Namespace) -> int:
    """Forget jobs that failed or whose files are damaged, and those that were skipped because of them."""
    plan = everything()
    named = {find(words, plan) for words in options.cells}
    held = {job: status.state(job) for job in status.jobs(plan)}
    for job in [job for job, state in held.items() if job.cell.name in named and state.status == "done"]:
        if not digests.are_recorded(job.folder) or any(digests.faults(job.folder)):
            held[job] = status.State("damaged", "")
    bad = {j for j, s in held.items() if s.status in ("failed", "damaged") and j.cell.name in (named or plan.cells)}
    for name in sorted(named - {job.cell.name for job in bad}):
        raise UserError(f"cell {name} has not failed and is not damaged; `counterpoise why {name}` says what it is")
    skipped = {j for j, s in held.items() if s.status == "skipped" and any(is_below(plan, j, f) for f in bad)}
    status.forget(plan, {job for job in bad | skipped if held[job].status != "damaged"})
    status.forget_damaged(job for job in bad if held[job].status == "damaged")
    for job in sorted(bad | skipped, key=lambda j: str(j.folder)):
        print(f"forgot {job.folder}: {held[job].status}")
    print(f"{counted(len(bad | skipped), 'job')} to be computed again by the next run")
    return 0


def is_below(plan: planning.Plan, job: status.Job, other: status.Job) -> bool:
    """Return whether a job needs another, directly or not."""
    parents = [plan.cells[name] for name in job.cell.parents.values()]
    if other.cell in parents:
        return other.block in (None, job.block)
    return any(is_below(plan, status.Job(parent, job.block), other) for parent in parents)


def clean(options: argparse.Namespace) -> int:
    """List the folders that no study at any scale needs, and remove them when told to."""
    if not study.available():
        raise UserError(
            f"{study.CONFIG / 'studies'}: no study file is here, so no result would be needed and nothing was removed; "
            "call this in the folder of the project"
        )
    needed = planning.make_all()
    folders = sorted(unneeded(needed))
    if not folders:
        print("nothing to remove: every result belongs to a study")
        return 0
    for folder in folders:
        print(f"{size(folder) / 1e6:9.1f} MB  {folder}")
    total = sum(map(size, folders)) / 1e6
    print(f"{total:9.1f} MB  in {counted(len(folders), 'folder')} that no study at any scale needs")
    if not options.yes:
        if not sys.stdin.isatty():
            print("nothing was removed: add --yes")
            return 0
        if input("remove them? [y/N] ").strip().lower() not in ("y", "yes"):
            return 0
    for folder in folders:
        shutil.rmtree(folder)
    forget(needed)
    print(f"removed {counted(len(folders), 'folder')}")
    return 0


def unneeded(needed: planning.Plan) -> list[Path]:
    """Return the folders of cells, and of blocks of cells, that a plan does not hold; those at work are left."""
    wanted = {job.folder for job in status.jobs(needed)}
    cells = {cell.folder for cell in needed.cells.values()}
    cells |= {planning.RESULTS / "report" / f"{name}-partial" for name in needed.studies}
    found = []
    for stage in planning.STAGES:
        for cell in (p for p in (planning.RESULTS / stage).glob("*-*") if p.is_dir()):
            blocks = [p for p in cell.glob("seeds-*") if p.is_dir()]
            if any(status.is_running(p) for p in (cell, *blocks)):
                continue
            found += [cell] if cell not in cells else [block for block in blocks if block not in wanted]
    return found


def forget(needed: planning.Plan) -> None:
    """Reduce `results/plan.json` to what is needed."""
    if planning.PLAN.exists():
        planning.PLAN.unlink()
        needed.write(planning.PLAN)


def size(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
