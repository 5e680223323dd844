"""`new`: a study that runs at once, every key explained; of a template, or of somebody's own data."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import study
from counterpoise.commands.text import counted, duration, table
from counterpoise.errors import UserError, nearest
from counterpoise.records import write_text

if TYPE_CHECKING:
    import pandas as pd

    from counterpoise.profiling import Profile
    from counterpoise.proposing import Proposal

NAME = r"[a-z]+[0-9]{4}[a-z]?_[a-z0-9_]+"
OWN_NAME = r"[a-z0-9][a-z0-9-]*"  # without the underline that joins studies of one key
FILES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq", ".xls", ".xlsx", ".zip", ".h5", ".json")

TEMPLATE = """\
# yaml-language-server: $schema=../../workflow/schemas/config.schema.json
# One published result. Every key: docs/configuration.md; faults: `counterpoise check --studies {name}`.
title: What is compared, in one line
source:
  paper: Author, Author and Author YEAR, Title of the paper
  url: https://arxiv.org/abs/0000.00000
  table: Table or figure that the values come from
base: digits_mlp # a file of config/bases: data, model, steps; a case says only what it changes
cases:
  baseline: {{}}
  oversampling: {{sample: random_oversampling}} # or {{sample: {{name: random_oversampling, ratio: 2}}}}
  baseline_again: {{finetune: {{replicate: 1}}}} # A/A: the same recipe once more; a claim on it must not hold
grid: # every case at every point; a list is an axis, any other value is fixed
  - {{imbalance: step, imbalance.mu: 0.5, imbalance.minority_count: [5, 20]}}
seeds: 10 # decided before anything runs; whole blocks of the base
primary: {{metric: balanced_accuracy, selection: last}}
reference: [] # published, e.g. {{case: oversampling, at: {{minority_count: 5}}, value: 0.9, n: 5, where: Table 2}}
claims:
  - text: Oversampling is better than training on the imbalanced data # the paper's claim, in a sentence
    form: better # better, no_worse, close, dominates, depends, interaction, exists or ranks
    A: oversampling
    B: baseline
    margin: 0.01 # the smallest difference that counts, in the metric's unit
    concerns: the data sets and networks of the paper that were not tested here
scales:
  smoke: {{seeds: 5, scope: analogue}} # seconds; never gives a verdict
  small: {{scope: analogue}} # as_published, scaled (smaller data or budget) or analogue (another task)
"""


def new(options: argparse.Namespace) -> int:
    """Write a study file: of the data in a file or folder, or the template of a published result."""
    path = Path(options.name)
    if path.exists() or path.suffix.lower() in FILES or options.target or options.group or options.time:
        return _of_data(path, options)
    if not re.fullmatch(NAME, options.name):
        raise UserError(
            f"study name '{options.name}': expected <author><year>_<topic>, for instance chawla2002_smote; or a file "
            "of data, which this is not"
        )
    path = study.CONFIG / "studies" / f"{options.name}.yaml"
    if path.exists():
        raise UserError(f"{path}: is there already")
    write_text(path, TEMPLATE.format(name=options.name))
    print(f"{path}: edit it, then\n  counterpoise check --studies {options.name}")
    print(f"  snakemake --config studies={options.name} scale=smoke")
    return 0


def _of_data(path: Path, options: argparse.Namespace) -> int:
    """Look at data, say what is there, and write a study of it."""
    name = _study_name(path, options.name_of_study)
    target = study.CONFIG / "studies" / f"{name}.yaml"
    proposal = _images(path, name, options) if path.is_dir() else _table(path, name, options)
    _write(target, proposal)
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
    if not re.fullmatch(OWN_NAME, name):
        raise UserError(f"--name '{name}': expected small letters, digits and hyphens, for instance churn-2026")
    taken = [other for other in study.available() if other.split("_", 1)[0] == name]
    if taken:
        where = study.CONFIG / "studies" / f"{taken[0]}.yaml"
        raise UserError(f"{where}: is there already; remove it, or give the new study another name: --name {name}-2")
    return name


def _table(path: Path, name: str, options: argparse.Namespace) -> Proposal:
    from counterpoise import own_data, profiling, proposing, reading

    frame = reading.read_table(path)
    if not options.target:
        raise UserError(f"{path}: which column is to be predicted? Say --target <column>{nearest('', frame.columns)}")
    if options.group and options.time:
        raise UserError("--group and --time: folds go by one of them, not by both")
    profile = profiling.profile(frame, options.target)
    data = {"path": path.as_posix(), **profile.options(), "sha256": own_data.fingerprint(path)}
    by = options.group or options.time
    if by:
        _keep_for_split(frame, profile, data, by, "--group" if options.group else "--time")
    print(_found(path, profile, by))
    command = f"counterpoise new {path} --target {options.target}"
    command += f" --group {options.group}" if options.group else f" --time {options.time}" if options.time else ""
    return proposing.of_table(profile, data, name, command, options.group or "", options.time or "")


def _keep_for_split(frame: pd.DataFrame, profile: Profile, data: dict[str, Any], by: str, option: str) -> None:
    """Give the column that the folds go by a kind that keeps it, whatever it would be as an input."""
    from counterpoise import values

    names = [column.name for column in profile.columns]
    if by not in names:
        fault = "is the target" if by == profile.target else "is no column"
        raise UserError(f"{option}: '{by}' {fault}{nearest(by, names)}")
    rows = frame.loc[frame[profile.target].notna(), by]
    kind = data["kinds"][by]
    if kind not in ("numeric", "date", "date_day_first", "date_month_first"):
        if not values.is_text(rows):
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


def _found(path: Path, profile: Profile, by: str | None) -> str:
    """Return what there is in a table, for people."""
    kinds = [
        (c, "folds go by it" if c.name == by else "not used" if c.kind == "ignore" else c.kind) for c in profile.columns
    ]
    rows = [[c.name, kind, f"{c.missing:.1%}" if c.missing else "", c.why] for c, kind in kinds]
    classes = ", ".join(
        f"'{name}' {count:,}" for name, count in zip(profile.classes[:8], profile.counts[:8], strict=True)
    )
    more = f" and {len(profile.classes) - 8:,} more" if len(profile.classes) > 8 else ""
    lines = [
        f"{path}: {counted(profile.rows, 'row')}, {counted(len(profile.columns), 'column')} and the target "
        f"'{profile.target}'",
        f"{counted(len(profile.classes), 'class').replace('classs', 'classes')}: {classes}{more}; "
        f"{profile.ratio:.3g} of the largest for each of the smallest",
        f"duplicates: {profile.duplicates:,}; rows that contradict another: {profile.contradictions:,}; "
        f"likely leakage: {', '.join(profile.leaks) or 'none found'}",
        "",
        table(("column", "used as", "missing", "why"), rows, wrap=3),
    ]
    lines += ["", *(f"mind: {warning}" for warning in profile.warnings)] if profile.warnings else []
    return "\n".join(lines)


def _images(path: Path, name: str, options: argparse.Namespace) -> Proposal:
    raise UserError(f"{path}: is a folder")


def _write(path: Path, proposal: Proposal) -> None:
    """Write a study file that passes every check, or none."""
    from counterpoise import plan, preflight, study_text

    write_text(path, study_text.text(proposal))
    try:
        made = plan.make(proposal.name, "full")
        preflight.check_study(made.studies[f"{proposal.name}.full"])
    except BaseException:
        path.unlink()
        raise
