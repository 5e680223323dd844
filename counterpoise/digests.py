"""Size and SHA-256 of the files of a job, kept in its `run.json`, and whether the files still have them.

Sizes are compared wherever a finished job is looked at, since that costs one call for each file; digests where a report
rests on a file, and by `check --results`, `restore` and `publish`. A `run.json` of an earlier version holds neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from counterpoise.readers import Damaged, read, read_run

Json = dict[str, Any]


def of(folder: Path) -> Json:
    """Return {name: {"bytes", "sha256"}} of the files in a folder, `run.json` and hidden ones left out."""
    paths = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "run.json" and p.name[0] != ".")
    return {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in paths}


def require_sizes(folder: Path, run: Json) -> None:
    """Raise `Damaged` for the first file that is missing or of another size than its job wrote."""
    for name, written in run.get("files", {}).items():
        path = folder / name
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            raise Damaged(path, "is missing") from None
        if found != written["bytes"]:
            raise Damaged(path, f"has {found:,} bytes, its job wrote {written['bytes']:,}")


def require(folder: Path, run: Json, names: Iterable[str]) -> None:
    """Raise `Damaged` for the first of these files that is not as its job wrote it, or (no digest) cannot be read."""
    for name in names:
        if fault := _fault(folder / name, run):
            raise fault


def faults(folder: Path) -> Iterator[Damaged]:
    """Yield what is wrong with a finished job, file by file, as far as its digests tell."""
    try:
        run = read_run(folder) if (folder / "run.json").exists() else {}  # a report of an earlier version has none
    except Damaged as fault:
        yield fault
        return
    for name in run.get("files", {}):
        if found := _fault(folder / name, run):
            yield found


def jobs_below(results: Path) -> list[Path]:
    """Return the folder of every finished job."""
    return sorted(path.parent for path in results.glob("*/*/**/run.json"))


def are_recorded(folder: Path) -> bool:
    """Return whether a job recorded digests; one of an earlier version did not."""
    try:
        return "files" in read_run(folder)
    except Damaged:
        return (folder / "run.json").exists()  # `faults` tells what is wrong with it


def _fault(path: Path, run: Json) -> Damaged | None:
    written = run.get("files", {}).get(path.name)
    try:
        if written is None:
            read(path)
        elif not path.exists():
            return Damaged(path, "is missing")
        elif _sha256(path) != written["sha256"]:
            return Damaged(path, "is not what its job wrote (another SHA-256)")
    except Damaged as fault:
        return fault
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
