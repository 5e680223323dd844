"""The declared ways to train an encoder in less time: half the digits, and compiled.

Both act on the encoder's passes in training, where the arithmetic is. Head, loss and optimiser compute in float32, and
so does whatever is in evaluation mode: predictions, features, frozen encoders.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from counterpoise.errors import UserError
from counterpoise.training.network import Net


def quicken(net: Net, cfg: dict[str, Any]) -> None:
    """Let the encoder compute as a recipe's `precision` and `compile` say, where they say anything."""
    precision, mode = cfg["precision"], cfg["compile"]
    if mode != "off":
        _prepare_compiler(net.device)
    if (precision, mode) != ("float32", "off"):
        # As torch's own parametrisations do: names of tensors stay, copies and slices compute alike.
        net.encoder.__class__ = _quicker(cast(Any, type(net.encoder)), precision == "bf16", mode)


@cache
def _quicker(plain: type[nn.Module], half: bool, mode: str) -> type[nn.Module]:
    """Return a class of encoders whose `forward` differs in training: one for all seeds, which share its code."""

    def passes(encoder: nn.Module, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
            return plain.forward(encoder, x).to(x.dtype)

    in_training: Callable = passes if mode == "off" else torch.compile(passes, mode=mode)

    def forward(encoder: nn.Module, x: Tensor) -> Tensor:
        return in_training(encoder, x) if encoder.training else plain.forward(encoder, x)

    return type(plain.__name__, (plain,), {"forward": forward})


def _prepare_compiler(device: torch.device) -> None:
    """Keep what is compiled for the user's later jobs; raise UserError where there is nothing to compile with."""
    cache_of_user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_of_user / "counterpoise" / "compiled"))
    if device.type == "cpu":  # jobs run side by side
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
    from torch._inductor import config, cpp_builder, exc

    config.deterministic = True  # no choice of kernels by their speed
    try:
        cpp_builder.get_cpp_compiler()
    except exc.InvalidCxxCompiler:
        raise UserError(
            "compile: found no C++ compiler (g++, or what CXX names), which torch needs even for a card; "
            "install one, or write `compile: off`"
        ) from None
