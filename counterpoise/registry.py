"""A method is a file: `counterpoise/methods/<kind>/<name>.py` defines `Method`, and its file name is its name.

No decorators and nothing to register: adding a method is adding a file.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

from counterpoise import contracts
from counterpoise.errors import UserError, nearest

KINDS = (
    "datasets",
    "imbalance",
    "splits",
    "preprocessing",
    "samplers",
    "models",
    "heads",
    "ensembles",
    "augmentation",
    "mixing",
    "losses",
    "optimizers",
    "schedules",
    "pretraining",
    "finetuning",
    "semi_supervised",
    "rebalancing",
)


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all methods of a kind, sorted."""
    folder = Path(__file__).parent / "methods" / kind
    return tuple(sorted(m.name for m in pkgutil.iter_modules([str(folder)]) if not m.name.startswith("_")))


@cache
def method(kind: str, name: str) -> type[Any]:
    """Return the `Method` class of `counterpoise/methods/<kind>/<name>.py`.

    Raises UserError for an unknown name, and for a class that lacks what its kind needs.
    """
    cls = unchecked(kind, name)
    contracts.check(kind, name, cls)
    return cls


def unchecked(kind: str, name: str) -> Any:
    """Return the `Method` class of a file as it is, None if there is none; raise UserError for an unknown name."""
    if name not in names(kind):
        raise UserError(f"unknown {kind} method '{name}'{nearest(name, names(kind), f'`counterpoise names {kind}`')}")
    return getattr(importlib.import_module(f"counterpoise.methods.{kind}.{name}"), "Method", None)


def build(kind: str, spec: dict[str, Any]) -> Any:
    """Build a method from its canonical spec `{"name": ..., option: value}`, whose values `config` has checked."""
    options = {key: value for key, value in spec.items() if key != "name"}
    return method(kind, spec["name"])(**options)


def nested(kind: str, default: str) -> Any:
    """Return the field of a method's option that is itself a method, for instance the base learner of an ensemble."""
    return dataclasses.field(default_factory=lambda: {"name": default}, metadata={"kind": kind})


@cache
def nested_kinds(kind: str, name: str) -> dict[str, str]:
    """Return the options of a method that are methods themselves, with their kinds."""
    return {f.name: f.metadata["kind"] for f in dataclasses.fields(method(kind, name)) if "kind" in f.metadata}


def options(kind: str, name: str) -> dict[str, Any]:
    """Return the options of a method with their defaults."""
    return dict(_options(kind, name))


@cache
def _options(kind: str, name: str) -> dict[str, Any]:
    return {
        f.name: f.default_factory() if callable(f.default_factory) else f.default
        for f in dataclasses.fields(method(kind, name))
    }
