"""`show` and `why`: what a cell is, where its files are, and whether it will run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from counterpoise.commands.plan import stages as stage_table
from counterpoise.commands.text import counted, duration, table
from counterpoise.errors import UserError, closest
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import schema, study
from counterpoise.readers import Damaged

SHOWN = 10  # matches listed when a name is ambiguous


def show(options: argparse.Namespace) -> int:
    """Show a cell or a study."""
    if wanted := studies(options.target):
        print("\n\n".join(study_text(planning.make(*one), ".".join(one)) for one in wanted))
        return 0
    plan = everything()
    print(cell_text(plan, plan.cells[find(options.target, plan)]))
    return 0


def studies(words: str) -> list[tuple[str, str]]:
    """Return the studies, with their scales, that a name or key means, with or without a scale; none for a cell."""
    name, _, scale = words.partition(".")
    found = [known for known in study.available() if name in (known, known.partition("_")[0])]
    return [(known, one) for known in found for one in ([scale] if scale else study.scales(known))]


def why(options: argparse.Namespace) -> int:
    """Say why a cell will or will not run."""
    plan = everything()
    cell = plan.cells[find(options.cell, plan)]
    print(f"{cell.stage} {cell.name}")
    studies = [name for name, about in plan.studies.items() if cell.name in status.cells_of(about)]
    print("needed by: " + (", ".join(studies) or "no study file (`counterpoise clean` would remove it)"))
    for job in status.jobs_of(cell):
        print(f"{job.block or 'whole'}: {reason(plan, job)}")
    return 0


def everything() -> planning.Plan:
    """Return every cell that a study file needs or that was ever planned here."""
    needed = planning.make_all()
    try:
        held = planning.read() if planning.PLAN.exists() else planning.Plan()
    except Damaged as fault:
        print(f"note: {fault}; what no study file needs is left out", file=sys.stderr)
        return needed
    for name, cell in held.cells.items():
        mine = needed.cells.setdefault(name, cell)
        mine.blocks += [b for b in cell.blocks if b not in mine.blocks]
    return needed


def find(words: str, plan: planning.Plan) -> str:
    """Return the one cell that is meant by a name, a folder, the beginning of a name or a part of a hash."""
    parts = Path(words).parts
    name = parts[2] if parts[:1] == ("results",) and len(parts) > 2 else words.strip("/")
    found = [name] if name in plan.cells else [n for n in plan.cells if n.startswith(name)]
    found = found or [n for n in plan.cells if name in n.rpartition("-")[2]]
    if len(found) == 1:
        return found[0]
    if found:
        print(candidates(found, plan))
        raise UserError(
            f"'{words}' is the beginning of {counted(len(found), 'cell')}; give more of the name or "
            "the hash at its end, or look it up with `counterpoise show <study>.<scale>`"
        )
    close = closest(name, plan.cells)
    raise UserError(f"no cell '{words}' in any study{close}; `counterpoise show <study>` lists the cells of a study")


def candidates(found: list[str], plan: planning.Plan) -> str:
    """Return a table of the cells that a name may mean: one by one if they are few, else how many of each study."""
    default = default_names(study.settings())
    cells: dict[str, list[str]] = {}
    for name in sorted(plan.studies, key=lambda name: (name not in default, name)):
        if mine := sorted(status.cells_of(plan.studies[name]) & set(found)):
            cells[name] = mine
    if len(found) <= SHOWN:
        first = {cell: name for name in reversed(cells) for cell in cells[name]}
        rows = [[first.get(cell, "(no study)"), plan.cells[cell].stage, cell] for cell in sorted(found)]
        return table(("study", "stage", "cell"), rows)
    counts = [[name, str(len(mine)), mine[0]] for name, mine in cells.items()]
    more = f"\nin all {len(counts)} studies" if counts[SHOWN:] else ""
    return table(("study", "cells", "the first"), counts[:SHOWN]) + more


def needed_by(plan: planning.Plan, job: status.Job) -> list[str]:
    """Return the studies, with their scale, that a job is for."""
    return [name for name, about in plan.studies.items() if job in status.jobs_of_study(plan, about)]


def reason(plan: planning.Plan, job: status.Job) -> str:
    """Return what has become of a job, or what it waits for, and what to do about it."""
    held = status.state(job)
    if held.status == "done":
        return "done; it will not run again"
    if held.status == "failed":
        return f"failed: {held.reason}; it will not be tried again unless you `counterpoise retry {job.cell.name}`"
    if held.status == "skipped":
        return f"skipped, because of {held.reason}; retry that one"
    if held.status == "damaged":
        return f"damaged, so the next run computes it again: {held.reason}"
    if held.status == "running":
        return held.reason
    lacking = [p for p in plan.inputs(job.cell.name, job.block) if not Path(p).exists()]
    waits = f"; first {lacking[0].removesuffix('/run.json')}" if lacking else ""
    waits += f" and {counted(len(lacking) - 1, 'other')}" if len(lacking) > 1 else ""
    studies = needed_by(plan, job)
    if not studies:
        return f"{held.reason}; it will not run: no study needs it"
    default = study.settings()
    if not any(name in default_names(default) for name in studies):
        name, _, scale = studies[0].rpartition(".")
        return f"{held.reason}; it will run{waits} in: snakemake --config studies={name} scale={scale}"
    log = planning.RESULTS / "logs" / job.cell.name / f"{job.block}.log"
    log = log if job.block else log.parent.with_suffix(".log")
    tried = f"; an earlier attempt left {log}" if log.exists() and log.stat().st_size else ""
    return f"{held.reason}; the next run computes it{waits}{tried}"


def default_names(settings: schema.Settings) -> list[str]:
    """Return the studies, with their scale, of a plain `snakemake`."""
    return [f"{name}.{settings.scale}" for name in study.select_at(settings.studies, settings.scale)]


def cell_text(plan: planning.Plan, cell: planning.Cell) -> str:
    """Return everything about a cell."""
    lines = [f"{cell.stage} {cell.name}", f"files:      {cell.folder}/"]
    lines += [f"{role + ':':<12}{parent}" for role, parent in cell.parents.items()] if cell.stage != "report" else []
    lines += [f"needed by:  {name}" for name, about in plan.studies.items() if cell.name in status.cells_of(about)]
    if cell.stage != "report":
        lines.append("config:     " + "\n            ".join(json.dumps(cell.config, indent=2).splitlines()))
    rows = []
    for job in status.jobs_of(cell):
        held = status.state(job)
        rows.append([job.block or "whole", held.status, *_measured(held.run), held.reason or _execution(held.run)])
    return "\n".join(lines) + "\n\n" + table(("block", "state", "time", "memory", "steps", "commit", ""), rows, wrap=6)


def _measured(run: dict[str, Any] | None) -> list[str]:
    if run is None:
        return ["", "", "", ""]
    commit = (run["commit"] or "")[:7] + ("+" if run["dirty"] else "")
    return [duration(run["wall_seconds"]), f"{run['peak_memory_mb']:.0f} MB", str(run.get("steps", "")), commit]


def _execution(run: dict[str, Any] | None) -> str:
    """Return why a job whose configuration says stacked took its seeds one after the other, if it did."""
    reason = (run or {}).get("execution_reason", "")
    return f"seeds in a loop, not stacked: {reason}" if reason else ""


def study_text(plan: planning.Plan, name: str) -> str:
    """Return everything about a study at one scale."""
    about = plan.studies[name]
    seeds = about["seeds"]
    lines = [
        f"{name}: {about['title']}",
        f"source:  {about['source']['paper']} {about['source']['url']}".rstrip(),
        f"file:    config/studies/{about['name']}.yaml, base {about['base']}",
        f"seeds:   {seeds[0]} to {seeds[-1]}, in blocks of {about['block']}",
        f"report:  results/report/{about['report']}/index.html",
        *([f"note:    {about['note']}"] if about["note"] else []),
    ]
    rows = [[e["case"], e["point"], e["finetune"], e["evaluate"].rpartition("-")[2]] for e in about["entries"]]
    states = {job: status.state(job) for job in status.jobs_of_study(plan, about)}
    cells = table(("case", "point", "finetune", "evaluate"), rows)
    return "\n".join(lines) + f"\n\n{cells}\n\n{stage_table(states)}"
