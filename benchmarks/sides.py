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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """A command line, timed as a whole with everything that it starts and waits for."""

    line: tuple[str, ...]
    cwd: Path = ROOT

    def __call__(self) -> Once:
        """Run it once; what it prints goes to the error stream if it fails."""
        began = time.perf_counter()
        with subprocess.Popen(self.line, cwd=self.cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.stderr.write(output.decode(errors="replace"))
            raise SystemExit(f"{' '.join(self.line)}: exit code {process.returncode}")
        # A new process inherits the peak of the one that started it, so a smaller figure says nothing.
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak = used.ru_maxrss * 1024 if used.ru_maxrss > own else None
        return Once(time.perf_counter() - began, used.ru_utime + used.ru_stime, peak)


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
