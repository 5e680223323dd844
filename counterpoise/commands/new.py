"""`new`: a study that runs at once, every key explained; of a template, or of somebody's own data."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from counterpoise.commands.new_data import of_data
from counterpoise.errors import UserError
from counterpoise.planning import study
from counterpoise.records import write_text

NAME = r"[a-z]+[0-9]{4}[a-z]?_[a-z0-9_]+"
OF_DATA = ("target", "group", "time", "kind", "keep")  # options of data alone
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
    if path.exists() or path.suffix.lower() in FILES or any(vars(options)[key] for key in OF_DATA):
        return of_data(path, options)
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
