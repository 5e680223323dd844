"""`new` with data of somebody's own: what is in the file or folder is said, and a study that fits it written."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise.commands.text import counted, duration, table
from counterpoise.data import draw
from counterpoise.errors import ImpossibleCell, UserError, nearest
from counterpoise.planning import names, study
from counterpoise.records import write_text

if TYPE_CHECKING:
    import pandas as pd

    from counterpoise.own_data.profiling import Profile
    from counterpoise.own_data.proposal import Proposal

OWN_NAME = r"[a-z0-9-]+"  # without the underline that joins studies of one key
SHOWN = 8  # classes
LISTED = 50_000  # categories
KINDS = ("numeric", "categorical", "date", "date_day_first", "date_month_first", "ignore")  # that need no more said


def of_data(path: Path, options: argparse.Namespace) -> int:
    """Look at data, say what is there, and write a study of it."""
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    name = _study_name(path, options.name_of_study)
    target = study.CONFIG / "studies" / f"{name}.yaml"
    proposals = _images(path, name, options) if path.is_dir() else _table(path, name, options)
    proposal = _write(target, [one for each in proposals for one in (each, each.without_curve())])
    for note in proposal.left_out:
        print(f"note: {note}")
    print(
        f"\n{target}: {counted(len(proposal.cases), 'case')}, {counted(proposal.folds, 'fold')} in "
        f"{counted(proposal.repetitions, 'repetition')}, about {duration(proposal.seconds)} on 2 cores"
    )
    print(f"look at it, then\n  counterpoise run --studies {name} --scale full --cores 2")
    return 0


def _study_name(path: Path, given: str | None) -> str:
    """Return the name of a study of data; raise UserError if it is none, or another study has it."""
    name = given or re.sub(r"[^a-z0-9]+", "-", path.name.lower().split(".")[0]).strip("-") or "own-data"
    names.check(name, "--name" if given else "a study would be called", str(path), "write --name '{}'")
    if not re.fullmatch(OWN_NAME, name):
        raise UserError(f"--name '{name}': expected small letters, digits and hyphens, for instance churn-2026")
    taken = [other for other in study.available() if other.split("_", 1)[0] == name]
    if taken:
        where = study.CONFIG / "studies" / f"{taken[0]}.yaml"
        raise UserError(f"{where}: is there already; remove it, or give the new study another name: --name {name}-2")
    return name


def _table(path: Path, name: str, options: argparse.Namespace) -> list[Proposal]:
    from counterpoise.own_data import for_tables, profiling
    from counterpoise.reading import fingerprint, tables

    kinds, kept = _given("--kind", options.kind), _given("--keep", options.keep)
    expected = [held for held in (options.target, options.group, options.time, *kinds, *kept) if held]
    frame = tables.read_table(path, options.header, expected, kept)
    if not options.target:
        raise UserError(f"{path}: which column is to be predicted? Say --target <column>{nearest('', frame.columns)}")
    if options.group and options.time:
        raise UserError("--group and --time: folds go by one of them, not by both")
    _check_given(frame, options.target, kinds, kept)
    unlabelled = {}
    if options.target in frame and frame[options.target].isna().any():
        texts = tables.as_written(path, options.target, options.header, expected)[frame[options.target].isna()]
        unlabelled = texts.str.strip().replace("", None).value_counts().to_dict()
    profile = profiling.profile(frame, options.target, {name: kind[-1] for name, kind in kinds.items()}, unlabelled)
    read = {"kept": kept} if kept else {}
    read |= {} if options.header is None else {"header": options.header}
    data = {"path": path.as_posix(), **profile.options(), **read, "sha256": fingerprint.fingerprint(path)}
    by = options.group or options.time
    groups = 0
    if by:
        _keep_for_split(frame, profile, data, by, "--group" if options.group else "--time")
        groups = int(frame[by].nunique(dropna=False)) if options.group else 0
        if groups == 1:
            raise UserError(f"--group: column '{by}' has one value, and folds need two groups or more")
    _check_listed(data["categories"], by)
    print(_found(path, profile, by))
    command = _command(path, options)
    if options.time:
        return [
            for_tables.of_table(profile, data, name, command, time=options.time, stretches=stretches)
            for stretches in range(for_tables.STRETCHES, 1, -1)
        ]
    return [for_tables.of_table(profile, data, name, command, group=options.group or "", groups=groups)]


def _given(option: str, words: list[str]) -> dict[str, list[str]]:
    """Return what `--kind` or `--keep` says of each column."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, value = word.rpartition("=")
        if not name or not value:
            raise UserError(f"{option} '{word}': expected <column>={'<text>' if option == '--keep' else '<kind>'}")
        found.setdefault(name, []).append(value)
    return found


def _check_given(frame: pd.DataFrame, target: str, kinds: dict[str, list[str]], kept: dict[str, list[str]]) -> None:
    for option, given in (("--kind", kinds), ("--keep", kept)):
        for name in given:
            if name not in frame:
                raise UserError(f"{option}: '{name}' is no column{nearest(name, frame.columns)}")
    for name, (*_, kind) in kinds.items():
        if name == target:
            raise UserError(f"--kind: '{name}' is the target, whose values are classes")
        if kind not in KINDS:
            raise UserError(f"--kind: column '{name}': unknown kind '{kind}'{nearest(kind, KINDS)}")
    for name, texts in kept.items():
        if lost := [text for text in texts if not (frame[name] == text).any()]:
            raise UserError(f"--keep: column '{name}' has the text '{lost[0]}' in no row")


def _command(path: Path, options: argparse.Namespace) -> str:
    """Return the command that writes the study again."""
    words = ["counterpoise", "new", str(path), "--target", options.target]
    for key in ("group", "time"):
        words += [f"--{key}", getattr(options, key)] if getattr(options, key) else []
    words += [word for kind in options.kind for word in ("--kind", kind)]
    words += [word for text in options.keep for word in ("--keep", text)]
    words += [] if options.header is None else ["--header" if options.header else "--no-header"]
    return shlex.join(words)


def _keep_for_split(frame: pd.DataFrame, profile: Profile, data: dict[str, Any], by: str, option: str) -> None:
    """Give the column that the folds go by a kind that keeps it, whatever it would be as an input."""
    from counterpoise.reading import values

    names = [column.name for column in profile.columns]
    if by not in names:
        fault = "is the target" if by == profile.target else "is no column"
        raise UserError(f"{option}: '{by}' {fault}{nearest(by, names)}")
    rows = frame.loc[frame[profile.target].notna(), by]
    kind, is_name = data["kinds"][by], values.is_text(rows)  # digits that are names may be too many for numbers
    if kind not in ("numeric", "date", "date_day_first", "date_month_first") or (is_name and kind == "numeric"):
        if not is_name or (option == "--time" and not np.isnan(values.numbers(rows.dropna())).any()):
            kind = "numeric"
        elif option == "--time":
            raise UserError(
                f"--time: column '{by}' has no order; expected numbers or dates, found '{rows.dropna().iloc[0]}'"
            )
        else:
            kind = "categorical"
            data["categories"][by] = sorted(values.texts(rows).dropna().unique())
    data["kinds"][by] = kind
    if option == "--time" and (missing := int(rows.isna().sum())):
        raise UserError(f"--time: column '{by}' has no value in {missing:,} rows; fill them in, or remove these rows")


def _check_listed(categories: dict[str, list[str]], by: str | None) -> None:
    """Raise UserError if the study file would grow beyond what can be read."""
    total = sum(map(len, categories.values()))
    if total <= LISTED:
        return
    most = max(categories, key=lambda name: len(categories[name]))
    advice = "number the groups, as whole numbers are not listed" if most == by else f"add --kind {most}=ignore"
    raise UserError(
        f"column '{most}' has {len(categories[most]):,} different values, which the study file would list, expected at "
        f"most {LISTED:,} in all columns; {advice}"
    )


def _found(path: Path, profile: Profile, by: str | None) -> str:
    """Return what there is in a table, for people."""
    kinds = [
        (c, "folds go by it" if c.name == by else "not used" if c.kind == "ignore" else c.kind) for c in profile.columns
    ]
    rows = [[c.name, kind, f"{c.missing:.1%}" if c.missing else "", c.why] for c, kind in kinds]
    lines = [
        f"{path}: {counted(profile.rows, 'row')}, {counted(len(profile.columns), 'column')} and the target "
        f"'{profile.target}'",
        _classes(profile.classes, profile.counts),
        f"duplicates: {profile.duplicates:,}; rows that contradict another: {profile.contradictions:,}; "
        f"likely leakage: {', '.join(profile.leaks) or 'none found'}",
        "",
        table(("column", "used as", "missing", "why"), rows, wrap=3),
    ]
    warnings = [text for text in profile.warnings if not text.startswith(f"column '{by}' is not used")]
    lines += ["", *(f"mind: {warning}" for warning in warnings)] if warnings else []
    return "\n".join(lines)


def _images(path: Path, name: str, options: argparse.Namespace) -> list[Proposal]:
    from counterpoise.own_data import for_images

    if given := [f"--{key}" for key in ("target", "group", "time", "kind", "keep") if getattr(options, key)]:
        raise UserError(f"{given[0]}: is for files; the classes of {path} are its sub-folders")
    found = for_images.look(path)
    print(f"{path}: {counted(sum(found.counts), 'image')} in {_classes(found.classes, found.counts)}")
    print(f"sizes: {found.sizes}; used as {found.side} x {found.side}, {found.colour}")
    for warning in found.warnings:
        print(f"mind: {warning}")
    return [for_images.of_images(found, name)]


def _classes(names: Sequence[str], counts: Sequence[int]) -> str:
    """Return the classes and their ratio, in words."""
    shown = ", ".join(f"'{name}' {count:,}" for name, count in zip(names[:SHOWN], counts[:SHOWN], strict=True))
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return f"{len(names):,} classes: {shown}{more}; ratio {max(counts) / min(counts):.3g}"


def _write(path: Path, candidates: Sequence[Proposal]) -> Proposal:
    """Write the first of several studies that passes every check, and return it; or none, and raise UserError."""
    from counterpoise.checking import preflight
    from counterpoise.own_data import study_file
    from counterpoise.planning import plan
    from counterpoise.stages import preprocess

    decoded, fault = None, ""
    for proposal in candidates:
        write_text(path, study_file.text(proposal))
        try:
            about = plan.make([proposal.name], "full").studies[f"{proposal.name}.full"]
            preflight.check_study(about)
            decoded = decoded or preprocess.decode(about["entries"][0]["recipe"]["data"])
            _rehearse(about, proposal.folds, *decoded)
            return proposal
        except (UserError, ImpossibleCell) as reason:
            path.unlink()
            fault = fault or str(reason).removeprefix(f"{path}, ")
        except BaseException:
            path.unlink()
            raise
    raise UserError(fault)


def _rehearse(about: dict[str, Any], folds: int, arrays: Sequence[Any], meta: dict[str, Any]) -> None:
    """Draw each fold once, as the first jobs will; raise ImpossibleCell for a fold without a class."""

    for recipe in {entry["sample"]: entry["recipe"] for entry in about["entries"]}.values():
        by = draw.split_column(recipe, meta, arrays[0])
        for seed in about["seeds"][:folds]:
            draw.draw(recipe, arrays[1], len(meta["classes"]), seed, by)
