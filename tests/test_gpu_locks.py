"""One card for each process: with card counts that are made up, and locks that are real."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from counterpoise import gpu_locks

TAKE = """
import os, sys, time
from pathlib import Path
from counterpoise import gpu_locks
card = gpu_locks.take(int(sys.argv[2]), Path(sys.argv[1]), wait=0.02)
print(card, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""
ROOT = Path(__file__).resolve().parents[1]


class Taker:
    """A process that takes a card and holds it until it is told to end, or killed."""

    def __init__(self, folder: Path, number: int, **environment: str) -> None:
        clean = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"} | environment
        command = [sys.executable, "-c", TAKE, str(folder), str(number)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=clean, cwd=ROOT, **pipes)

    def told(self) -> str:
        return self.process.stdout.readline().strip()

    def end(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.communicate()


@pytest.fixture
def start(tmp_path):
    started = []

    def one(number: int, **environment: str) -> Taker:
        started.append(Taker(tmp_path, number, **environment))
        return started[-1]

    yield one
    for taker in started:
        taker.end(signal.SIGKILL)


def test_each_process_has_a_card_of_its_own(start):
    assert [start(3).told() for _ in range(3)] == ["0 0", "1 1", "2 2"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_finds_all_taken_gets_the_card_that_is_given_back(start, how):
    assert start(2).told() == "0 0"
    second = start(2)
    assert second.told() == "1 1"
    third = start(2)
    second.end(how)
    assert third.told() == "1 1"


def test_processes_that_come_at_once_never_share(start):
    takers = [start(4) for _ in range(4)]
    assert sorted(taker.told() for taker in takers) == ["0 0", "1 1", "2 2", "3 3"]


def test_what_a_scheduler_chose_is_kept(start, tmp_path):
    assert start(2, CUDA_VISIBLE_DEVICES="5").told() == "None 5"
    assert start(2, CUDA_VISIBLE_DEVICES="").told() == "None"  # hidden on purpose
    assert not list(tmp_path.glob("*.lock"))


def test_without_cards_nothing_is_hidden(start):
    assert start(0).told() == "None None"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo 'GPU 0: A card (UUID: x)'; echo 'GPU 1: A card (UUID: y)'", 2),
        ("echo 'No devices found.'", 0),
        ("echo 'GPU 0: A card'; exit 9", 0),
    ],
)
def test_the_driver_is_asked(tmp_path, monkeypatch, script, expected):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpu_locks.count() == expected


def test_a_machine_without_a_driver_has_no_cards(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_locks.count() == 0
