"""One GPU card for each process of a local run.

Snakemake's `gpu` resource only counts cards. The process that trains takes the first card whose lock is free and holds
it until it ends, however it ends. Under a scheduler that has set CUDA_VISIBLE_DEVICES there is nothing to choose.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

_held: list[TextIO] = []  # open until this process ends: closing a file gives its lock back


def count() -> int:
    """Return how many cards the driver lists; torch is not asked, because it would then see all of them for good."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=60)
        return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0
    return 0


def take(cards: int, folder: Path | None = None, wait: float = 1.0) -> int | None:
    """Hold the first of `cards` cards that is free, and let this process see that card only; return its number.

    Waits while all are taken, asking again every `wait` seconds. None if there is no card or a scheduler has chosen.
    Call it before torch first asks for a device. The locks lie in `folder`, by default one of this user and machine:
    all projects share it, but other users are not known of, and between them a scheduler is needed.
    """
    if cards < 1 or "CUDA_VISIBLE_DEVICES" in os.environ:
        return None
    folder = folder or Path(tempfile.gettempdir(), f"counterpoise-cards-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for card in range(cards):
            if _locked(folder / f"{card}.lock"):
                os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(card)}
                return card
        time.sleep(wait)


def _locked(path: Path) -> bool:
    """Return whether this process now holds the lock of a file."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    _held.append(file)
    return True
