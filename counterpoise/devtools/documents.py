"""Documents that are written from the code, so that they cannot fall behind it: pages of `docs/` and the JSON schema.

Meanings come from the docstring under each field of a dataclass and from the first lines of each method's file.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import importlib
import inspect
import itertools
import json
import textwrap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from counterpoise import numerals, registry
from counterpoise.cli import parser
from counterpoise.errors import UserError
from counterpoise.judging import claims
from counterpoise.planning import config
from counterpoise.planning.schema import SCOPES, Primary, Reference, ScaleFile, Selection, Settings, Source, StudyFile
from counterpoise.readers import read_json

CLAIM_KEYS = {
    "text": "The paper's claim, in a sentence.",
    "form": "What kind of claim it is: see the table of forms.",
    "scope": "as_published, scaled (smaller data or budget) or analogue (another task, capped).",
    "metric": "Default: that of `primary`.",
    "selection": f"One of {', '.join(claims.SELECTIONS)}. Default: that of `primary`.",
    "split": f"One of {', '.join(claims.SPLITS)}; attacked needs finetune.attack, the last is the gap. Default: test.",
    "transform": "none, or logit where the metric saturates. Default: that of `primary`.",
    "lower_is_better": "true or false; to be stated for a cost and for a train-test gap.",
    "on": "The part of the grid: factor, or the end of its dotted name, -> value or list of values. Default: all.",
    "margin": "The smallest effect that counts, in the metric's unit (a correlation for `depends` and `ranks`).",
    "concerns": "What the paper's claim concerns that is not tested here.",
    "against": "Positions in `reference` to compare with, from 0.",
    "key": "The row of the literature, where it is not the study's.",
    "A": "The case that the claim is about.",
    "B": "What it is compared with: a case, a number, or (dominates) a list of cases.",
    "C": "The first case of the second difference, (A - B) - (C - D).",
    "D": "The second case of the second difference.",
    "to": "A case or a number that A should come close to.",
    "factor": "The grid factor that moves the optimum.",
    "levels": "Case -> its level: the cases among which the optimum is looked for.",
    "direction": "up or down, where the claim says which way the optimum moves.",
    "share": "The share of seeds in which A beats B.",
    "pairs": "Published pairs [better, worse].",
    "across": "The factor whose values are the unit, one mean each, for instance `data`; seeds where it is left out.",
}
FORMS = {
    "better": "A is better than B.",
    "no_worse": "A is not worse than B by the margin.",
    "close": "A is within the margin of `to`.",
    "dominates": "A is best on the means, and nowhere worse than the best by the margin in 90 % of the grid.",
    "depends": "The best level moves with the factor.",
    "interaction": "A gains more over B than C over D.",
    "exists": "A beats B in at least this share of seeds.",
    "ranks": "The order of the cases agrees with the published one.",
}
VERDICTS = ("reproduced", "ordering only", "not reproduced", "refuted", "inconclusive")
HEADINGS = ("Source", "Shapes", "Units", "Raises", "Differs from the source")
RESULTS = ("<!-- results: written by `make docs` from published/ -->", "<!-- end of results -->")
GENERATED = "<!-- Written by `make docs` from the code; do not edit. -->"


def configuration() -> str:
    """Return `docs/configuration.md`: every key that a file may hold."""
    parts = [
        "# Configuration",
        GENERATED,
        "Layers are laid over each other by key: base < scale < case < grid point. Naming another method drops the "
        "options of the old one. A method is written `{name: ..., option: ...}` or, without options, as its bare "
        "name. An unknown key is an error that names the nearest valid one; `counterpoise check` finds them all.",
        "## config/config.yaml",
        _keys(Settings),
        "## A study: config/studies/&lt;author&gt;&lt;year&gt;_&lt;topic&gt;.yaml",
        _keys(StudyFile),
        "### scales",
        _keys(ScaleFile),
        "### selections",
        _keys(Selection),
        "### source",
        _keys(Source),
        "### primary",
        _keys(Primary),
        "### reference",
        _keys(Reference),
        "### claims and controls",
        _table(("key", "meaning"), [(f"`{key}`", meaning) for key, meaning in CLAIM_KEYS.items()]),
        _table(
            ("form", "says", "keys"),
            [(f"`{form}`", FORMS[form], _codes([*keys, *claims.OPTIONAL.get(form, ())])) for form, keys in _forms()],
        ),
        "## A recipe: what a base, a case and a grid point may set",
        "A base (`config/bases/*.yaml`) also has `block`: how many seeds one job computes.",
        _keys(config.Recipe),
        "### unlabelled",
        _keys(config.Unlabelled),
        "### pretrain",
        _keys(config.Pretrain),
        "### finetune",
        _keys(config.Finetune),
        "### finetune.inner",
        _keys(config.Inner),
        "### finetune.attack",
        _keys(config.Attack),
        "### evaluate",
        _keys(config.Evaluate),
        "## Methods",
        *[part for kind in registry.KINDS for part in (f"### {kind}", *map(_method_text(kind), registry.names(kind)))],
    ]
    return "\n\n".join(parts) + "\n"


def results(readme: str, published: Path) -> str:
    """Return the README with one line a published study between its two marks: how many claims came to what."""
    before, _, rest = readme.partition(RESULTS[0])
    _, _, after = rest.partition(RESULTS[1])
    rows = []
    for path, held in _published(published):
        found = [claim["verdict"] for claim in held["claims"]]
        counts = [str(found.count(verdict) or "") for verdict in VERDICTS]
        rows.append((f"[{held['study']}](published/{path.stem}.md)", held["title"], *counts))
    return f"{before}{RESULTS[0]}\n{_table(('study', 'question', *VERDICTS), rows)}\n{RESULTS[1]}{after}"


def verdicts(published: Path) -> str:
    """Return `docs/results.md`: the verdict of every published claim."""
    rows = []
    for path, held in _published(published):
        for claim in held["claims"]:
            effect = numerals.estimate(claim["effect"], claim["interval"], 3)
            link = f"[{held['study']}](../published/{path.stem}.md)"
            rows.append((claim["text"], f"**{claim['verdict']}**", effect, str(claim["n"]), claim["scope"], link))
    head = (
        "Effects are signed in favour of the claim, in units of its metric (logits of the AUC where it saturates). "
        "Each study's page has the sentence that says what was compared, and what the claim concerns beyond it."
    )
    table = _table(("claim", "verdict", "effect [interval]", "n", "scope", "study"), rows)
    return f"# Every verdict\n\n{GENERATED}\n\n{head}\n\n{table}\n"


def _published(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    return [(path, read_json(path)) for path in sorted(folder.glob("*.json"))]


def methods(published: Path) -> str:
    """Return `docs/methods.md`: every method with its source, how it differs, and the verdicts of its studies."""
    verdicts = _verdicts(published)
    parts = [
        "# Methods",
        GENERATED,
        "What each method file says of itself. Verdicts are those of the claims whose first case uses the method, "
        "at any published scale; [verdicts.md](verdicts.md) says how they come about.",
    ]
    for kind in registry.KINDS:
        rows = []
        for name in registry.names(kind):
            said = _said(kind, name)
            rows.append((f"`{name}`", said[""], said["Source"], said["Differs from the source"], verdicts(kind, name)))
        parts += [f"## {kind}", _table(("method", "does", "source", "differs from the source", "verdicts"), rows)]
    return "\n\n".join(parts) + "\n"


def _said(kind: str, name: str) -> dict[str, str]:
    """Return the parts of a method's docstring by their heading; the sentence has none."""
    doc = inspect.getdoc(importlib.import_module(f"counterpoise.methods.{kind}.{name}")) or ""
    found, heading = {"": ""}, ""
    for line in doc.splitlines():
        start = next((h for h in HEADINGS if line.startswith(f"{h}: ")), None)
        heading = heading if start is None else start
        found[heading] = found.get(heading, "") + " " + line.removeprefix(f"{start}: ")
    return {h: " ".join(text.split()) for h, text in found.items()}


def _verdicts(published: Path) -> Callable[[str, str], str]:
    """Return what says the verdicts of a method: kind, name -> how many of which, with links to the studies."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for path in sorted(published.glob("*.json")):
        held = read_json(path)
        for claim in held["claims"]:
            for kind, name in held.get("methods", {}).get(claim.get("A") or "", []):
                found.setdefault((kind, name), []).append((claim["verdict"], path.stem))

    def say(kind: str, name: str) -> str:
        own = found.get((kind, name), [])
        counts = [f"{sum(v == word for v, _ in own)} {word}" for word in dict.fromkeys(v for v, _ in own)]
        links = [f"[{stem}](../published/{stem}.md)" for stem in dict.fromkeys(stem for _, stem in own)]
        return f"{', '.join(counts)} ({', '.join(links)})" if own else "–"

    return say


def commands() -> str:
    """Return `docs/commands.md`: the help of every command."""
    top = parser()
    (choices,) = (a.choices for a in top._actions if isinstance(a, argparse._SubParsersAction))
    parts = ["# Commands", GENERATED, f"```\n{_help(top)}\n```"]
    for name, command in choices.items():
        parts += [f"## {name}", f"```\n{_help(command)}\n```"]
    return "\n\n".join(parts) + "\n"


def schema() -> str:
    """Return `workflow/schemas/config.schema.json`: a study file, for editors."""
    recipe = _recipe_schema(config.Recipe)
    scale = _object_schema(ScaleFile, {"config": _ref("recipe"), "cases": _cases_schema()})
    claim = {
        "type": "object",
        "required": ["text", "form"],
        "additionalProperties": False,
        "properties": {
            **{key: {"description": meaning} for key, meaning in CLAIM_KEYS.items()},
            "form": {"enum": list(claims.FORMS), "description": CLAIM_KEYS["form"]},
            "scope": {"enum": list(SCOPES), "description": CLAIM_KEYS["scope"]},
        },
    }
    nested = {
        "cases": {**_cases_schema(), "minProperties": 1},
        "source": _object_schema(Source),
        "primary": _object_schema(Primary),
        "reference": {"type": "array", "items": _object_schema(Reference)},
        "claims": {"type": "array", "items": claim},
        "controls": {"type": "array", "items": claim},
        "scales": {"type": "object", "additionalProperties": {"anyOf": [scale, {"type": "null"}]}, "minProperties": 1},
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of Counterpoise (written by `make docs`)",
        **_object_schema(StudyFile, nested),
        "$defs": {"recipe": recipe},
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def field_docs(cls: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, those of its bases included.

    Raises UserError for a field without one.
    """
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0].body  # type: ignore[attr-defined]
        for node, after in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[node.target.id] = " ".join(str(after.value.value).split())  # type: ignore[union-attr]
    if without := [f.name for f in dataclasses.fields(cls) if f.name not in found]:
        raise UserError(f"{cls.__module__}.{cls.__name__}: `{without[0]}` has no docstring on the line under it")
    return found


def _forms() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from claims.FORMS.items()


def _codes(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _help(command: argparse.ArgumentParser) -> str:
    command.formatter_class = partial(argparse.RawDescriptionHelpFormatter, width=100)
    return command.format_help().rstrip()


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)


def _keys(cls: type) -> str:
    """Return a table of the keys that a dataclass describes."""
    hints, docs, rows = get_type_hints(cls, include_extras=True), field_docs(cls), []
    for f in dataclasses.fields(cls):
        kind = f.metadata.get("kind")
        of = f"method of [{kind}](#{kind})" if kind else _type(hints[f.name])
        rows.append((f"`{f.name}`", of, _default(f), docs[f.name]))
    return _table(("key", "type", "default", "meaning"), rows)


def _default(f: dataclasses.Field) -> str:
    if f.default is not dataclasses.MISSING:
        return f"`{json.dumps(f.default)}`"
    if f.default_factory is dataclasses.MISSING:
        return "required"
    value = f.default_factory()
    if dataclasses.is_dataclass(value):
        return ""
    return f"`{value['name'] if isinstance(value, dict) and 'name' in value else json.dumps(value)}`"


def _type(hint: Any) -> str:
    if dataclasses.is_dataclass(hint):
        return "section"
    return _words(TypeAdapter(hint).json_schema())


def _words(found: dict[str, Any]) -> str:
    """Return a JSON schema in words."""
    if "anyOf" in found:
        return " or ".join(_words(part) for part in found["anyOf"])
    if "enum" in found:
        return ", ".join(map(str, found["enum"]))
    kinds = {"integer": "whole number", "string": "text", "boolean": "true or false", "array": "list"}
    kind = kinds.get(found.get("type", ""), found.get("type", "anything"))
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    kind = "mapping" if kind == "object" else kind
    limits = ", ".join(f"{sign} {found[key]:g}" for key, sign in bounds.items() if key in found)
    inner = f" of {_words(found['items'])}" if found.get("items") else ""
    return kind + inner + (f" {limits}" if limits else "")


def _method_text(kind: str) -> Callable[[str], str]:
    def text(name: str) -> str:
        cls = registry.method(kind, name)
        module = inspect.getdoc(importlib.import_module(cls.__module__)) or ""
        summary, _, details = module.partition("\n\n")
        source = " ".join(details.partition("Source:")[2].partition("\nShapes:")[0].split())
        lines = [f"#### {name}", " ".join(summary.split()), f"Source: {source}"]
        if dataclasses.fields(cls):
            hints, docs = get_type_hints(cls, include_extras=True), field_docs(cls)
            rows = [(f"`{f.name}`", _type(hints[f.name]), _default(f), docs[f.name]) for f in dataclasses.fields(cls)]
            lines.append(_table(("option", "type", "default", "meaning"), rows))
        return "\n\n".join(lines)

    return text


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _cases_schema() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"anyOf": [_ref("recipe"), {"type": "null"}]}}


def _object_schema(cls: type, nested: dict[str, Any] | None = None) -> dict[str, Any]:
    hints, docs = get_type_hints(cls, include_extras=True), field_docs(cls)
    properties = {
        f.name: {
            **((nested or {}).get(f.name) or TypeAdapter(hints[f.name]).json_schema()),
            "description": docs[f.name],
        }
        for f in dataclasses.fields(cls)
    }
    required = [
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _recipe_schema(cls: type) -> dict[str, Any]:
    """Return the schema of one layer of a recipe, in which nothing is required."""
    hints, docs, properties = get_type_hints(cls, include_extras=True), field_docs(cls), {}
    for f in dataclasses.fields(cls):
        if kind := f.metadata.get("kind"):
            found = _method_schema(kind)
        elif dataclasses.is_dataclass(hints[f.name]):
            found = _recipe_schema(hints[f.name])
        else:
            found = TypeAdapter(hints[f.name]).json_schema()
        properties[f.name] = {**found, "description": docs[f.name]}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _method_schema(kind: str) -> dict[str, Any]:
    """Return the schema of a method's bare name, its mapping, or options for the method of a lower layer."""
    names = registry.names(kind)
    forms: list[dict[str, Any]] = [{"enum": list(names)}]
    for name in names:
        found = _object_schema(registry.method(kind, name))
        found["properties"] = {"name": {"const": name}, **found["properties"]}
        forms.append({**found, "required": []})
    return {"anyOf": forms}
