"""A processor that rounds otherwise than the one at hand, played on any: for numbers that must not depend on it.

Kernels differ in the order of their sums, in fused multiply-adds and in the last bits of an exponential. A golden
that amplifies such a difference (a tie, a solver that stops early, an eigenvector without a sign) passes on one
processor alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

SIZE = 4e-16  # two units in the last place of a float64
OF_NUMPY = ("exp", "log", "log1p", "tan", "arctanh")
OF_TORCH = {
    *("mm", "addmm", "bmm", "mv", "dot", "convolution", "convolution_backward", "native_batch_norm"),
    *("_log_softmax", "_log_softmax_backward_data", "_softmax", "_softmax_backward_data", "nll_loss_forward"),
    *("sum", "mean", "var", "std", "linalg_vector_norm", "exp", "log", "log1p", "logsumexp", "pow", "sigmoid"),
    *("tanh", "cos", "sin", "grid_sampler_2d"),
}


def rounded(values: np.ndarray, seed: int) -> np.ndarray:
    """Return values that another processor may have; equal ones stay equal, and short ones (counts, halves) exact."""
    values = np.asarray(values)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = values == values.astype(np.float32)
        return np.where(exact, values, values * (1 + SIZE * np.sin(1e6 * values + seed)))[()]


class _Torch(TorchDispatchMode):
    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        def rounded(t: Any) -> Any:
            if not isinstance(t, torch.Tensor) or t.dtype != torch.float64:
                return t
            return torch.where(t == t.float(), t, t * (1 + SIZE * torch.sin(1e6 * t + self.seed)))

        made = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ not in OF_TORCH:
            return made
        return tuple(map(rounded, made)) if isinstance(made, tuple) else rounded(made)


@contextmanager
def other_rounding(seed: int) -> Iterator[None]:
    """Change the last bits of float64 results for a while: of torch, backward passes too, and of some of numpy."""

    def changed(function: Any) -> Any:
        return lambda *args, **kwargs: rounded(function(*args, **kwargs), seed)

    with ExitStack() as stack:
        for name in OF_NUMPY:
            stack.enter_context(patch.object(np, name, changed(getattr(np, name))))
        stack.enter_context(_Torch(seed))
        yield
