"""Starts the process that mirrors a run to MLflow, and says in one line if that does not work."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from counterpoise.stopping import stopped

LOG = Path("results/logs/tracking.log")
PATIENCE_STOPPED = 3  # the same when the run was stopped; what is then left RUNNING, the next run or `track` repairs
PATIENCE = 60  # seconds to wait, after the last job, for the view to be complete
LATER = "`counterpoise track` completes the view at any time"


class Tracker:
    """The tracking process of this run; nothing that happens to it concerns a job."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.plan: dict[str, Any] = {}  # the studies of this run, and where their view goes
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process, if a tracking store is configured."""
        uri = self.plan.get("tracking")
        if not uri:
            return
        command = [sys.executable, "-m", "counterpoise", "track", "--uri", uri, "--follow", *self.plan["studies"]]
        # A process group of its own, so that Ctrl-C stops jobs but lets the view catch up; not a session of its own,
        # in which Linux would weigh its low priority against nobody.
        try:
            LOG.parent.mkdir(parents=True, exist_ok=True)
            with LOG.open("a") as log:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=log, stderr=log, text=True, process_group=0
                )
        except OSError as error:
            self.say(f"tracking   {error.filename or LOG}: {error.strerror} (training goes on; {LATER})")

    def check(self) -> None:
        """Say once if the process has ended before the run."""
        if self.process and self.process.poll() is not None:
            self.say(f"tracking   {_last_line() or 'ended'} (training goes on; {LATER})")
            self.process = None

    def finish(self) -> None:
        """Tell the process that all jobs are done, and wait for it to catch up, but not for ever."""
        if stopped.is_set():
            self._finish_soon()
            return
        self.check()
        if self.process is None or self.process.stdin is None:
            return
        began = time.monotonic()
        try:
            self.process.stdin.write("end")
            self.process.stdin.close()
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.say("tracking   completing the MLflow view ...")
        except OSError:
            pass  # it has just ended by itself
        try:
            code: Any = self.process.wait(max(0.0, PATIENCE - (time.monotonic() - began)))
        except subprocess.TimeoutExpired:
            self.say("tracking   the MLflow view goes on being written in the background")
        else:
            if code:
                self.say(f"tracking   {_last_line()} ({LATER})")
        self.process = None

    def _finish_soon(self) -> None:
        """Let the process mark what was stopped; leave none behind, and say nothing."""
        if self.process is not None:
            try:
                self.process.communicate("end", timeout=PATIENCE_STOPPED)
            except (subprocess.TimeoutExpired, OSError):
                self.process.kill()
                self.process.wait()


def _last_line() -> str:
    lines = LOG.read_text(encoding="utf-8", errors="replace").strip().splitlines() if LOG.exists() else []
    return lines[-1] if lines else ""
