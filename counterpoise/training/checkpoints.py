"""Reading and writing tensors without ever executing code: safetensors, or torch files of plain tensors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from counterpoise import records
from counterpoise.errors import UserError
from counterpoise.readers import naming, require

Tensors = dict[str, Tensor]


def save(path: Path, tensors: Tensors, meta: dict[str, Any] | None = None) -> None:
    """Write tensors and JSON metadata atomically; equal content gives equal bytes."""
    text = {"counterpoise": json.dumps(meta or {}, sort_keys=True)}  # one key: the format does not order several
    flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = serialise(flat, metadata=text)  # written here, so that a full disk is an OSError
    records.write(path, lambda p: p.write_bytes(content))


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read a file that `save` wrote; raise Damaged if it is missing, cut short or not ours."""
    with naming(path), safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        meta = json.loads((file.metadata() or {}).get("counterpoise", "{}"))
    require(path, meta, {})
    return tensors, meta


def load_foreign(path: Path) -> Tensors:
    """Read tensors from a user's checkpoint, of this project or another; never runs pickled code."""
    if path.suffix == ".safetensors":
        return load(path)[0]
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the zip reader and the unpickler raise many kinds
        refused = re.search(r"(?:GLOBAL|operand) (\S+)", str(error))  # the rest is advice to run it all the same
        reason = f"{type(error).__name__} {refused[1] if refused else ' '.join(str(error).split())[:120]}"
        raise UserError(f"{path}: not a checkpoint of plain tensors ({reason}); pickled code is never run") from None
    for wrapper in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path}: expected a dictionary of tensors, found {type(content).__name__}")
    return {name.removeprefix("module."): value for name, value in content.items()}


def under(prefix: str, tensors: Tensors) -> Tensors:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def fill(module: torch.nn.Module, prefix: str, tensors: Tensors, where: str) -> None:
    """Copy `prefix + name` into each parameter of `module`; raise UserError on any difference of names or shapes."""
    found = under(prefix, tensors)
    expected = module.state_dict()
    missing, foreign = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or foreign:
        raise UserError(
            f"{where}: does not fit the model: missing {missing[:3] or 'nothing'}, unknown {foreign[:3] or 'nothing'}"
        )
    for name, value in expected.items():
        if value.shape != found[name].shape:
            raise UserError(
                f"{where}: '{prefix}{name}' has shape {tuple(found[name].shape)}, expected {tuple(value.shape)}"
            )
    module.load_state_dict(found)
