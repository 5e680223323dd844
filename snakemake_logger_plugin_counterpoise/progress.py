"""How far a run is: jobs done of all, what is in training, when it will be over; a line for each job that matters."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from counterpoise import readers
from counterpoise.errors import UserError
from counterpoise.stopping import stopped

TRAINING = ("pretrain", "finetune")
EVERY = 30.0  # seconds between two lines of progress where there is no terminal
TAIL = 12  # lines of a failed job's log that are shown
RUN = {"status": str, "error": readers.TEXT, "diverged": {"*": {"reason": str}}}  # what is read of `run.json`
ROW = {"seed": int, "step": int, "loss": readers.NUMBER}  # and of a history


@dataclass
class Job:
    """A job as Snakemake announced it."""

    rule: str
    cell: str
    block: str
    folder: Path
    log: Path | None
    started: float
    steps: int | None = None

    @property
    def name(self) -> str:
        """Return what people call it."""
        return " ".join(filter(None, (self.rule, self.cell, self.block)))


class Progress:
    """Counts jobs and writes lines; all methods may be called from any thread."""

    def __init__(self, stream: TextIO, quiet: bool = False) -> None:
        self.stream, self.quiet = stream, quiet
        self.terminal = stream.isatty()
        self.lock = threading.RLock()
        self.running: dict[int, Job] = {}
        self.expected: Counter[str] = Counter()
        self.seconds: dict[str, list[float]] = {}
        self.done: Counter[str] = Counter()
        self.bad: dict[str, str] = {}  # name of a job -> failed, skipped (recorded) or crashed (not)
        self.began = self.shown_at = time.monotonic()
        self.shown = ""

    def expect(self, stats: dict[str, int]) -> None:
        """Note how many jobs of each rule there will be; `all` computes nothing."""
        self.expected = Counter({rule: n for rule, n in stats.items() if rule not in ("total", "all")})

    def start(self, number: int, rule: str, wildcards: dict[str, str], output: list[str], log: list[str]) -> None:
        """Note that a job has begun, and what it is."""
        cell, block = wildcards.get("cell", ""), wildcards.get("block", "")
        folder = Path(output[0]).parent if output else Path()
        with self.lock:
            self.running[number] = Job(rule, cell, block, folder, Path(log[0]) if log else None, time.monotonic())

    def finish(self, number: int) -> None:
        """Note that a job has ended well, or has recorded why it could not."""
        with self.lock:
            job = self.running.pop(number, None)
            if job is None or job.rule == "all":
                return
            took = time.monotonic() - job.started
            self.seconds.setdefault(job.rule, []).append(took)
            self.done[job.rule] += 1
            run = _json(job.folder / "run.json", RUN)
            status = run.get("status", "done")
            self.bad.pop(job.name, None)  # it may have crashed before it was tried again
            if status != "done":
                self.bad[job.name] = status
            if status == "failed":
                self.line(f"failed     {job.name}: {run.get('error')} (log: {job.log})")
            elif status == "done" and job.rule in TRAINING:
                lost = "".join(f"; seed {s} diverged: {why['reason']}" for s, why in run.get("diverged", {}).items())
                if self.terminal or lost:
                    self.line(f"done       {job.name}, {_span(took)}{lost}")
            self.show()

    def fail(self, number: int) -> None:
        """Note that a job has ended without a record (the machine, a fault in the code), and show its log's end.

        Jobs that end because the run was stopped have not failed.
        """
        with self.lock:
            job = self.running.pop(number, None)
            if job is None or stopped.is_set():
                return
            self.bad[job.name] = "crashed"
            lines = _tail(job.log)
            self.line("\n".join([f"crashed    {job.name} (log: {job.log})", *(f"    | {text}" for text in lines)]))

    def line(self, text: str) -> None:
        """Write a line that stays."""
        with self.lock:
            self.clear()
            if not self.quiet:
                self.stream.write(text + "\n")
                self.stream.flush()

    def show(self) -> None:
        """Show how far the run is: on a terminal always, elsewhere now and then."""
        with self.lock:
            if self.quiet or stopped.is_set():
                return
            now = time.monotonic()
            if self.terminal and self.running:
                text, width = self._status(), shutil.get_terminal_size().columns - 1
                text = text if len(text) <= width else text[: width - 1] + "…"
                if text != self.shown:
                    self.stream.write("\r\x1b[2K" + text)
                    self.stream.flush()
                    self.shown = text
            elif self.terminal:
                self.clear()
            elif self.running and now - self.shown_at >= EVERY:
                self.shown_at = now
                self.line(self._status())

    def clear(self) -> None:
        """Remove the status line, so that others can write."""
        with self.lock:
            if self.shown:
                self.stream.write("\r\x1b[2K")
                self.stream.flush()
                self.shown = ""

    def end(self) -> None:
        """Write what came of it all; nothing if the run was stopped, which has been said."""
        with self.lock:
            if stopped.is_set():
                return
            done, total = self.done.total(), self.expected.total()
            self.line(f"{done} of {total} jobs{self._bad()} in {_span(time.monotonic() - self.began)}")

    def _status(self) -> str:
        """Return the line: jobs, time to go, what is in training."""
        done, total = self.done.total(), self.expected.total()
        training = [_training(job) for job in self.running.values() if job.rule in TRAINING]
        others = Counter(job.rule for job in self.running.values() if job.rule not in TRAINING)
        now = "; ".join(training + [f"{n} {rule}" for rule, n in sorted(others.items())])
        return f"{done}/{total} jobs{self._bad()}, {self._remaining()}: {now}"

    def _bad(self) -> str:
        return "".join(f", {n} {what}" for what, n in sorted(Counter(self.bad.values()).items()))

    def _remaining(self) -> str:
        """Return how long it will take: what is left of each rule, at the pace and the parallelism so far."""
        now, spent = time.monotonic(), sum(map(sum, self.seconds.values()))
        ran = {number: now - job.started for number, job in self.running.items()}
        whole = {number: ran[number] / share for number, job in self.running.items() if (share := _share(job)) > 0.02}
        known = {rule: list(many) for rule, many in self.seconds.items()}
        for number, seconds in whole.items():
            known.setdefault(self.running[number].rule, []).append(seconds)
        if not known:
            return "time to go unknown"
        means = {rule: sum(many) / len(many) for rule, many in known.items()}
        overall = sum(means.values()) / len(means)
        left = 0.0
        for rule, many in self.expected.items():
            mean, running = means.get(rule, overall), [n for n, job in self.running.items() if job.rule == rule]
            left += max(many - self.done[rule] - len(running), 0) * mean
            left += sum(max(whole.get(number, mean) - ran[number], 0.0) for number in running)
        return f"about {_span(left * (now - self.began) / max(spent + sum(ran.values()), 0.1))} to go"


def _share(job: Job) -> float:
    """Return how much of a training job is done, as far as its history tells: seeds, and steps of the current one."""
    row = _last_row(job.folder / "partial" / "history.jsonl") if job.rule in TRAINING else {}
    if not row or not job.block or not _steps(job):
        return 0.0
    first, last = (int(part) for part in job.block.split("-")[1:])
    return (row["seed"] - first + min(row["step"] / _steps(job), 1.0)) / (last - first + 1)


def _steps(job: Job) -> int:
    """Return the steps of each seed of a training job; 0 where its `spec.json` does not say."""
    if job.steps is None:
        spec = _json(job.folder / "spec.json", {"config": {job.rule: {"steps": int}}})
        job.steps = spec["config"][job.rule]["steps"] if spec else 0
    return job.steps


def _training(job: Job) -> str:
    """Return what a training job is doing: seed, step of all steps, loss."""
    row = _last_row(job.folder / "partial" / "history.jsonl")
    title = job.cell.rpartition("-")[0]  # the hash is for commands, not for the eye
    if not row:
        return f"{title} {job.block}"
    return f"{title} seed {row['seed']} step {row['step']}/{_steps(job) or '?'} loss {row['loss']:.3f}"


def _last_row(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 1000))
            lines = file.read().split(b"\n")
        row = json.loads(lines[-2]) if len(lines) > 1 else {}
    except (OSError, ValueError):
        return {}
    return {} if readers.misfit(row, ROW) else row


def _json(path: Path, shape: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds; nothing where it is not there or damaged, since nothing here depends on it."""
    try:
        return readers.read_json(path, shape)
    except (OSError, UserError):
        return {}


def _tail(log: Path | None) -> list[str]:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log else []
    except OSError:
        return []
    return [line[-200:] for line in lines[-TAIL:]]


def _span(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
