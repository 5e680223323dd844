"""Configuration files are YAML: read strictly, and within limits that no file written by hand comes near.

Without them a few bytes can take all memory (aliases that double each other), end the process (deep nesting
overflows the stack of the C reader) or run for ever (integers of many digits).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import yaml

from counterpoise.errors import UserError

BYTES = 4_000_000
DEPTH = 30
VALUES = 100_000  # aliases counted as often as they are used
DIGITS = 18  # of an integer, so that it fits 64 bits
KEY = 60  # characters of a key or a number that a message shows
_PREFIX = "tag:yaml.org,2002:"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with the plain scalars of version 1.2, where `on` is a key, 1e-3 a number and a date a text."""

    yaml_implicit_resolvers: ClassVar[dict] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuse a key that is not a text, and one that is there twice: YAML would silently keep the last."""
        keys: set[str] = set()
        for key, _ in node.value:
            if key.tag != f"{_PREFIX}str":
                shown = f" '{key.value[:KEY]}'" if isinstance(key, yaml.ScalarNode) else ""
                raise _fault(f"key{shown} is not a text (put quotes around it)", key.start_mark)
            if key.value in keys:
                raise _fault(f"key '{key.value[:KEY]}' is there twice", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"{_PREFIX}{_tag}", re.compile(f"(?:{_pattern})$"), [*_first, ""])


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    if (digits := len(node.value.lstrip("+-"))) > DIGITS:
        raise _fault(f"integer of {digits:,} digits, expected {DIGITS} at most", node.start_mark)
    return int(node.value)


_Loader.add_constructor(f"{_PREFIX}int", _construct_int)


def read_yaml(path: Path) -> Any:
    """Read a YAML file; raise UserError with file and line if it cannot be read or goes beyond a limit."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder, expected a YAML file")
        if (size := path.stat().st_size) > BYTES:
            raise UserError(f"{path}: {size:,} bytes, expected {BYTES:,} at most")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        _check_limits(text)
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        if (
            mark
            and "cannot start any token" in problem
            and text.splitlines()[mark.line][mark.column :].startswith("\t")
        ):
            problem = "found a tab; indent with spaces"
        raise UserError(f"{path}{line}: not valid YAML: {problem}") from None


def _check_limits(text: str) -> None:
    """Go through a document without building it; raise YAMLError at the first place beyond a limit."""
    values = 0
    started: list[tuple[str | None, int]] = []  # the collections around this place: anchor, values before it
    sizes: dict[str | None, int] = {}  # values below each anchor
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = started.pop()
            sizes[anchor] = values - before
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in started):
                raise _fault(f"alias *{event.anchor} stands inside what it names", event.start_mark)
            values += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            values += 1
            if event.tag is not None:
                raise _fault(f"tag {event.tag} is not allowed; quotes make a text", event.start_mark)
            if isinstance(event, yaml.CollectionStartEvent):
                started.append((event.anchor, values - 1))
        if len(started) > DEPTH:
            raise _fault(f"nested more than {DEPTH} deep", event.start_mark)
        if values > VALUES:
            raise _fault(f"more than {VALUES:,} values", event.start_mark)


def _fault(problem: str, mark: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, mark)
