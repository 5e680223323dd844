"""What a method's file must define, by kind: checked when it is loaded, so that what is missing is one line.

The whole contract of a kind, with what is optional, is the docstring of its folder's `__init__.py`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from counterpoise.errors import UserError

MISSING, OF_INSTANCES = object(), object()
IDLE = {"none", "official", "standardise", "checkpoint", "fit"}  # they leave their step as it is

# Kind -> what each of its methods defines: one of each row.
REQUIRED: dict[str, tuple[tuple[str, ...], ...]] = {
    "imbalance": (("counts(available_C, order_C) -> counts_C",),),
    "splits": (("parts(y_N, seed, values_N) -> (is_candidate_N, is_test_N)",),),
    "preprocessing": (("fit(x_ND, columns) -> Fitted",),),
    "samplers": (
        (
            "draw(labels_N, *, epoch, epochs, fixed, shuffle) -> positions_M",
            "resample(x_ND, y_N, columns, random) -> (x_MD, y_M)",
        ),
    ),
    "models": (
        ("encoder(shape) -> (nn.Module, features)", "fit(x_ND, y_N, seed, weights_N=None) -> estimator"),
        ("encoder", "classical: ClassVar[bool] = True"),
        ("encoder", "weighted: ClassVar[bool]"),
        ("encoder", "missing: ClassVar[bool]"),
    ),
    "heads": (("head(features, classes) -> nn.Module",),),
    "ensembles": (
        ("loss(outputs_BEC, features_BED, labels_B, counts_C, criterion, progress) -> scalar",),
        ("combine(logits_BEC) -> logits_BC",),
        ("experts",),
    ),
    "augmentation": (("__call__(images_BCHW, generator) -> images_BCHW",),),
    "mixing": (("mix(x_B, others_B, labels_B, other_labels_B, counts_C, generator) -> (mixed_B, share_B)",),),
    "losses": (("__call__(logits_BC, labels_B, counts_C) -> scalar",),),
    "optimizers": (("build(parameters) -> torch.optim.Optimizer",), ("lr",)),
    "schedules": (("factor(step, steps) -> float",),),
    "pretraining": (
        ("loss(outputs, targets, criterion, counts_C) -> (scalar, hits)", "objective(step) -> (scalar, hits)"),
        ("transfers_head: ClassVar[bool]",),
    ),
    "finetuning": (("phases(phase) -> list[Phase]",), ("fresh_head: ClassVar[bool]",)),
    "semi_supervised": (("objective(step, rows=None) -> (scalar, hits)",), ("unlabelled_ratio",)),
    "rebalancing": (("fit(evidence) -> rule",), ("needs_validation: ClassVar[bool]",)),
}


def _whole_numbers(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(type(n) is int and n > 0 for n in value)


def _names(value: Any) -> bool:
    return isinstance(value, tuple) and len(set(value)) == len(value) > 1 and all(type(n) is str and n for n in value)


def _files(value: Any) -> bool:
    checksum = re.compile("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}")
    return isinstance(value, Mapping) and all(
        isinstance(entry, tuple) and len(entry) == 2 and all(type(part) is str for part in entry)
        and re.match("https?://", entry[0]) and checksum.fullmatch(entry[1])
        for entry in value.values()
    )  # fmt: skip


# Attribute of a data set -> what it must be, in words, and whether a value is that.
DATA_SET: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "kind": ('"image" or "table"', lambda v: v in ("image", "table")),
    "classes": ("a tuple of two or more different strings, the names of the classes", _names),
    "shape": ("a tuple of whole numbers, (C, H, W) of an image or (D,) of a table row", _whole_numbers),
    "train_counts": ("a tuple of whole numbers, the examples of each class in the training part", _whole_numbers),
    "data_hash": ("64 hexadecimal digits", lambda v: type(v) is str and re.fullmatch("[0-9a-f]{64}", v)),
    "files": ('a dict {file name: (URL, "md5:..." or "sha256:...")}, empty if a package has the data', _files),
    "read": ("a method read(self, locate) -> (train_x, train_y, test_x, test_y)", callable),
}
MEASURED = ("shape", "train_counts", "data_hash", "files")  # what `counterpoise hash` prints


def check(kind: str, name: str, cls: type[Any] | None) -> None:
    """Raise UserError naming the first attribute that a method lacks, or whose value is wrong."""
    where = f"counterpoise/methods/{kind}/{name}.py"
    if cls is None:
        raise UserError(f"{where}: expected a class `Method`")
    if not (dataclasses.is_dataclass(cls) and cls.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise UserError(f"{where}: class Method: expected `@dataclass(frozen=True)`")
    if type(vars(cls).get("version")) is not int or "version" in {f.name for f in dataclasses.fields(cls)}:
        raise UserError(f"{where}: class Method: expected `version: ClassVar[int] = 1`")
    if kind == "datasets":
        _check_data_set(where, name, cls)
    elif name not in IDLE:
        for needed in REQUIRED[kind]:
            called = [re.match(r"\w+", one)[0] for one in needed]  # type: ignore[index]
            if all(_value(cls, one) is MISSING for one in called):
                missing = " or ".join(f"`{one}`" for one in needed)
                raise UserError(f"{where}: class Method: missing {missing}{_meant(cls, called[0])}")


def _check_data_set(where: str, name: str, cls: type[Any]) -> None:
    for attribute, (meaning, is_right) in DATA_SET.items():
        hint = f"; `counterpoise hash {name}` prints it" if attribute in MEASURED else ""
        value = _value(cls, attribute)
        if value is MISSING:
            raise UserError(f"{where}: missing `{attribute}`: {meaning}{_meant(cls, attribute) or hint}")
        if value is not OF_INSTANCES and not is_right(value):
            raise UserError(f"{where}: `{attribute}` is {value!r:.80}, expected {meaning}{hint}")
    counts, classes = _value(cls, "train_counts"), _value(cls, "classes")
    if OF_INSTANCES not in (counts, classes) and len(counts) != len(classes):
        raise UserError(f"{where}: `train_counts` has {len(counts)} numbers for {len(classes)} classes")
    if cls.kind == "image" and _value(cls, "pool") is MISSING:
        raise UserError(f"{where}: missing the option `pool: Annotated[int, Interval(ge=1)] = 1` of an image data set")


def _value(cls: type[Any], attribute: str) -> Any:
    """Return an attribute of the class, OF_INSTANCES where only they have a value, or MISSING."""
    value = next((vars(base)[attribute] for base in cls.__mro__ if attribute in vars(base)), MISSING)
    if attribute in {f.name for f in dataclasses.fields(cls)} or isinstance(value, property):
        return OF_INSTANCES
    return value


def _meant(cls: type[Any], attribute: str) -> str:
    close = get_close_matches(attribute, [name for name in dir(cls) if not name.startswith("__")], n=1, cutoff=0.6)
    return f"; rename `{close[0]}`, if that is what it is" if close else ""
