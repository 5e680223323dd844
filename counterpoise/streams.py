"""Randomness: every stream derives from (stage, purpose, seed).

So adding a method never moves another's draws.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def key(stage: str, purpose: str, seed: int, *counters: int) -> int:
    """Return the 63-bit seed of a stream; `counters` (epoch, step) make it stateless, for a resumed run."""
    text = "/".join([stage, purpose, str(seed), *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy(stage: str, purpose: str, seed: int, *counters: int) -> np.random.Generator:
    """Return a NumPy generator for the stream."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(key(stage, purpose, seed, *counters)))


def torch_generator(stage: str, purpose: str, seed: int, *counters: int) -> torch.Generator:
    """Return a torch CPU generator for the stream."""
    import torch

    return torch.Generator().manual_seed(key(stage, purpose, seed, *counters))
