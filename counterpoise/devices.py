"""Where a job computes: on a CUDA card where torch sees one, else on the CPU.

Chosen where the job runs, by COUNTERPOISE_DEVICE (auto, cpu or cuda), and recorded in `run.json`; no part of a cell's
identity, because it must not change which cells there are. Random numbers are drawn on the CPU wherever a job computes,
so every device is given the same epochs, initialisation and augmentation.
"""

from __future__ import annotations

import os

import torch

from counterpoise import gpu_locks
from counterpoise.errors import UserError

VARIABLE = "COUNTERPOISE_DEVICE"
CPU = torch.device("cpu")


def choose() -> torch.device:
    """Return the device of this job; a card is this process's own until it ends.

    Where all cards are taken this waits for one: numbers would otherwise depend on who came first.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"{VARIABLE}: expected auto, cpu or cuda; found '{wanted}'")
    if wanted != "cpu" and torch.version.cuda:
        gpu_locks.take(gpu_locks.count())  # before torch asks for a device, or it would see all cards for good
        if torch.cuda.is_available():
            _as_on_a_cpu()
            return torch.device("cuda")
    if wanted == "cuda":
        lack = "torch sees no card" if torch.version.cuda else "this torch is built for the CPU alone"
        raise UserError(f"{VARIABLE} is cuda, but {lack} (docs/gpu.md says what to install); write cpu or auto instead")
    return CPU


def _as_on_a_cpu() -> None:
    """Hold a card to float32 where float32 is said, and to operations that give the same numbers twice.

    An operation that has no such form says so in the job's log and goes on.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS's own condition for it
    torch.set_deterministic_debug_mode("warn")
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


def described(device: torch.device) -> str:
    """Return what the record says of a device."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def holds(device: torch.device, size: int) -> bool:
    """Return whether so many bytes of data fit on a device and leave it room to compute."""
    return device.type == "cpu" or size <= free(device) / 2


def free(device: torch.device) -> int:
    """Return how many bytes are free on a card."""
    return torch.cuda.mem_get_info(device)[0]
