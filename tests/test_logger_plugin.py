"""What Snakemake says on the terminal: little, and all of it needed."""

import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.tests import MockOutputSettings, TestLogHandlerBase

from snakemake_logger_plugin_counterpoise import LogHandler, tracker
from snakemake_logger_plugin_counterpoise.progress import EVERY, Progress, _span

ROOT = Path(__file__).parents[1]


class TestSnakemakesOwnSuite(TestLogHandlerBase):
    """The tests that come with Snakemake's interface."""

    __test__ = True

    @pytest.fixture(autouse=True)
    def _nothing_is_followed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(LogHandler, "_begin", lambda self: None)

    def get_log_handler_cls(self) -> type[LogHandlerBase]:
        return LogHandler

    def get_log_handler_settings(self) -> None:  # type: ignore[override]
        return None


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _progress(stream: io.StringIO) -> Progress:
    progress = Progress(stream)
    progress.expect({"sample": 1, "finetune": 2, "all": 1, "total": 4})
    return progress


def _start(progress: Progress, number: int, rule: str, folder: Path, log: str = "x.log") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    wildcards = {"cell": f"{rule}-cell-0123456789ab", "block": "seeds-00-04"}
    progress.start(number, rule, wildcards, [str(folder / "run.json")], [log])


def _finish(progress: Progress, number: int, folder: Path, **run: Any) -> None:
    (folder / "run.json").write_text(json.dumps({"status": "done", "error": None, "diverged": {}, **run}))
    progress.finish(number)


def test_a_terminal_shows_what_trains_and_one_line_for_each_training_job(tmp_path: Path) -> None:
    stream = Terminal()
    progress = _progress(stream)
    _start(progress, 1, "sample", tmp_path / "s")
    _finish(progress, 1, tmp_path / "s")
    _start(progress, 2, "finetune", tmp_path / "f")
    (tmp_path / "f/partial").mkdir()
    (tmp_path / "f/spec.json").write_text(json.dumps({"config": {"finetune": {"steps": 300}}}))
    (tmp_path / "f/partial/history.jsonl").write_text('{"seed": 3, "step": 120, "loss": 0.5}\n{"seed": 3, "st')
    progress.show()
    assert stream.getvalue().endswith("finetune-cell seed 3 step 120/300 loss 0.500")
    assert "\r\x1b[2K1/3 jobs, about " in stream.getvalue()
    _finish(progress, 2, tmp_path / "f", diverged={"4": {"reason": "loss nan at step 9"}})
    lines = stream.getvalue().split("\n")
    assert "sample" not in lines[0].rpartition("\x1b[2K")[2]
    assert lines[0].endswith("done       finetune finetune-cell-0123456789ab seeds-00-04, 0 s; "
                             "seed 4 diverged: loss nan at step 9")  # fmt: skip


def test_elsewhere_there_is_a_line_now_and_then(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = _progress(stream)
    for number in (1, 2):
        _start(progress, number, "finetune", tmp_path / str(number))
        progress.show()
    _finish(progress, 1, tmp_path / "1")
    assert stream.getvalue() == ""
    progress.shown_at -= EVERY
    progress.show()
    progress.show()
    assert len(stream.getvalue().splitlines()) == 1
    assert stream.getvalue().startswith("1/3 jobs, about ")
    assert "\x1b" not in stream.getvalue()


def test_a_recorded_failure_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = _progress(stream)
    _start(progress, 1, "sample", tmp_path / "s", log="results/logs/s.log")
    _finish(progress, 1, tmp_path / "s", status="failed", error="class 3 is left empty")
    _start(progress, 2, "finetune", tmp_path / "f")
    _finish(progress, 2, tmp_path / "f", status="skipped", error="sample failed")
    progress.end()
    assert (
        "failed     sample sample-cell-0123456789ab seeds-00-04: class 3 is left empty (log: results/logs/s.log)"
        in (stream.getvalue())
    )
    assert re.search(r"2 of 3 jobs, 1 failed, 1 skipped in \d+ s", stream.getvalue())


def test_a_crash_shows_the_end_of_its_log_and_is_forgotten_when_a_retry_works(tmp_path: Path) -> None:
    stream, log = io.StringIO(), tmp_path / "job.log"
    log.write_text("\n".join(f"line {i}" for i in range(50)))
    progress = _progress(stream)
    _start(progress, 1, "finetune", tmp_path / "f", log=str(log))
    progress.fail(1)
    assert "crashed    finetune finetune-cell-0123456789ab seeds-00-04 (log: " in stream.getvalue()
    assert "| line 49" in stream.getvalue()
    assert "line 30" not in stream.getvalue()
    assert progress._status().startswith("0/3 jobs, 1 crashed")
    _start(progress, 1, "finetune", tmp_path / "f", log=str(log))
    _finish(progress, 1, tmp_path / "f")
    assert "crashed" not in progress._status()


def test_time_to_go_follows_the_pace_of_each_rule_and_the_parallelism(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(io.StringIO())
    progress.expect({"sample": 2, "finetune": 10})
    progress.seconds = {"sample": [1.0, 1.0], "finetune": [100.0, 100.0]}
    progress.done.update({"sample": 2, "finetune": 2})
    progress.began = time.monotonic() - 101  # 202 seconds of jobs in 101: two at a time
    assert progress._remaining() == "about 7 min to go"


def test_time_to_go_follows_how_far_the_running_job_is(tmp_path: Path) -> None:
    progress = Progress(io.StringIO())
    progress.expect({"finetune": 3})
    _start(progress, 1, "finetune", tmp_path)
    (tmp_path / "partial").mkdir()
    (tmp_path / "spec.json").write_text(json.dumps({"config": {"finetune": {"steps": 100}}}))
    (tmp_path / "partial/history.jsonl").write_text('{"seed": 2, "step": 50, "loss": 0.5}\n')  # half of seeds 0 to 4
    progress.running[1].started = progress.began = time.monotonic() - 300
    assert progress._remaining() == "about 25 min to go"


@pytest.mark.parametrize(("seconds", "said"), [(3, "3 s"), (90, "2 min"), (3600, "60 min"), (9000, "2 h 30 min")])
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert _span(seconds) == said


def _record(message: str, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("snakemake", level, "here", 1, message, (), None)
    vars(record).update(extra)
    return record


def _shown(records: list[logging.LogRecord], capsys: pytest.CaptureFixture[str], **settings: Any) -> str:
    chosen = MockOutputSettings()
    vars(chosen).update({"printshellcmds": False, "quiet": None, "nocolor": True, **settings})
    handler = LogHandler(chosen, None)
    for record in records:
        handler.emit(record)
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_chatter_goes_and_what_matters_stays(capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(
        [
            _record("Building DAG of jobs..."),
            _record("Nothing to be done (all requested files are present and up to date)."),
            _record("something new that nobody has thought of"),
            _record("MissingInputException in rule x", logging.ERROR, event=LogEvent.ERROR, exception="X"),
            _record("RuleException:\nCalledProcessError in file ...", logging.ERROR, event=LogEvent.ERROR),
            _record("disk is slow", logging.WARNING),
        ],
        capsys,
    )
    assert shown.splitlines() == [
        "Nothing to be done (all requested files are present and up to date).",
        "something new that nobody has thought of",
        "MissingInputException in rule x",
        "disk is slow",
    ]


def test_a_dry_run_counts_its_jobs_once_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    stats = _record("Job stats:\nfinetune 3", event=LogEvent.RUN_INFO, stats={"finetune": 3, "total": 3})
    job = {"jobid": 1, "rule_name": "finetune", "wildcards": {}, "output": ["o"], "log": []}
    shown = _shown([stats, _record("rule", event=LogEvent.JOB_INFO, **job), stats], capsys, dryrun=True, stdout=True)
    assert shown == "Job stats:\nfinetune 3\n"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Run a stand-in for the tracking process through a whole run, and return what the terminal shows."""
    monkeypatch.chdir(tmp_path)

    def follow(code: str) -> list[str]:
        lines: list[str] = []
        started = tracker.Tracker(lines.append)
        started.plan = {"studies": ["a.smoke"], "tracking": "sqlite:///mlflow.db"}
        real = subprocess.Popen
        monkeypatch.setattr(tracker.subprocess, "Popen", lambda _, **how: real([sys.executable, "-c", code], **how))
        started.start()
        assert started.process is not None
        if "stdin" not in code:
            started.process.wait()
        started.check()
        started.finish()
        return lines

    return follow


def test_the_tracker_ends_with_the_run_and_says_nothing(said: Callable[[str], list[str]]) -> None:
    assert said("import sys; sys.exit(sys.stdin.read() != 'end')") == []


def test_a_tracker_that_fails_is_one_line_and_training_goes_on(said: Callable[[str], list[str]]) -> None:
    (line,) = said("import sys; sys.exit('error: tracking: cannot write to sqlite:///mlflow.db')")
    assert line.startswith("tracking   error: tracking: cannot write to sqlite:///mlflow.db (training goes on; ")


def test_a_second_live_run_leaves_tracking_to_the_command(said: Callable[[str], list[str]]) -> None:
    (line,) = said("print('another run is writing the MLflow view')")
    assert "another run is writing the MLflow view" in line
    assert "`counterpoise track` completes the view" in line


def test_without_a_store_nothing_is_started() -> None:
    idle = tracker.Tracker(print)
    idle.plan = {"studies": ["a.smoke"], "tracking": ""}
    idle.start()
    idle.finish()
    assert idle.process is None


SNAKEFILE = """
rule all:
    input: "good.txt", "bad.txt",

rule good:
    output: "good.txt",
    log: "good.log",
    conda: "env.yaml"
    shell: "echo fine > {log}; touch {output}"

rule bad:
    output: "bad.txt",
    log: "bad.log",
    conda: "env.yaml"
    shell: "echo the reason > {log}; false"
"""


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["-n"], 0, "total"),
        (["--summary"], 0, "good.txt"),
        (["--dag"], 0, "digraph"),
        (["--lint"], 0, "Congratulations"),
        (["--cores", "1", "--keep-going"], 1, "    | the reason"),
    ],
)
def test_snakemake_works_with_it(tmp_path: Path, arguments: list[str], code: int, expected: str) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "env.yaml").write_text("channels: [conda-forge]\ndependencies: [python]\n")
    command = [sys.executable, "-m", "snakemake", "--logger", "counterpoise", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert expected in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if code:
        assert "1 of 2 jobs, 1 crashed in" in done.stderr
        assert "RuleException" not in done.stderr
