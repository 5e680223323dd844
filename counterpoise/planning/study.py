"""A study file: one published result, as cases, a grid, seeds and claims, at several scales."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from counterpoise.errors import UserError, nearest
from counterpoise.planning import names
from counterpoise.planning import tuned as tuning
from counterpoise.planning.config import (
    Config,
    Known,
    Recipe,
    check,
    default_methods,
    mapping,
    merge,
    normalise,
    resolve,
    section,
    shown,
)
from counterpoise.planning.grid import Point, grid_points
from counterpoise.planning.schema import (
    SCOPES,
    SEEDS,
    UNJUDGED,
    Primary,
    Reference,
    ScaleFile,
    Selection,
    Settings,
    Source,
    StudyFile,
)
from counterpoise.planning.yaml_files import read_yaml

CONFIG = Path("config")
LISTED = "`counterpoise names studies`"
RECIPES = 20_000  # cases times points


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
    controls: list[dict[str, Any]] = field(default_factory=list)
    reference: list[dict[str, Any]] = field(default_factory=list)
    gate: dict[str, Any] | None = None
    selections: dict[str, dict[str, Any]] = field(default_factory=dict)
    note: str = ""
    family: int = 0
    """Claims of the key at this scale, over all its studies: what Holm's procedure corrects for."""

    @property
    def key(self) -> str:
        """The row of the literature that this study belongs to."""
        return self.name.split("_", 1)[0]


def settings(given: Config | None = None, config: Path = CONFIG) -> Settings:
    """Return `config/config.yaml` with what is given on the command line (unless it is None) laid over it."""
    path = config / "config.yaml"
    raw = read_yaml(path)
    mapping(raw, str(path), [f.name for f in fields(Settings)])
    laid_over = {key: value for key, value in (given or {}).items() if value is not None}
    return Settings(**section(Settings, raw | laid_over, f"{path} or --config" if laid_over else str(path)))


def available(config: Path = CONFIG) -> dict[str, Path]:
    """Return all study files by name; raise UserError for a file whose name no study may have."""
    found = {path.stem: path for path in sorted((config / "studies").glob("*.yaml"))}
    for name in found:
        for each in (name, name.split("_", 1)[0]):  # the key of a study may be given for its name
            names.check(each, "study", str(config / "studies"), "name the file '{}.yaml'")
    return found


def select(wanted: str | list[str], config: Path = CONFIG) -> list[str]:
    """Return the names of the studies that `wanted` means: a name, a key such as buda2018, or several of them."""
    known = available(config)
    words = [w.strip() for w in wanted.split(",")] if isinstance(wanted, str) else wanted
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise UserError(f"studies: expected names of files in {config / 'studies'}, or all; found {shown(wanted)}")
    chosen: list[str] = []
    for word in words:
        found = [n for n in known if n == word or n.split("_", 1)[0] == word or word == "all"]
        if not found:
            keys = {n.split("_", 1)[0] for n in known}
            raise UserError(f"unknown study '{word}' in {config / 'studies'}{nearest(word, keys | set(known), LISTED)}")
        chosen += [n for n in found if n not in chosen]
    return chosen


def check_scale(raw: Config, scale: str, where: str) -> None:
    """Raise UserError unless a study file has a scale."""
    if scale not in raw["scales"]:
        raise UserError(f"{where}: no scale '{scale}'{nearest(scale, raw['scales'])}")


def select_at(wanted: str | list[str], scale: str, config: Path = CONFIG) -> list[str]:
    """Return the names of the studies that `wanted` means; by a key or "all" only those that have the scale."""
    chosen = select(wanted, config)
    named = {w.strip() for w in wanted.split(",")} if isinstance(wanted, str) else set(wanted)
    return [name for name in chosen if name in named or not _lacks(name, scale, config)] or chosen


def _lacks(name: str, scale: str, config: Path) -> bool:
    try:
        return scale not in scales(name, config)
    except UserError:
        return False  # loading it says what is wrong


def scales(name: str, config: Path = CONFIG) -> list[str]:
    """Return the scales of a study."""
    return list(_read(name, config)["scales"])


def own_factors(name: str, config: Path = CONFIG) -> set[str]:
    """Return the factors of the study's own grid; a scale may have more."""
    points = grid_points(_read(name, config)["grid"], f"{config / 'studies' / name}.yaml, grid")
    return {factor for point in points for factor in point.factors}


def _read(name: str, config: Path) -> Config:
    path = config / "studies" / f"{name}.yaml"
    raw = section(StudyFile, read_yaml(path), str(path))
    for key, what in (("cases", "case"), ("selections", "selection"), ("scales", "scale")):
        for each in raw[key]:
            names.check(each, what, str(path))
    return raw


def load(name: str, scale: str, config: Path = CONFIG) -> Study:
    """Read and check one study at one scale; raise UserError that names file, case and key."""
    raw, where = _read(name, config), str(config / "studies" / f"{name}.yaml")
    check_scale(raw, scale, where)
    there = f"{where}, scales, {scale}"
    patch = section(ScaleFile, raw["scales"][scale] or {}, there)

    block, base = read_base(patch["base"] or raw["base"], config, where)
    block, changed = patch["block"] or block, _cases(raw, patch, where, scale)
    chosen = tuning.read(name, raw["cases"], config) if patch["tuned"] else {}
    base = merge(base, normalise(patch["config"], f"{there}, config"))
    cases = {
        case: normalise(merge(merge(base, changes), chosen.get(case, {})), f"{where}, case {case}")
        for case, changes in changed.items()
    }
    selections = _selections(raw, cases, where)
    points = grid_points(patch["grid"] or raw["grid"], f"{there}, grid" if patch["grid"] else f"{where}, grid")
    if len(cases) * len(points) > RECIPES:
        raise UserError(
            f"{there}: {len(cases):,} cases at {len(points):,} points, expected {RECIPES:,} recipes at most"
        )
    known: Known = {}
    recipes = {
        (case, point.label): resolve(
            merge(recipe, point.overrides),
            f"{where}, case {case}" + (f" at {point.label}" if point.label else ""),
            known=known,
        )
        for case, recipe in cases.items()
        for point in points
    }
    return Study(
        name=name,
        scale=scale,
        title=raw["title"],
        source=_source(raw["source"], f"{where}, source"),
        base=patch["base"] or raw["base"],
        block=block,
        seeds=_seeds(raw["seeds"] if patch["seeds"] is None else patch["seeds"], block, where),
        primary=section(Primary, raw["primary"], f"{where}, primary"),
        cases=(*cases, *selections),
        points=tuple(points),
        recipes=recipes,
        claims=[_capped(claim, patch, scale) for claim in _present(raw, "claims", patch, cases)],
        controls=[_capped(claim, patch, scale) for claim in _present(raw, "controls", patch, cases)],
        reference=[_reference(r, raw["cases"], f"{where}, reference {i}") for i, r in enumerate(raw["reference"])],
        gate=_gate(patch["gate"] or raw["gate"], raw["cases"], f"{where}, gate"),
        selections=selections,
        note=patch["note"],
        family=sum(_num_claims(sibling, scale, config) for sibling in select(name.split("_", 1)[0], config)),
    )


def _num_claims(name: str, scale: str, config: Path) -> int:
    """Return the number of claims that a study makes at a scale; 0 where it has no such scale."""
    raw = _read(name, config)
    if scale not in raw["scales"]:
        return 0
    patch = section(ScaleFile, raw["scales"][scale] or {}, f"{config / 'studies' / name}.yaml, scales, {scale}")
    return len(_present(raw, "claims", patch, dict.fromkeys(patch["only"] or raw["cases"])))


def bases(config: Path = CONFIG) -> set[str]:
    """Return the names of all bases; raise UserError for a file whose name no base may have."""
    found = {path.stem for path in (config / "bases").glob("*.yaml")}
    for name in found:
        names.check(name, "base", str(config / "bases"), "name the file '{}.yaml'")
    return found


def read_base(name: str, config: Path, where: str) -> tuple[int, Config]:
    """Return the block length and the partial recipe of a base."""
    known = bases(config)
    if name not in known:
        raise UserError(f"{where}, base: unknown base '{name}'{nearest(name, known, '`counterpoise names bases`')}")
    path = config / "bases" / f"{name}.yaml"
    raw = read_yaml(path)
    mapping(raw, str(path), ["block", *(f.name for f in fields(Recipe))])
    if "block" not in raw:
        raise UserError(f"{path}: missing key 'block' (how many seeds one job computes)")
    block = check(Annotated[int, Interval(ge=1, le=SEEDS)], raw["block"], f"{path}, block")
    recipe = normalise({k: v for k, v in raw.items() if k != "block"}, str(path))
    return block, merge(default_methods(), recipe)


def _cases(raw: Config, patch: Config, where: str, scale: str) -> dict[str, Config]:
    """Return the cases of a scale, each with the scale's changes laid over it."""
    changes, wanted = patch["cases"], patch["only"] or list(raw["cases"])
    for listed, place in ((changes, "cases"), (wanted, "only")):
        for case in listed:
            if case not in raw["cases"]:
                raise UserError(
                    f"{where}, scales, {scale}, {place}: unknown case '{case}'{nearest(case, raw['cases'])}"
                )
    return {
        case: merge(
            normalise(raw["cases"][case] or {}, f"{where}, case {case}"),
            normalise(changes.get(case) or {}, f"{where}, scales, {scale}, cases, {case}"),
        )
        for case in wanted
    }


def _source(raw: Any, where: str) -> Config:
    """Return where a result was published; its links are links of a page, so that no other scheme will do."""
    held = section(Source, raw, where)
    for key in ("url", "code"):
        if held[key] and not re.fullmatch(r"https?://[^\s<>\"'`]+", held[key]):
            raise UserError(f"{where}, {key}: expected a link that begins with https://; found {shown(held[key])}")
    return held


def _seeds(value: int | dict[str, int], block: int, where: str) -> tuple[int, ...]:
    """Return the seeds; whole blocks only, so that seeds added later only add jobs."""
    if isinstance(value, dict):
        mapping(value, f"{where}, seeds", ("first", "count"))
    first, count = (value.get("first", 0), value.get("count", 0)) if isinstance(value, dict) else (0, value)
    if count < 1 or first < 0:
        raise UserError(
            f"{where}, seeds: expected a number of 1 or more, or {{first: ..., count: ...}}; found {shown(value)}"
        )
    if first + count > SEEDS:
        raise UserError(f"{where}, seeds: found {shown(value)}, expected none beyond {SEEDS:,}")
    if count % block or first % block:
        up = -(-count // block) * block
        fit = {"first": first // block * block, "count": up} if isinstance(value, dict) else up
        raise UserError(
            f"{where}, seeds: {shown(value)} does not fill blocks of {block} (the base's `block`), aligned at 0; "
            f"write {shown(fit)}"
        )
    return tuple(range(first, first + count))


def _reference(raw: Any, cases: Config, where: str) -> Config:
    """Return a published value without what it does not state."""
    held = section(Reference, raw, where)
    if held["case"] not in cases:
        raise UserError(f"{where}, case: unknown case '{held['case']}'{nearest(held['case'], cases)}")
    return {key: held[key] for key in raw}


def _gate(gate: dict[str, str] | None, cases: Config, where: str) -> dict[str, str] | None:
    if gate is not None:
        mapping(gate, where, ("oracle", "baseline"))
        for role in ("oracle", "baseline"):
            if gate.get(role) not in cases:
                raise UserError(f"{where}, {role}: unknown case '{gate.get(role)}'{nearest(gate.get(role), cases)}")
    return gate


def _cases_of(claim: Config) -> set[str]:
    """Return the cases that a claim names."""
    named: set[str] = set()
    for key in ("A", "B", "C", "D", "to", "levels", "pairs"):
        named |= _texts(claim.get(key))
    return named


def _texts(value: Any) -> set[str]:
    if isinstance(value, list | dict):
        return {text for part in value for text in _texts(part)}
    return {value} if isinstance(value, str) else set()


def _present(raw: Config, key: str, patch: Config, cases: Config) -> list[Config]:
    """Return the claims (or controls) whose cases, and whose part of the grid, this scale has."""
    absent = raw["cases"].keys() - cases.keys()
    found = [c for c in raw[key] if not _cases_of(c) & absent]
    if patch["grid"]:
        own, here = (grid_points(grid, "grid") for grid in (raw["grid"], patch["grid"]))
        found = [c for c in found if _reaches(c, here) or not _reaches(c, own)]
    return [_scaled_claim(c, patch) for c in found]


def _selections(raw: Config, cases: Config, where: str) -> Config:
    """Return the selections, each among those of its cases that this scale has."""
    found = {}
    for name, given in raw["selections"].items():
        place = f"{where}, selections, {name}"
        if name in raw["cases"]:
            raise UserError(f"{place}: is a case already; give the selection another name")
        held = section(Selection, given, place)
        for case in held["among"]:
            if case not in raw["cases"]:
                raise UserError(f"{place}, among: unknown case '{case}'{nearest(case, raw['cases'])}")
        found[name] = {**held, "among": [case for case in held["among"] if case in cases]}
    return found


def _reaches(claim: Config, points: list[Point]) -> bool:
    """Return whether a grid has every factor that restricts the claim, at one of the admitted values or more."""

    def has(name: Any, values: Any) -> bool:
        admitted = values if isinstance(values, list) else [values]
        factors = [factor for point in points for factor in point.factors.items()]
        return any(f".{full}".endswith(f".{name}") and value in admitted for full, value in factors)

    on = claim.get("on")
    return not isinstance(on, dict) or all(has(name, values) for name, values in on.items())


def _scaled_claim(claim: Config, patch: Config) -> Config:
    """Return the claim with the scale's own scope and margin, where it states none."""
    return {**{k: patch[k] for k in ("scope", "margin") if patch[k] is not None}, **claim}


def _capped(claim: Config, patch: Config, scale: str) -> Config:
    """Return the claim with the lower of its own scope and the scale's."""
    own, highest = claim.get("scope"), patch["scope"] or ("analogue" if scale in UNJUDGED else SCOPES[0])
    if own not in SCOPES:  # refused where claims are read
        return claim
    return claim | {"scope": max(own, highest, key=SCOPES.index)}
