"""The typed configuration: what a recipe may say, checked strictly, with errors that name the nearest valid choice.

A recipe is layered: base < scale < case < grid point. Merging is by key; naming another method drops the options
of the old one. A method is written `{name: ..., option: ...}` or, without options, as its bare name.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import yaml
from annotated_types import Ge, Interval

from counterpoise import registry
from counterpoise.errors import UserError, nearest

Config = dict[str, Any]
Steps = Annotated[int, Ge(1)]
Count = Annotated[int, Ge(0)]


def _method(kind: str, default: str | None = None) -> Any:
    factory = MISSING if default is None else (lambda: {"name": default})
    return dataclasses.field(default_factory=factory, metadata={"kind": kind})  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Training:
    """What pretraining and fine-tuning have in common."""

    steps: Steps
    """Gradient steps."""
    batch_size: Steps
    """Examples in a batch."""
    loss: dict = _method("losses", "cross_entropy")
    """What supervised training minimises."""
    augmentation: dict = _method("augmentation", "none")
    """What is done to each batch of images."""
    optimizer: dict = _method("optimizers", "sgd")
    """How parameters move."""
    schedule: dict = _method("schedules", "constant")
    """How the learning rate changes over the steps."""


@dataclass(frozen=True, kw_only=True)
class Pretrain(Training):
    """The pretrain stage."""

    method: dict = _method("pretraining", "none")
    """What is learned first."""
    sample: dict = _method("samplers", "none")
    """What pretraining's batches are drawn from."""


@dataclass(frozen=True, kw_only=True)
class Finetune(Training):
    """The finetune stage."""

    method: dict = _method("finetuning", "all_layers")
    """What is trained, in which order."""
    snapshots: Count = 0
    """Test predictions kept on the way, equally spaced: for curves and `best_on_test`, never to choose a model."""
    replicate: Count = 0
    """Another draw of initialisation, order and augmentation on the same data: the A/A case of a study."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """The evaluate stage."""

    rebalancing: dict = _method("rebalancing", "none")
    """What is done to predictions after training."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a cell's numbers, apart from the seed."""

    data: dict = _method("datasets")
    """The data set."""
    imbalance: dict = _method("imbalance", "natural")
    """How many examples of each class training gets."""
    label_noise: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of training labels replaced by another class, drawn uniformly."""
    validation: Count = 0
    """Examples of each class, from what training leaves unused, for a balanced validation part (oracle)."""
    validation_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of the training part held out for validation, stratified."""
    model: dict = _method("models")
    """The network or classical model."""
    sample: dict = _method("samplers", "none")
    """What fine-tuning's batches are drawn from."""
    pretrain: Pretrain
    """What is learned before."""
    finetune: Finetune
    """What is learned then."""
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)
    """What is done to predictions."""


def read_yaml(path: Path) -> Any:
    """Read a YAML file with the C loader; raise UserError with file and line if it does not parse."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


def merge(lower: Config, upper: Config) -> Config:
    """Return `lower` with `upper` laid over it; a mapping with another `name` replaces the whole mapping."""
    result = dict(lower)
    for key, value in upper.items():
        held = result.get(key)
        both = isinstance(held, dict) and isinstance(value, dict)
        if both and value.get("name", held.get("name")) == held.get("name"):
            result[key] = merge(held, value)
        else:
            result[key] = value
    return result


def normalise(raw: Any, where: str, schema: type = Recipe) -> Config:
    """Return a partial recipe with every bare method name written as `{name: ...}`; refuse unknown keys."""
    fields = {f.name: f for f in dataclasses.fields(schema)}
    hints = _hints(schema)
    if not isinstance(raw, dict):
        raise UserError(f"{where}: expected a mapping, found {_shown(raw)}")
    result: Config = {}
    for key, value in raw.items():
        if key not in fields:
            raise UserError(f"{where}: unknown key '{key}'{nearest(key, fields)}")
        if "kind" in fields[key].metadata:
            result[key] = {"name": value} if isinstance(value, str) else value
        elif dataclasses.is_dataclass(hints[key]):
            result[key] = normalise(value, f"{where}, {key}", hints[key])  # type: ignore[arg-type]
        else:
            result[key] = value
    return result


def resolve(raw: Config, where: str, schema: type = Recipe) -> Config:
    """Return the full, checked recipe with every default filled in; raise UserError at the first fault."""
    result: Config = {}
    hints = _hints(schema)
    raw = normalise(raw, where, schema)
    for f in dataclasses.fields(schema):
        place = f"{where}, {f.name}"
        if f.name not in raw:
            if f.default is MISSING and f.default_factory is MISSING:
                if not dataclasses.is_dataclass(hints[f.name]):
                    raise UserError(f"{where}: missing key '{f.name}' ({_expected(hints[f.name], f)})")
                raw[f.name] = {}
            else:
                raw[f.name] = f.default if f.default is not MISSING else f.default_factory()  # type: ignore[misc]
        value = raw[f.name]
        if "kind" in f.metadata:
            if isinstance(value, dict) and "name" not in value and f.default_factory is not MISSING:
                value = {**f.default_factory(), **value}
            result[f.name] = _resolve_method(value, f.metadata["kind"], place)
        elif dataclasses.is_dataclass(hints[f.name]):
            held = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
            result[f.name] = resolve(held, place, hints[f.name])  # type: ignore[arg-type]
        else:
            result[f.name] = check(hints[f.name], value, place)
    return result


def _resolve_method(value: Any, kind: str, place: str) -> Config:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise UserError(f"{place}: expected a method, as a name or {{name: ..., option: ...}}; found {_shown(value)}")
    try:
        cls = registry.method(kind, value["name"])
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    options = registry.options(kind, value["name"])
    hints = _hints(cls)
    for key, option in value.items():
        if key == "name":
            continue
        if key not in options:
            raise UserError(f"{place}: {value['name']} has no option '{key}'{nearest(key, options)}")
        options[key] = check(hints[key], option, f"{place}.{key}")
    try:
        cls(**options)  # a method's own __post_init__ checks options against each other
    except (ValueError, UserError) as error:
        raise UserError(f"{place}: {error}") from None
    return {"name": value["name"], **json.loads(json.dumps(options))}


def check(hint: Any, value: Any, place: str) -> Any:
    """Return a value that fits its annotation; raise UserError that says what was expected."""
    import pydantic

    try:
        text = json.dumps(value)
        return _adapter(hint).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        inner = "".join(f"[{part}]" for part in first["loc"])
        raise UserError(
            f"{place}{inner}: {first['msg'][:1].lower()}{first['msg'][1:]}; found {_shown(value)}"
        ) from None
    except (TypeError, ValueError):
        raise UserError(f"{place}: expected a plain value, found {_shown(value)}") from None


@cache
def _adapter(hint: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _expected(hint: Any, f: dataclasses.Field) -> str:
    return (
        f"a {f.metadata['kind']} method" if "kind" in f.metadata else str(getattr(get_args(hint)[0], "__name__", hint))
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def canonical(resolved: Config, schema: type = Recipe, keys: tuple[str, ...] | None = None) -> Config:
    """Return the canonical form of (some keys of) a resolved section: what is hashed into a cell's id."""
    result: Config = {}
    hints = _hints(schema)
    for f in dataclasses.fields(schema):
        if f.name not in resolved or (keys is not None and f.name not in keys):
            continue
        value = resolved[f.name]
        if "kind" in f.metadata:
            held = canonical_method(f.metadata["kind"], value)
            default = None if f.default_factory is MISSING else f.default_factory()["name"]  # type: ignore[misc]
            if held != {"name": f"{default}@1"}:
                result[f.name] = held
        elif dataclasses.is_dataclass(hints[f.name]):
            result[f.name] = canonical(value, hints[f.name])  # type: ignore[arg-type]
        elif value != f.default:
            result[f.name] = value
    return result


def canonical_method(kind: str, spec: Config) -> Config:
    """Return a method's name with its version, and its options that are not at their default."""
    defaults = json.loads(json.dumps(registry.options(kind, spec["name"])))
    version = registry.method(kind, spec["name"]).version
    kept = {k: v for k, v in spec.items() if k != "name" and v != defaults[k]}
    return {"name": f"{spec['name']}@{version}", **kept}
