"""The rows that a network is trained on, and the files that they lie in.

Legend: B batch.
"""

from __future__ import annotations

import mmap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch
from torch import Tensor

from counterpoise import devices
from counterpoise.readers import read_array


class Sample:
    """The training rows of one seed; a batch is gathered when it is needed.

    On a CPU raw inputs stay memory-mapped. On a card they, ids and labels lie where the batches do, or stay with the
    host where they would not fit.
    """

    targets: Tensor | None = None
    """Of a regression the standardised target of each row, and beside it what the loss made of all of them (N x K)."""

    def __init__(
        self,
        x: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        mean: Any,
        std: Any,
        layout: str = "contiguous",
        device: torch.device = devices.CPU,
    ) -> None:
        """`layout` is how standardised images lie in memory, channels_last or contiguous."""
        self.layout, self.device = layout, device
        home = device if devices.holds(device, x.nbytes) else devices.CPU
        self.raw, self.ids, self.labels = (as_tensor(part).to(home) for part in (x, ids, labels))
        per_channel = (-1, *[1] * (x.ndim - 2))
        self.mean, self.std = (
            torch.as_tensor(s, dtype=torch.float32).view(per_channel).to(device) for s in (mean, std)
        )

    def others(self, x: np.ndarray, ids: np.ndarray, labels: np.ndarray) -> Sample:
        """Return other rows that are standardised as these are and lie as these do."""
        return Sample(x, ids, labels, self.mean.flatten(), self.std.flatten(), self.layout, self.device)

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw inputs and labels at positions of the sample, on its device."""
        positions = positions.to(self.ids.device, non_blocking=True)
        found = self.raw.index_select(0, self.ids[positions]), self.labels[positions]
        images, labels = (part.to(self.device, non_blocking=True) for part in found)
        return images.float(), labels

    def targets_at(self, positions: Tensor) -> Tensor | None:
        """Return targets_BK at positions of the sample, on its device; None of a classification."""
        return None if self.targets is None else self.targets[positions].to(self.device, non_blocking=True)

    def standardise(self, x: Tensor) -> Tensor:
        """Return inputs with the training rows' mean 0 and standard deviation 1."""
        made = (x - self.mean) / self.std
        is_last = self.layout == "channels_last" and made.ndim == 4
        return made.contiguous(memory_format=torch.channels_last) if is_last else made


def open_array(folder: Path, name: str) -> np.ndarray:
    """Return an array of the preprocess stage, memory-mapped; it may be larger than the memory, so only for reading."""
    x: Any = read_array(folder / f"{name}.npy", mapped=True)
    if x.nbytes > psutil.virtual_memory().total:
        x.base.madvise(mmap.MADV_RANDOM)  # rows read ahead would only push out others
    return x


def as_tensor(x: np.ndarray) -> Tensor:
    """Return a tensor over the memory of an array, which nothing may write to where it is a file's."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(x)
