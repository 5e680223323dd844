"""The typed configuration: what a recipe may say, checked strictly, with errors that name the nearest valid choice.

A recipe is layered: base < scale < case < grid point. Merging is by key; naming another method drops the options
of the old one. A method is written `{name: ..., option: ...}` or, without options, as its bare name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import MISSING, dataclass
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Gt, Interval

from counterpoise import registry
from counterpoise.errors import UserError, nearest, some

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
    mixing: dict = _method("mixing", "none")
    """How examples of a batch are mixed with others."""
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
class Inner:
    """The inner folds of a nested cross-validation, on the training part alone; of classical models."""

    folds: Count = 0
    """Stratified folds whose out-of-fold predictions are the validation part; 0 for none."""
    points: Steps = 1
    """How many of the model's search points are tried, its own options first; the best is fitted on all rows."""
    metric: Literal["average_precision", "log_loss", "f1", "balanced_accuracy"] = "average_precision"
    """What is best: of the predictions out of fold; f1 and balanced accuracy at the best threshold of each point."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Projected gradient ascent on the test images of a network, whose predictions are the part `attacked`."""

    steps: Count = 0
    """Steps of the attack, each along the sign of the gradient; 0 for no attack at all."""
    epsilon: Annotated[float, Ge(0)] = 8.0
    """Largest change of a pixel, in grey levels of raw images."""
    step_size: Annotated[float, Gt(0)] = 2.0
    """Change of a pixel in one step, in grey levels."""
    restarts: Steps = 1
    """Random starts; of an image and what they found of it, the one furthest on the wrong side is kept."""


@dataclass(frozen=True, kw_only=True)
class Finetune(Training):
    """The finetune stage."""

    method: dict = _method("finetuning", "all_layers")
    """What is trained, in which order."""
    semi_supervised: dict = _method("semi_supervised", "none")
    """What is learned from unlabelled examples beside the labelled ones."""
    inner: Inner = dataclasses.field(default_factory=Inner, metadata={"optional": True})
    """How options are searched and out-of-fold predictions made."""
    snapshots: Count = 0
    """Test predictions kept on the way, equally spaced: for curves and `best_on_test`, never to choose a model."""
    attack: Attack = dataclasses.field(default_factory=Attack, metadata={"optional": True})
    """How test images are attacked once the network is trained; what corrects its predictions comes after."""
    replicate: Count = 0
    """Another draw of initialisation, order and augmentation on the same data: the A/A case of a study."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """The evaluate stage."""

    rebalancing: dict = _method("rebalancing", "none")
    """What is done to predictions after training."""
    test_factor: Annotated[float, Ge(1)] = 1.0
    """Test examples of the most frequent class over those of the rarest; 1 leaves the test part as it is."""
    test_order: Literal["forward", "backward"] = "forward"
    """Whether the classes that are frequent in training are frequent in the test part, or the rare ones."""


@dataclass(frozen=True, kw_only=True)
class Unlabelled:
    """Training images whose labels are hidden, from what training and validation leave unused."""

    per_class: Count = 0
    """Images of the most frequent class; 0 for none at all."""
    factor: Annotated[float, Ge(1)] = 1.0
    """Images of the most frequent class over those of the rarest, exponentially between."""
    order: Literal["same", "reversed"] = "same"
    """Whether the classes that are frequent among the labelled images are so here, or the rare ones."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that defines a cell's numbers, apart from the seed."""

    data: dict = _method("datasets")
    """The data set."""
    imbalance: dict = _method("imbalance", "natural")
    """How many examples of each class training gets."""
    split: dict = _method("splits", "official")
    """Which rows are for training and which for testing, by seed."""
    rows: Count = 0
    """At most so many rows of the data, each class in proportion, the same for every seed; 0 for all."""
    label_noise: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of training labels replaced by another class, drawn uniformly."""
    validation: Count = 0
    """Examples of each class, from what training leaves unused, for a balanced validation part (oracle)."""
    validation_fraction: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of the training part held out for validation, stratified."""
    unlabelled: Unlabelled = dataclasses.field(default_factory=Unlabelled, metadata={"optional": True})
    """What semi-supervised learning, or pretraining on a corpus of its own, is given beside the labelled images."""
    preprocessing: dict = _method("preprocessing", "standardise")
    """How raw columns become a model's inputs; fitted on the training rows of a seed."""
    model: dict = _method("models")
    """The network or classical model."""
    head: dict = _method("heads", "linear")
    """What turns features into one output a class."""
    ensemble: dict = _method("ensembles", "none")
    """Several experts on shared early layers."""
    execution: Literal["loop", "stacked"] = "loop"
    """Seeds of a block one after the other, or stacked and stepped together where a recipe's parts allow it."""
    layout: Literal["contiguous", "channels_last"] = "contiguous"
    """How images lie in memory. Convolutions on a CPU like the channels of a pixel side by side: other rounding, less
    time."""
    precision: Literal["float32", "bf16"] = "float32"
    """What an encoder computes in while it is trained; bf16 halves the digits for tensor cores. Head, loss, weights and
    predictions are float32 either way."""
    compile: Literal["off", "default", "reduce-overhead"] = "off"
    """Whether torch compiles the encoder for training, in which of its modes; the second is CUDA graphs. The first job
    of a machine compiles for up to a minute, later ones find that in a cache."""
    sample: dict = _method("samplers", "none")
    """What fine-tuning's batches are drawn from."""
    pretrain: Pretrain
    """What is learned before."""
    finetune: Finetune
    """What is learned then."""
    evaluate: Evaluate = dataclasses.field(default_factory=Evaluate)
    """What is done to predictions."""


def merge(lower: Config, upper: Config) -> Config:
    """Return `lower` with `upper` laid over it; a mapping with another `name` replaces the whole mapping."""
    result = dict(lower)
    for key, value in upper.items():
        held = result.get(key)
        if (
            isinstance(held, dict)
            and isinstance(value, dict)
            and value.get("name", held.get("name")) == held.get("name")
        ):
            result[key] = merge(held, value)
        else:
            result[key] = value
    return result


def layer_of(dotted: Config, where: str) -> Config:
    """Return `{"finetune.optimizer.lr": 0.1}` as a layer of a recipe, checked like one that is written out."""
    layer: Config = {}
    for key, value in dotted.items():
        part: Any = value
        for name in reversed(key.split(".")):
            part = {name: part}
        layer = _deep(layer, normalise(part, where))
    return layer


def _deep(lower: Config, upper: Config) -> Config:
    return {
        **lower,
        **{
            k: _deep(lower[k], v) if isinstance(v, dict) and isinstance(lower.get(k), dict) else v
            for k, v in upper.items()
        },
    }


def section(schema: type, raw: Any, where: str) -> Config:
    """Return a section of a file that a dataclass describes: keys and values checked, defaults filled in."""
    hints, fields = _hints(schema), {f.name: f for f in dataclasses.fields(schema)}
    mapping(raw, where, fields)
    for name, f in fields.items():
        if name not in raw and f.default is MISSING and f.default_factory is MISSING:
            raise UserError(f"{where}: missing key '{name}'")
    given = {key: check(hints[key], value, f"{where}, {key}") for key, value in raw.items()}
    return json.loads(json.dumps({f: getattr(schema(**given), f) for f in fields}))


def mapping(raw: Any, where: str, valid: Iterable[str]) -> None:
    """Raise UserError unless `raw` is a mapping with no other than the valid keys."""
    if not isinstance(raw, dict):
        raise UserError(f"{where}: expected a mapping, found {shown(raw)}")
    for key in raw:
        if key not in valid:
            raise UserError(f"{where}: unknown key '{key}'{nearest(key, valid, 'docs/configuration.md')}")


def normalise(raw: Any, where: str, schema: type = Recipe) -> Config:
    """Return one layer of a recipe with every bare method name written as `{name: ...}`.

    Whatever the layer states is checked here, so that a fault is told where it stands; an option of a method that
    the layer does not name can only be checked by `resolve`.
    """
    fields = {f.name: f for f in dataclasses.fields(schema)}
    hints = _hints(schema)
    mapping(raw, where, fields)
    result: Config = {}
    for key, value in raw.items():
        place = f"{where}, {key}"
        if kind := fields[key].metadata.get("kind"):
            result[key] = {"name": value} if isinstance(value, str) else value
            if not isinstance(result[key], dict):
                raise _not_a_method(value, place)
            if "name" in result[key]:
                _options(result[key], kind, place)
        elif dataclasses.is_dataclass(hints[key]):
            result[key] = normalise(value, place, hints[key])
        else:
            result[key] = check(hints[key], value, place)
    return result


def default_methods(schema: type = Recipe) -> Config:
    """Return the layer below all others: the methods that are meant where none is named."""
    hints, result = _hints(schema), {}
    for f in dataclasses.fields(schema):
        if "kind" in f.metadata and f.default_factory is not MISSING:
            result[f.name] = f.default_factory()
        elif dataclasses.is_dataclass(hints[f.name]):
            result[f.name] = default_methods(hints[f.name])
    return result


Known = dict[tuple[int, str], tuple[Config, Config]]
"""What was made of a mapping, beside the mapping itself: recipes of a study share most of theirs with one another."""


def resolve(raw: Config, where: str, schema: type = Recipe, known: Known | None = None) -> Config:
    """Return the full, checked recipe with every default filled in; raise UserError at the first fault.

    `raw` is made of layers that `normalise` has checked, `default_methods` the lowest. Methods that are `known` are
    not resolved again: recipes share them, so nobody may change one.
    """
    known = {} if known is None else known
    result: Config = {}
    hints = _hints(schema)
    for f in dataclasses.fields(schema):
        place = f"{where}, {f.name}"
        hint, kind = hints[f.name], f.metadata.get("kind")
        if kind:
            if f.name not in raw:
                raise UserError(f"{where}: missing key '{f.name}' (one of: {some(registry.names(kind))})")
            spec = raw[f.name]
            if (id(spec), kind) not in known:
                known[id(spec), kind] = spec, _resolve_method(spec, kind, place)
            result[f.name] = known[id(spec), kind][1]
        elif dataclasses.is_dataclass(hint):
            result[f.name] = resolve(raw.get(f.name, {}), place, hint, known)  # type: ignore[arg-type]
        elif f.name not in raw and f.default is MISSING:
            raise UserError(f"{where}: missing key '{f.name}' ({_expected(hint)})")
        else:
            result[f.name] = raw.get(f.name, f.default)
    return result


def _resolve_method(spec: Config, kind: str, place: str) -> Config:
    if "name" not in spec:
        raise _not_a_method(spec, place)
    options = {**registry.options(kind, spec["name"]), **_options(spec, kind, place)}
    try:
        registry.method(kind, spec["name"])(**options)  # its own __post_init__ checks options against each other
    except (ValueError, UserError) as error:
        raise UserError(f"{place}: {error}") from None
    inner = registry.nested_kinds(kind, spec["name"])
    options |= {key: _resolve_method(options[key], inner[key], f"{place}.{key}") for key in inner}
    return {"name": spec["name"], **json.loads(json.dumps(options))}


def _options(spec: Config, kind: str, place: str) -> Config:
    """Return the options that a method is given, checked one by one."""
    if not isinstance(spec["name"], str):
        raise _not_a_method(spec, place)
    try:
        cls = registry.method(kind, spec["name"])
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    hints = _hints(cls)  # type: ignore[arg-type]
    valid, checked = registry.options(kind, spec["name"]), {}
    for key, option in spec.items():
        if key == "name":
            continue
        if key not in valid:
            raise UserError(
                f"{place}: {spec['name']} has no option '{key}'{nearest(key, valid, 'docs/configuration.md')}"
            )
        if inner := registry.nested_kinds(kind, spec["name"]).get(key):
            checked[key] = {"name": option} if isinstance(option, str) else option
            if not isinstance(checked[key], dict) or "name" not in checked[key]:
                raise _not_a_method(option, f"{place}.{key}")
            _options(checked[key], inner, f"{place}.{key}")
        else:
            checked[key] = check(hints[key], option, f"{place}.{key}")
    return checked


def _not_a_method(value: Any, place: str) -> UserError:
    return UserError(f"{place}: expected a method, as a name or {{name: ..., option: ...}}; found {shown(value)}")


def check(hint: Any, value: Any, place: str) -> Any:
    """Return a value that fits its annotation; raise UserError that says what was expected."""
    import pydantic

    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise UserError(f"{place}: expected finite numbers, texts, lists and mappings; found {shown(value)}") from None
    try:
        return _adapter(hint).validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        faults = error.errors()
        inner, found = "", value
        if len(faults) == 1:  # of a union, one for each kind that it might have been
            inner, found = "".join(f"[{part}]" for part in faults[0]["loc"]), faults[0]["input"]
        said = dict.fromkeys(f["msg"].removeprefix("Input should be ") for f in faults)
        expected = " or ".join(_PLAIN.get(words, words) for words in said)
        raise UserError(f"{place}{inner}: expected {expected}; found {shown(found)}") from None


_PLAIN = {  # what pydantic says
    "a valid string": "a text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid array": "a list",
    "an object": "a mapping",
}


@cache
def _adapter(hint: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(hint)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _expected(hint: Any) -> str:
    kind = get_args(hint)[0] if get_args(hint) else hint
    return {int: "a whole number", float: "a number"}.get(kind, str(kind))


def shown(value: Any) -> str:
    """Return a value as an error message shows it."""
    try:
        text = json.dumps(value, default=str)
    except ValueError:  # an integer of thousands of digits
        text = f"{type(value).__name__} too long to show"
    return text if len(text) <= 60 else text[:57] + "..."


def canonical(
    resolved: Config, schema: type = Recipe, keys: tuple[str, ...] | None = None, known: Known | None = None
) -> Config:
    """Return the canonical form of (some keys of) a resolved section: what is hashed into a cell's id."""
    known = {} if known is None else known
    result: Config = {}
    hints = _hints(schema)
    for f in dataclasses.fields(schema):
        if f.name not in resolved or (keys is not None and f.name not in keys):
            continue
        value = resolved[f.name]
        if kind := f.metadata.get("kind"):
            if (id(value), kind) not in known:
                known[id(value), kind] = value, canonical_method(kind, value)
            held = known[id(value), kind][1]
            default = None if f.default_factory is MISSING else f.default_factory()["name"]
            if held != {"name": f"{default}@1"}:
                result[f.name] = held
        elif dataclasses.is_dataclass(hints[f.name]):
            held = canonical(value, hints[f.name], known=known)
            if held or not f.metadata.get("optional"):
                result[f.name] = held
        elif value != f.default:
            result[f.name] = value
    return result


@cache
def _defaults(kind: str, name: str) -> Config:
    """Return a method's defaults as JSON would hold them; not to be changed."""
    return json.loads(json.dumps(registry.options(kind, name)))


def canonical_method(kind: str, spec: Config) -> Config:
    """Return a method's name with its version, and its options that are not at their default."""
    defaults = _defaults(kind, spec["name"])
    version = registry.method(kind, spec["name"]).version
    inner = registry.nested_kinds(kind, spec["name"])
    kept = {k: v for k, v in spec.items() if k != "name" and k not in inner and v != defaults[k]}
    kept |= {k: canonical_method(inner[k], spec[k]) for k in inner}  # also at its default: its version counts
    return {"name": f"{spec['name']}@{version}", **kept}
