"""What is timed: a function here, a function in a process of its own, or a whole command."""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>
ROOT = Path(__file__).resolve().parents[1]
Side = Callable[[], Any]


@dataclass(frozen=True)
class Once:
    """What one call cost: seconds of wall and CPU, and the bytes by which it raised the peak of memory."""

    wall: float
    cpu: float
    peak: int | None = None


@dataclass(frozen=True)
class Fresh:
    """`module:function` called with `arguments` in a new process; what it returns is called and timed there."""

    function: str
    arguments: tuple[Any, ...] = ()

    def __call__(self) -> Once:
        """Run it once."""
        command = [sys.executable, "-m", "benchmarks.sides", self.function, json.dumps(self.arguments)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
        return Once(**json.loads(done.stdout.splitlines()[-1]))


@dataclass(frozen=True)
class Command:
    """A command line, timed as a whole; its CPU time is that of every process that it leaves behind, too."""

    line: tuple[str, ...]
    cwd: Path = ROOT

    def __call__(self) -> Once:
        """Run it once; what it prints goes to the error stream if it fails."""
        _adopt_orphans()
        others = set(psutil.Process().children())
        began = time.perf_counter()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(self.line, cwd=self.cwd, stdout=output, stderr=subprocess.STDOUT)
            _, status, used = os.wait4(process.pid, 0)
            wall, all_used = time.perf_counter() - began, [used]
            process.returncode = os.waitstatus_to_exitcode(status)
            while left := set(psutil.Process().children()) - others:
                all_used += [os.wait4(orphan.pid, 0)[2] for orphan in left]
            if process.returncode:
                output.seek(0)
                sys.stderr.write(output.read().decode(errors="replace"))
                raise SystemExit(f"{' '.join(self.line)}: exit code {process.returncode}")
        # A new process inherits the peak of the one that started it, so a smaller figure says nothing.
        own, most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, max(u.ru_maxrss for u in all_used)
        return Once(wall, sum(u.ru_utime + u.ru_stime for u in all_used), most * 1024 if most > own else None)


def _adopt_orphans() -> None:
    """Become the parent of processes whose own has ended, so that their CPU time can be had (Linux).

    The process that forks for jobs ends after Snakemake, which does not wait for it: without this, all its jobs' time
    would be missing.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def once(call: Side) -> Once:
    """Call a side and return what it cost; a side that says so itself is believed."""
    if isinstance(call, Fresh | Command):
        return call()
    before = _memory(reset=True)
    wall, cpu = time.perf_counter(), time.process_time()
    held = call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = _memory()
    if isinstance(held, Once):
        return held
    del held  # not before the clock is read: freeing it is not what is measured
    return Once(wall, cpu, max(0, peak[1] - before[0]) if before and peak else None)


def _memory(*, reset: bool = False) -> tuple[int, int] | None:
    """Return resident bytes now and at their peak, which may be reset first; None where there is no /proc."""
    try:
        if reset:  # what an earlier call left free in this process would hide what this one needs
            gc.collect()
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    except (OSError, AttributeError):
        return None
    now, peak = (int(lines[key].split()[0]) * 1024 for key in ("VmRSS", "VmHWM"))
    return now, peak


if __name__ == "__main__":  # one call of `Fresh`
    where, _, what = sys.argv[1].partition(":")
    prepared = getattr(importlib.import_module(where), what)(*json.loads(sys.argv[2]))
    cost = once(prepared)
    print(json.dumps({"wall": cost.wall, "cpu": cost.cpu, "peak": cost.peak}))
