"""`plan`: what there is to compute, how much of it is there, and about how long the rest takes."""

from __future__ import annotations

import argparse
import statistics
from collections import Counter, defaultdict
from pathlib import Path

from counterpoise.commands.text import counted, duration, table
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import study
from counterpoise.readers import Damaged, read_run

STAGES = planning.STAGES


def plan(options: argparse.Namespace) -> int:
    """Print the plan of the chosen studies."""
    settings = study.settings({"studies": options.studies, "scale": options.scale})
    chosen = planning.make(settings.studies, settings.scale)
    states = {job: status.state(job) for job in status.jobs(chosen)}
    rows = []
    for about in chosen.studies.values():
        cases, points = len(about["cases"]), len({entry["point"] for entry in about["entries"]})
        mine = [states[job] for job in status.jobs_of_study(chosen, about)]
        done = sum(state.status == "done" for state in mine)
        rows.append([about["name"], about["scale"], cases, points, len(about["seeds"]), f"{done:,} of {len(mine):,}"])
    print(table(("study", "scale", "cases", "points", "seeds", "jobs done"), rows))
    print("\n" + stages(states))
    for state in states.values():
        if state.status == "damaged":
            print(f"damaged, so the next run computes it again: {state.reason}")
    return 0


def stages(states: dict[status.Job, status.State]) -> str:
    """Return a table of jobs by stage and state, with the time that the missing ones may take."""
    times = earlier_times()
    rows, total, unknown = [], 0.0, 0
    for stage in STAGES:
        mine = {job: state for job, state in states.items() if job.cell.stage == stage}
        if not mine:
            continue
        counts = Counter(state.status for state in mine.values())
        left = [job for job, state in mine.items() if state.status in ("missing", "running", "damaged")]
        known = [t for job in left if (t := expected(job, times)) is not None]
        unknown, total = unknown + len(left) - len(known), total + sum(known)
        estimate = "" if not left else f"about {duration(sum(known))}" if len(known) == len(left) else "unknown"
        row = [stage, len({job.cell.name for job in mine}), len(mine), counts["done"]]
        rows.append([*row, counts["failed"] + counts["skipped"], len(left), estimate])
    text = table(("stage", "cells", "jobs", "done", "failed", "to do", "time on one core"), rows)
    if total:
        text += f"\n\nto do: about {duration(total)} on one core"
        text += f", and {counted(unknown, 'job')} of which no earlier run says how long" if unknown else ""
    return text


Times = dict[tuple[str, ...], list[float]]


def earlier_times() -> Times:
    """Return the seconds of every finished job here, by kind of job and more roughly by stage."""
    times: Times = defaultdict(list)
    for path in planning.RESULTS.glob("*/*/**/run.json"):
        try:
            run = read_run(path.parent)
        except Damaged:  # its job is listed
            continue
        if run["status"] == "done":
            stage, cell = Path(path).relative_to(planning.RESULTS).parts[:2]
            for key in ((stage, cell), (stage, kind(cell))):
                times[key].append(run["wall_seconds"])
    return times


def expected(job: status.Job, times: Times) -> float | None:
    """Return the usual seconds of a job: of its cell's other blocks, else of cells of the same name."""
    for key in ((job.cell.stage, job.cell.name), (job.cell.stage, kind(job.cell.name))):
        if key in times:
            return statistics.median(times[key])
    return None


def kind(cell: str) -> str:
    """Return the readable part of a cell's name, which other cells of the same methods share."""
    return cell.rpartition("-")[0]
