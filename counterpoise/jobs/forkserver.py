"""A process that has imported everything once and forks for each job: importing costs more than a small job does.

It lives as long as the Snakemake that started it. A job that Snakemake starts there hands its arguments,
environment and files over and waits for the exit code; where nobody listens (by hand, on another machine) it imports
and runs by itself, with the same bytes as the result. Jobs that ask before everything is imported wait for that: it is
no longer than their own imports would be. A job and its forked process live and die together: whoever kills the one,
kills the other.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

from counterpoise import stopping

STAGES = ("preprocess", "sample", "pretrain", "finetune", "evaluate", "report")
CUT_SHORT = 75  # exit code of a job whose process ended without one: Snakemake tries it again
IMPORTED = (
    "torch", "torch._dynamo",  # the second by the first optimiser that a process makes
    "numpy", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.metrics", "sklearn.ensemble",
    "torchmetrics.functional.classification", "counterpoise.cli", "counterpoise.jobs.job",
    *(f"counterpoise.stages.{stage}" for stage in STAGES), "counterpoise.report.study_page",
)  # fmt: skip


def address(parent: int) -> str:
    """Return where the process listens that belongs to a Snakemake: a name that is gone when nobody listens."""
    return f"\0counterpoise-{os.getuid()}-{parent}"


def start() -> subprocess.Popen[bytes] | None:
    """Start the process that forks for the jobs of this one (Linux); None where it cannot, and jobs are only slower.

    It ends with the thread that calls this.
    """
    if sys.platform != "linux":
        return None
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address(os.getpid()))
        listener.listen(64)
        return subprocess.Popen(
            [sys.executable, "-m", "counterpoise.jobs.forkserver", str(os.getpid()), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C and Ctrl-Z are for jobs
        )
    return None


def run(arguments: list[str]) -> int | None:
    """Run a job in a fork of the process that listens; return its exit code, or None where nobody listens."""
    parent = int(os.environ.get("COUNTERPOISE_PARENT") or 0)
    if not arguments or arguments[0] not in STAGES or os.getppid() != parent or sys.platform != "linux":
        return None
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(address(parent))
            if _peer(line) != (parent, os.getuid()):  # anybody may listen under any name
                return None
            told = json.dumps({"arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())})
            socket.send_fds(line, [len(told.encode()).to_bytes(8, "big")], [0, 1, 2])
            line.sendall(told.encode())
            answer = _received(line, 4)
    except OSError:
        return None  # nobody has answered, so nothing was begun
    return int.from_bytes(answer, "big") if answer else CUT_SHORT


def _peer(line: socket.socket) -> tuple[int, int]:
    """Return the process and the user at the other end: whoever made it listen, or whoever connected."""
    process, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user


def _received(line: socket.socket, size: int) -> bytes:
    """Return so many bytes; none if the other side has gone."""
    held = b""
    while len(held) < size:
        try:
            part = line.recv(size - len(held))
        except ConnectionResetError:
            part = b""
        if not part:
            return b""
        held += part
    return held


class Server:
    """Forks for whoever asks, and reports how each fork ended."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.jobs: dict[int, socket.socket] = {}  # process -> who waits for it
        self.select = selectors.DefaultSelector()
        self.woken, waker = os.pipe()
        for end in (self.woken, waker):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes the selector

    def serve(self) -> NoReturn:
        """Import what jobs import, then answer; the end of Snakemake is the end of this and of every job."""
        self.select.register(self.listener, selectors.EVENT_READ)
        self.select.register(self.woken, selectors.EVENT_READ)
        for module in IMPORTED:
            importlib.import_module(module)
        while True:
            for key, _ in self.select.select():
                self._answer(key)
            self._reap()

    def _answer(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self.listener:
            line, _ = self.listener.accept()
            if _peer(line)[1] == os.getuid():
                self._begin(line)
            else:
                line.close()
        elif key.fileobj == self.woken:
            os.read(self.woken, 4096)
        else:  # a job that waits has nothing more to say: it was killed
            os.kill(key.data, signal.SIGKILL)
            self.select.unregister(key.fileobj)

    def _begin(self, line: socket.socket) -> None:
        """Fork for one job."""
        server = os.getpid()
        head, files, _, _ = socket.recv_fds(line, 8, 3)
        told = _received(line, int.from_bytes(head, "big")) if len(head) == 8 and len(files) == 3 else b""
        process = os.fork() if told else None
        if process == 0:
            stopping.die_with(server)
            self._become(json.loads(told), files, _peer(line)[0])
        for file in files:
            os.close(file)
        if process:
            self.jobs[process] = line
            self.select.register(line, selectors.EVENT_READ, process)
        else:
            line.close()

    def _become(self, told: dict[str, Any], files: list[int], job: int) -> NoReturn:
        """Be the job: its files, folder, environment, arguments and process group; never return."""
        code = CUT_SHORT
        try:
            for ignored in (signal.SIGINT, signal.SIGHUP):  # as for the job itself: Snakemake ends it
                signal.signal(ignored, signal.SIG_IGN)
            with contextlib.suppress(OSError):  # so that Ctrl-Z stops it, and `fg` lets it go on
                os.setpgid(0, os.getpgid(job))
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.listener.close()
            for line in self.jobs.values():
                line.close()
            os.chdir(told["folder"])
            os.environ.clear()
            os.environ.update(told["environment"])
            sys.argv = ["counterpoise", *told["arguments"]]
            from counterpoise.cli import main

            code = main(told["arguments"])
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 1
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)

    def _reap(self) -> None:
        """Tell those who wait how their job ended."""
        while self.jobs:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            line = self.jobs.pop(process)
            if line in self.select.get_map():
                self.select.unregister(line)
                code = os.waitstatus_to_exitcode(status)
                with contextlib.suppress(OSError):  # killed just now
                    line.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
            line.close()


if __name__ == "__main__":
    stopping.die_with(int(sys.argv[1]))  # before anything that takes long
    import counterpoise.cli  # one thread for every numeric library, before any is loaded

    assert counterpoise.cli
    Server(socket.socket(fileno=int(sys.argv[2]))).serve()
