"""How a run stops: at a signal (Ctrl-C, `kill`, a terminal that is closed), or with the process that started it.

A job needs no time to stop: every file of its is whole at any moment, and its checkpoint is the state. So whatever
stops a run kills its jobs outright.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

SAID = "stopped; the same command goes on from the last checkpoint"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = 130  # exit code
ORPHANED = 75  # exit code of a process whose parent has died: Snakemake, if there is another, tries again
PR_SET_PDEATHSIG = 1  # see prctl(2)
LIBC = ctypes.CDLL(None)  # loaded here, because a process that was just forked should load nothing

stopped = threading.Event()  # this process was asked to stop


def die_with(parent: int, interval: float = 0.5) -> None:
    """End this process when its parent has died, or now if it has already.

    On Linux the kernel does it, so that no import that takes long can delay it. There "parent" is the thread that
    started this process: it must live as long as this process is wanted.
    """
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(ORPHANED)
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(ORPHANED)

    threading.Thread(target=watch, daemon=True).start()


def is_alive(process: int) -> bool:
    """Return whether there is such a process, whoever it belongs to."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def handle(handler: Callable[[int, Any], Any]) -> dict[int, Any]:
    """Have a function called at the signals that stop a process; return the handlers before, for `restore`.

    A signal that this process was started to ignore (`nohup`) stays ignored.
    """
    before: dict[int, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    for number, known in before.items():
        if number == signal.SIGINT or known != signal.SIG_IGN:
            signal.signal(number, handler)
    return before


def restore(handlers: dict[int, Any]) -> None:
    """Have signals handled as they were."""
    for number, known in handlers.items():
        signal.signal(number, known)


def interrupt(*_: Any) -> NoReturn:
    """Stop a command at any signal as Ctrl-C does, so that it removes its temporary files."""
    raise KeyboardInterrupt


def run_snakemake(command: list[str]) -> int:
    """Run Snakemake to its end and return its exit code, or `STOPPED` after a signal to it or to this process."""

    def prepare() -> None:  # in the new process, whose own handlers come with the workflow: no traceback until then
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform == "linux":
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    def stop(*_: Any) -> None:
        asked.set()
        if process:
            process.terminate()

    asked, process = threading.Event(), None
    before = handle(stop)
    try:
        process = subprocess.Popen(command, preexec_fn=prepare)
        if asked.is_set():
            process.terminate()
        code = process.wait()
    finally:
        restore(before)
    if code == STOPPED:
        return STOPPED  # Snakemake has said it
    if code < 0 or (code and asked.is_set()):
        print(SAID, file=sys.stderr)
        return STOPPED
    return code


def stop_workflow_at_signals() -> None:
    """Let this Snakemake end its jobs at a signal, say so in one line and exit with 130.

    Called when the workflow is read and when it starts: Snakemake's scheduler takes SIGTERM for itself in between,
    and would then wait until all that is running has ended.
    """
    handle(_stop_workflow)


def _stop_workflow(*_: Any) -> NoReturn:
    for number in SIGNALS:  # SIG_IGN would be a complaint of Python's where a second one has come already
        signal.signal(number, lambda *_: None)
    stopped.set()
    with contextlib.suppress(OSError):  # the terminal has gone
        os.write(2, (("\r\x1b[2K" if os.isatty(2) else "") + SAID + "\n").encode())
    threading.Thread(target=_end_jobs, daemon=True).start()
    raise SystemExit(STOPPED)  # Snakemake's scheduler waits for its jobs, the rest of it lets this pass


def _end_jobs() -> None:
    """Kill every job of this Snakemake, also one that was being started, until this process ends."""
    from snakemake.shell import shell  # type: ignore[import-untyped]

    while True:
        for job in list(shell._processes):
            shell.kill(job)
        time.sleep(0.05)
