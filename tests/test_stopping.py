"""A run, or a command, that is stopped: one line, exit code 130, and nothing that goes on or stays."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_project

from counterpoise import stopping
from counterpoise.exporting import export

COUNTERPOISE = [sys.executable, "-m", "counterpoise"]


def processes(folder):
    """Return what runs with a folder as its working directory, but for what has ended and is not yet waited for."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if (process / "cwd").readlink() == folder and state != "Z":
                found.append(process.name)
        except OSError:
            pass
    return found


def wait_for(condition, seconds=200):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def checkpoints(folder):
    return list(folder.glob("results/finetune/*/*/partial/checkpoint.safetensors"))


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize(
    ("command", "number", "send"),
    [
        ([*COUNTERPOISE, "run", "--cores", "2"], signal.SIGINT, os.killpg),  # Ctrl-C
        (small_project.snakemake(), signal.SIGTERM, os.kill),
    ],
)
def test_a_stopped_run_is_one_line_and_leaves_nothing(tmp_path, command, number, send):
    folder = small_project.make(tmp_path / "project", {"long": {"finetune": {"steps": 100_000}}}, seeds=2)
    environment = small_project.environment(COUNTERPOISE_CHECKPOINT_SECONDS="0.1")
    with (tmp_path / "said").open("w") as said:
        run = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said, start_new_session=True)
    wait_for(lambda: checkpoints(folder) or run.poll() is not None)
    send(run.pid, number)
    text = (tmp_path / "said").read_text
    assert run.wait(200) == stopping.STOPPED, text()
    assert text().splitlines()[-1] == stopping.SAID
    assert text().count("stopped") == 1
    assert not any(word in text() for word in ("Traceback", "crashed", "failed", "Interrupt"))
    wait_for(lambda: not processes(folder), 30)
    assert checkpoints(folder), "it goes on from there"
    assert not list(folder.glob("results/finetune/*/*/run.json"))


def test_a_reader_that_has_gone_ends_a_command_in_silence():
    command = subprocess.Popen([*COUNTERPOISE, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait() == 0


def test_a_set_up_that_was_stopped_half_way_begins_anew(tmp_path):
    root = small_project.ROOT
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch(0o755)  # and no pip yet
    python = tmp_path / "python3.11"
    tools = "for tool in python pip uv; do printf '#!/bin/sh\\n' > .venv/bin/$tool; chmod +x .venv/bin/$tool; done"
    python.write_text(f"#!/bin/sh\necho $@ > said\n{tools}\n")
    python.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["make", ".venv/ready"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "said").read_text() == "-m venv --clear .venv\n"


def test_an_export_removes_what_a_killed_one_left(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, alive, other = (tmp_path / f".model.{n}.tmp" for n in (ended.pid, os.getppid(), "x"))
    for folder in (dead, alive, other):
        folder.mkdir()
    made = export._scratch(tmp_path / "model")
    assert sorted(tmp_path.iterdir()) == sorted([alive, other, made])
