"""A study file: one published result, as cases, a grid, seeds and claims, at several scales."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterpoise.config import Config, merge, normalise, read_yaml, resolve
from counterpoise.errors import UserError, nearest

CONFIG = Path("config")


@dataclass(frozen=True)
class Point:
    """One grid point: a label for people, the factors that vary, and the overrides that they stand for."""

    label: str
    factors: dict[str, Any]
    overrides: Config


@dataclass(frozen=True)
class Study:
    """A study at one scale, resolved: every (case, point) has a full recipe."""

    name: str
    scale: str
    title: str
    source: dict[str, Any]
    base: str
    block: int
    seeds: tuple[int, ...]
    primary: dict[str, Any]
    cases: tuple[str, ...]
    points: tuple[Point, ...]
    recipes: dict[tuple[str, str], Config]
    claims: list[dict[str, Any]]
    reference: list[dict[str, Any]] = field(default_factory=list)
    gate: dict[str, Any] | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """The row of the literature that this study belongs to."""
        return self.name.split("_", 1)[0]


_KEYS = {"title", "source", "base", "cases", "grid", "seeds", "primary", "reference", "claims", "scales", "gate"}
_SCALE_KEYS = {"base", "config", "cases", "only", "grid", "seeds", "scope", "note", "gate", "margin"}
_PRIMARY = {"metric", "selection", "transform"}


def available(config: Path = CONFIG) -> dict[str, Path]:
    """Return all study files by name."""
    return {p.stem: p for p in sorted((config / "studies").glob("*.yaml"))}


def select(wanted: str | list[str], config: Path = CONFIG) -> list[str]:
    """Return the names of the studies that `wanted` means: a name, a key such as buda2018, or several of them."""
    known = available(config)
    words = [w.strip() for w in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    chosen: list[str] = []
    for word in words:
        found = [n for n in known if n == word or n.split("_", 1)[0] == word or word == "all"]
        if not found:
            keys = {n.split("_", 1)[0] for n in known}
            raise UserError(f"unknown study '{word}' in {config / 'studies'}{nearest(word, keys | set(known))}")
        chosen += [n for n in found if n not in chosen]
    return chosen


def load(name: str, scale: str, config: Path = CONFIG) -> Study:
    """Read and check one study at one scale; raise UserError that names file, case and key."""
    path = config / "studies" / f"{name}.yaml"
    raw = read_yaml(path)
    where = str(path)
    _only(raw, _KEYS, where)
    for key in ("title", "source", "base", "cases", "seeds", "primary", "claims", "scales"):
        if key not in raw:
            raise UserError(f"{where}: missing key '{key}'")
    _only(raw["primary"], _PRIMARY, f"{where}, primary")
    if scale not in raw["scales"]:
        raise UserError(f"{where}: no scale '{scale}'{nearest(scale, raw['scales'])}")
    patch = raw["scales"][scale] or {}
    _only(patch, _SCALE_KEYS, f"{where}, scales, {scale}")

    base_name = patch.get("base", raw["base"])
    block, base = read_base(base_name, config, where)
    base = merge(base, normalise(patch.get("config", {}), f"{where}, scales, {scale}, config"))
    cases = _cases(raw, patch, where, scale)
    points = [p for product in patch.get("grid", raw.get("grid", [{}])) for p in _product(product, f"{where}, grid")]
    recipes = {
        (case, point.label): resolve(
            merge(merge(base, override), point.overrides),
            f"{where}, case {case}" + (f" at {point.label}" if point.label else ""),
        )
        for case, override in cases.items()
        for point in points
    }
    return Study(
        name=name,
        scale=scale,
        title=raw["title"],
        source=raw["source"],
        base=base_name,
        block=block,
        seeds=_seeds(patch.get("seeds", raw["seeds"]), block, where),
        primary={"selection": "last", "transform": "none", **raw["primary"]},
        cases=tuple(cases),
        points=tuple(points),
        recipes=recipes,
        claims=[
            _scaled_claim(c, patch) for c in raw["claims"] if not _cases_of(c) & (raw["cases"].keys() - cases.keys())
        ],
        reference=raw.get("reference", []),
        gate=patch.get("gate", raw.get("gate")),
        note=patch.get("note", ""),
    )


def read_base(name: str, config: Path, where: str) -> tuple[int, Config]:
    """Return the block length and the partial recipe of a base."""
    known = {p.stem for p in (config / "bases").glob("*.yaml")}
    if name not in known:
        raise UserError(f"{where}, base: unknown base '{name}'{nearest(name, known)}")
    path = config / "bases" / f"{name}.yaml"
    raw = dict(read_yaml(path))
    if "block" not in raw:
        raise UserError(f"{path}: missing key 'block' (how many seeds one job computes)")
    block = raw.pop("block")
    if not isinstance(block, int) or block < 1:
        raise UserError(f"{path}, block: expected a whole number of 1 or more, found {block}")
    return block, normalise(raw, str(path))


def _cases(raw: Config, patch: Config, where: str, scale: str) -> dict[str, Config]:
    """Return the cases of a scale, each with the scale's changes laid over it."""
    changes = patch.get("cases") or {}
    for listed, place in ((changes, "cases"), (patch.get("only", []), "only")):
        for case in listed:
            if case not in raw["cases"]:
                raise UserError(
                    f"{where}, scales, {scale}, {place}: unknown case '{case}'{nearest(case, raw['cases'])}"
                )
    wanted = patch.get("only", list(raw["cases"]))
    return {
        case: merge(
            normalise(raw["cases"][case] or {}, f"{where}, case {case}"),
            normalise(changes.get(case) or {}, f"{where}, scales, {scale}, cases, {case}"),
        )
        for case in wanted
    }


def _product(product: Any, where: str) -> list[Point]:
    """Return the points of one product: a key whose value is a list is an axis, any other is fixed."""
    if not isinstance(product, dict):
        raise UserError(f"{where}: expected a list of mappings such as {{imbalance.rho: [10, 100]}}")
    axes = {k: v if isinstance(v, list) else [v] for k, v in product.items()}
    if any(not v for v in axes.values()):
        raise UserError(f"{where}: an axis without values")
    points = []
    for values in itertools.product(*axes.values()):
        factors = dict(zip(axes, values, strict=True))
        overrides: Config = {}
        for key, value in factors.items():
            nested: Any = value
            for part in reversed(key.split(".")):
                nested = {part: nested}
            overrides = _deep(overrides, normalise(nested, where))
        label = ", ".join(f"{k.rpartition('.')[2]}={v}" for k, v in factors.items())
        points.append(Point(label, factors, overrides))
    return points


def _deep(lower: Config, upper: Config) -> Config:
    return {
        **lower,
        **{
            k: _deep(lower[k], v) if isinstance(v, dict) and isinstance(lower.get(k), dict) else v
            for k, v in upper.items()
        },
    }


def _seeds(value: Any, block: int, where: str) -> tuple[int, ...]:
    """Return the seeds; whole blocks only, so that seeds added later only add jobs."""
    first, count = (value.get("first", 0), value.get("count")) if isinstance(value, dict) else (0, value)
    if not isinstance(count, int) or not isinstance(first, int) or count < 1 or first < 0:
        raise UserError(f"{where}, seeds: expected a number, or {{first: ..., count: ...}}; found {value}")
    if count % block or first % block:
        up = -(-count // block) * block
        raise UserError(
            f"{where}, seeds: {value} does not fill blocks of {block} (the base's `block`), aligned at 0; "
            f"write {up if not isinstance(value, dict) else {'first': first // block * block, 'count': up}}"
        )
    return tuple(range(first, first + count))


def _cases_of(claim: Any) -> set[str]:
    """Return the cases that a claim names."""
    named: set[str] = set()
    for key in ("A", "B", "C", "D", "levels"):
        value = claim.get(key, ()) if isinstance(claim, dict) else ()
        named |= {value} if isinstance(value, str) else set(value)
    return named


def _scaled_claim(claim: Config, patch: Config) -> Config:
    """Return the claim with the scale's own scope and margin, where it states them."""
    return {**claim, **{k: patch[k] for k in ("scope", "margin") if k in patch and k not in claim}}


def _only(raw: Any, valid: set[str], where: str) -> None:
    if not isinstance(raw, dict):
        raise UserError(f"{where}: expected a mapping, found {raw!r}")
    for key in raw:
        if key not in valid:
            raise UserError(f"{where}: unknown key '{key}'{nearest(key, valid)}")
