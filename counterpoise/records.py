"""What a job leaves on disk: atomic writes, the lock of a cell, and `run.json`.

Every file is written under a temporary name and renamed, so that a reader never sees half of one. A job
holds the lock of its cell while it runs and dies with the process that started it, so that no orphan
writes beside a second run.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from counterpoise import digests
from counterpoise.errors import ImpossibleCell, SkippedCell, UserError
from counterpoise.readers import read_json as read_json
from counterpoise.readers import read_run

if TYPE_CHECKING:
    import numpy as np

Json = dict[str, Any]
PARTIAL = "partial"  # the folder of a job's unfinished work


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Call `save` on a temporary name beside `path`, then rename: the file is whole or it is not there.

    Raises OSError that names `path` if it cannot be written (a full disk, a folder that is read-only).
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(temporary)
        temporary.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write(path, lambda p: p.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Any, indent: int | None = 1) -> None:
    """Write JSON atomically; NaN is refused because readers of other languages would choke on it."""
    write_text(path, json.dumps(value, indent=indent, allow_nan=False) + "\n")


def require_writable(folder: Path) -> None:
    """Raise OSError that names the folder, or a file in it, where no file can be written."""
    probe = folder / ".writable"
    write(probe, Path.touch)
    probe.unlink()


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a NumPy array atomically."""
    import numpy as np

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:  # by `write` alone: np.save's own way into files hides why one failed
            np.save(SimpleNamespace(write=file.write), array, allow_pickle=False)

    write(path, save)


def digest(value: Any) -> str:
    """Return 12 hexadecimal digits that identify a JSON value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; a second process waits for the first to end or die.

    Only its holder writes to the folder, so the temporary files found there are those of a process that was killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another process is computing {folder}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        for stale in folder.glob(".*.tmp"):
            stale.unlink()
        yield


@contextmanager
def job(out: Path, spec: Json, outputs: dict[str, Callable[[Path], None]]) -> Iterator[Json]:
    """Run one job in `out`: hold its lock, write `spec.json` first and `run.json` last, then remove `partial/`.

    The body fills the dictionary it is given (diverged, steps, images ...). `ImpossibleCell` is a result:
    `outputs` then says how to write each declared file empty, and `run.json` says why. Any other exception
    passes, so that the scheduler tries again.
    """
    with lock(out):
        write_json(out / "spec.json", spec)
        started, wall, cpu = datetime.datetime.now(datetime.UTC), time.perf_counter(), time.process_time()
        run: Json = {"status": "done", "error": None, "diverged": {}, "device": "cpu"}
        try:
            yield run
        except ImpossibleCell as reason:
            run |= {
                "status": "skipped" if isinstance(reason, SkippedCell) else "failed",
                "error": str(reason),
            }
            for name, save_empty in outputs.items():
                write(out / name, save_empty)
        run |= {
            "seeds": spec.get("seeds", []),
            "started": started.isoformat(timespec="seconds"),
            "wall_seconds": round(time.perf_counter() - wall, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "data_hash": spec.get("data_hash"),
            **environment(),
            "files": digests.of(out),
        }
        write_json(out / "run.json", run)
        shutil.rmtree(out / PARTIAL, ignore_errors=True)


def require_parents(folders: list[Path]) -> None:
    """Skip this job, with the reason, if a parent is itself a failure; tidy up after one killed after its last word.

    Raises Damaged if the record of a parent cannot be read or a file of its has not the size that it was written with.
    """
    for folder in folders:
        if not (folder / "run.json").exists():
            raise UserError(f"{folder}: not computed yet; `snakemake` computes it before this")
        run = read_run(folder)
        if run["status"] != "done":
            raise SkippedCell(f"{folder} {run['status']}: {run['error']}")
        digests.require_sizes(folder, run)
        shutil.rmtree(folder / PARTIAL, ignore_errors=True)


@cache
def environment() -> Json:
    """Return the provenance that is the same for every job of this process."""
    root = Path(__file__).resolve().parents[1]
    lock_file = root / "requirements.lock"
    packages = ("numpy", "pandas", "pyarrow", "scikit-learn", "snakemake", "torch", "torchmetrics")
    return {
        "versions": {"python": platform.python_version(), **{p: _version(p) for p in packages}},
        "commit": _git(root, "rev-parse", "HEAD"),
        # What has been published is no code: taking a page away while jobs run changes none of their numbers.
        "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!published")),
        "lock_hash": hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12] if lock_file.exists() else None,
        "host": platform.node(),
        "cpu": _cpu(),
        "threads": 1,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None  # the environment of another phase


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # an installed package or an unpacked archive has no history
    return done.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), platform.processor())
