"""`check`: every fault of the configuration, before any job starts."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from counterpoise import digests, registry
from counterpoise.checking import preflight
from counterpoise.commands.text import counted
from counterpoise.data import files as data
from counterpoise.errors import UserError
from counterpoise.planning import plan as planning
from counterpoise.planning import study

ROOM = 2  # GB of free disk below which a warning is due


def check(options: argparse.Namespace) -> int:
    """Check studies, then what is around them; print one line for each fault, and return 2 if there was one."""
    if options.results:
        return check_results()
    settings = study.settings()
    default = study.select_at(settings.studies, settings.scale)
    print(f"OK    config/config.yaml: {', '.join(default)} at scale {settings.scale}")
    faults = 0
    datasets: dict[str, data.Files] = {}

    def found(fault: UserError) -> None:
        nonlocal faults
        faults += 1
        sys.stdout.flush()
        print(f"error: {fault}", file=sys.stderr)

    wanted = options.studies or "all"
    for name in study.select_at(wanted, options.scale) if options.scale else study.select(wanted):
        try:
            own = [options.scale] if options.scale else study.scales(name)
        except UserError as fault:
            found(fault)
            continue
        for scale in dict.fromkeys([*own, settings.scale] if name in default and not options.scale else own):
            try:
                datasets |= check_study(name, scale)
            except UserError as fault:
                found(fault)
    for name, files in sorted(datasets.items()):
        check_files(name, files)
    check_disk()
    check_store(settings.tracking)
    return 2 if faults else 0


def check_study(name: str, scale: str) -> dict[str, data.Files]:
    """Check a study at one scale and return the folders of its data sets, each with its files."""
    plan = planning.make(name, scale)
    about = plan.studies[f"{name}.{scale}"]
    preflight.check_study(about)
    counts = [
        counted(len(about["cases"]), "case"),
        counted(len(about["entries"]), "recipe"),
        counted(len(about["claims"]), "claim"),
        counted(len(plan.cells), "cell"),
    ]
    print(f"OK    {name}.{scale}: {', '.join(counts)}")
    specs = [entry["recipe"]["data"] for entry in about["entries"]]
    published = [spec for spec in specs if "path" not in spec]  # a user's own file was checked with the study
    datasets = {spec["name"]: registry.method("datasets", spec["name"]) for spec in published}
    return {getattr(dataset, "folder", name): dataset.files for name, dataset in datasets.items()}


def check_files(dataset: str, files: data.Files) -> None:
    """Say which files of a data set are not there yet; that is no fault, since they can be downloaded."""
    missing = [name for name in files if not data.at_hand(dataset, files, name)]
    if missing:
        print(f"note  data set {dataset}: {', '.join(missing)} will be downloaded (or put in {data.raw_folder()})")
    else:
        found = f"{counted(len(files), 'file')} found" if files else "comes in a package"
        print(f"OK    data set {dataset}: {found}")


def check_results() -> int:
    """Print one line for each file that is not as its job wrote it, and return 2 if there is one."""

    folders = digests.jobs_below(planning.RESULTS)
    damaged = unrecorded = 0
    for done, folder in enumerate(folders, 1):
        if sys.stderr.isatty():
            print(f"\r{done:,} of {counted(len(folders), 'job')} ", end="", file=sys.stderr, flush=True)
        unrecorded += not digests.are_recorded(folder)
        for fault in digests.faults(folder):
            damaged += 1
            print(f"error: {fault}", file=sys.stderr)
    earlier = f"; {counted(unrecorded, 'job')} of an earlier version recorded no digests" if unrecorded else ""
    compared = f"files of {counted(len(folders) - unrecorded, 'job')} compared, {damaged:,} not as they were written"
    print(f"{'note ' if damaged else 'OK   '} results: {compared}{earlier}")
    return 2 if damaged else 0


def check_disk() -> None:
    """Warn when there is little room; raise UserError where results cannot be written at all."""
    folder = planning.RESULTS if planning.RESULTS.exists() else Path()
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder.resolve()}: cannot be written, and results are to go there")
    free = shutil.disk_usage(folder).free / 1e9
    print(f"{'OK   ' if free >= ROOM else 'note '} disk: {free:.1f} GB free")


def check_store(tracking: str) -> None:
    """Raise UserError if the tracking store is a file that cannot be written."""
    if not tracking:
        print("OK    tracking: none")
        return
    if tracking.startswith("sqlite:///"):
        path = Path(tracking.removeprefix("sqlite:///"))
        target = path if path.exists() else path.parent
        if not target.exists() or not os.access(target, os.W_OK):
            raise UserError(f"config/config.yaml, tracking: {tracking}: {target.resolve()} cannot be written")
    print(f"OK    tracking: {tracking}")
