"""`run`, and what Snakemake calls: one job, the reports, and what is left to do at the end of a run."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from counterpoise import stopping
from counterpoise.checking import preflight
from counterpoise.commands.text import counted, table
from counterpoise.errors import UserError
from counterpoise.jobs import status
from counterpoise.numerals import estimate
from counterpoise.planning import plan as planning
from counterpoise.planning import study
from counterpoise.publishing import dvc

FAILURES = 10  # jobs listed at the end of a run
INDEX = planning.RESULTS / "report" / "index.html"


def run(options: argparse.Namespace) -> int:
    """Check, run Snakemake, print the verdicts; 1 if a cell failed or Snakemake did."""
    plan = preflight.checked_plan(study.settings({"studies": options.studies, "scale": options.scale}))
    command = [sys.executable, "-m", "snakemake", "--cores", options.cores]
    chosen = [f"{key}={value}" for key in ("studies", "scale") if (value := getattr(options, key))]
    code = stopping.run_snakemake(command + (["--config", *chosen] if chosen else []))
    if code == stopping.STOPPED:
        return code  # what is done is kept, and there is nothing to sum up
    print_verdicts(plan)
    states = {job: status.state(job) for job in status.jobs(plan)}
    counts = Counter(state.status for state in states.values())
    print_summary(counts)
    print_failures(plan, states)
    return 1 if code or counts["failed"] or counts["skipped"] or counts["missing"] or counts["damaged"] else 0


def print_verdicts(plan: planning.Plan) -> None:
    """Print the verdict of every claim of every study."""
    from counterpoise.stages import report as pages

    rows: list[list[Any]] = []
    for name, about in plan.studies.items():
        page, document = pages.page_of(about), pages.document_of(about)
        if page is None or document is None:
            rows.append([name, "(nothing to report yet)", "", "", ""])
            continue
        told = document["claims"]
        incomplete = "" if page.parent.name == about["report"] else " (cells are missing)"
        rows += [[name, *_verdict(claim)] for claim in told] or [[name, f"(no claims){incomplete}", "", "", ""]]
        rows[-1][1] += incomplete if told else ""
    names = [row[0] for row in rows]
    shown = [["" if i and names[i - 1] == row[0] else row[0], *row[1:]] for i, row in enumerate(rows)]
    print("\n" + table(("study", "claim", "effect [interval]", "n", "verdict"), shown, wrap=1))


def _verdict(claim: dict[str, Any]) -> list[Any]:
    return [claim["text"], estimate(claim["effect"], claim["interval"]), claim["n"], claim["verdict"]]


def print_summary(counts: Counter[str]) -> None:
    """Print how much is done, what is not, and where to look."""
    print(f"\n{counts['done']:,} of {counted(counts.total(), 'job')} done", end="")
    for word in ("failed", "skipped", "missing", "running", "damaged"):
        print(f", {counts[word]:,} {word}" if counts[word] else "", end="")
    print()
    print(f"report: {INDEX.resolve().as_uri() if INDEX.exists() else '(none yet)'}")
    print("curves: `make ui` opens the MLflow view")


def print_failures(plan: planning.Plan, states: dict[status.Job, status.State]) -> None:
    """Print the jobs that failed, or ended without their files, and not those that only wait for them."""
    rows = []
    for job, held in states.items():
        tried = held.status == "missing" and all(Path(p).exists() for p in plan.inputs(job.cell.name, job.block))
        if tried or held.status in ("failed", "damaged"):
            rows.append([held.status, job.folder, held.reason])
    if rows:
        print("\n" + table(("state", "job", "reason"), rows[:FAILURES], wrap=2))
        print(f"and {len(rows) - FAILURES:,} more\n" if len(rows) > FAILURES else "", end="")
        print("`counterpoise why <job>` says more; `counterpoise retry` lets failed ones be tried again")


def job(options: argparse.Namespace) -> int:
    """Run one job in this process; a fault of the machine names the folder if it names no file."""
    from counterpoise.jobs import job as jobs

    try:
        return jobs.run(options.command, options.cell, options.block)
    except OSError as fault:
        if fault.filename is None:
            fault.filename = str(planning.RESULTS / options.command / options.cell / (options.block or ""))
        raise


def report(options: argparse.Namespace) -> int:
    """Build one report as a job, or all pages from whatever is there."""
    if options.cell:
        from counterpoise.jobs import job as jobs

        return jobs.run("report", options.cell, None)
    from counterpoise.stages import report as pages

    plan, code = planning.read(), 0
    for name, about in plan.studies.items():
        there = [Path(path).exists() for path in plan.inputs(about["report"], None)]
        if all(there):
            try:
                pages.run(plan, about["report"])
                continue
            except UserError as fault:
                print(f"error: {fault}", file=sys.stderr)
                code = 1
        if any(there):
            pages.partial(plan, name)
    pages.index(plan)
    print(f"report: {INDEX.resolve().as_uri()}")
    return code


def finish(options: argparse.Namespace) -> int:
    """Build the reports that no job could build, and the index."""
    plan = planning.read()
    unfinished = []
    for name in options.studies:
        if name not in plan.studies:
            raise UserError(f"no study '{name}' in {planning.RESULTS / 'plan.json'}")
        held = status.state(status.Job(plan.cells[plan.studies[name]["report"]], None))
        if held.status not in ("done", "running"):  # another run may be writing it
            unfinished.append(name)
    from counterpoise.stages import report as pages

    for name in unfinished:
        pages.partial(plan, name)
    pages.index(plan)
    dvc.write(plan)
    return 0


def publish(options: argparse.Namespace) -> int:
    """Write a study's results to `published/` and say where."""
    from counterpoise.publishing.publish import publish as write

    print(write(planning.read(), options.study, allow_dirty=options.allow_dirty))
    return 0
