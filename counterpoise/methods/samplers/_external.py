"""A generator of rows that is a command of the user's: it reads a request on its input and writes a table.

The request is one JSON object:

    {"version": 1, "seed": 7, "target": "class",
     "columns": [{"name": "age", "kind": "numeric"}, {"name": "job", "kind": "nominal", "values": ["Q7K", "A0P"]}],
     "classes": ["B4X", "Z9C"], "wanted": {"Z9C": 40},
     "sets": [[{"class": "B4X", "rows": [[31.0, "A0P"], ...]}, {"class": "Z9C", "rows": [...]}], ...]}

The sets are what the source puts before its language model, each one a group of examples for each class. The answer is
CSV with a header, or Parquet: the columns, and the target, by name.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import string
import subprocess
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from counterpoise import stopping
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.samplers._columns import Feature

TARGET = "class"
"""What the request and the answer call the label."""


@dataclass(frozen=True)
class Table:
    """Rows in the words of a request."""

    features: list[Feature]
    words: list[tuple[str, ...]]
    """Of each feature the words for its values; none for a number."""
    labels: dict[int, str]
    """The word for each class."""

    def rows(self, x_ND: np.ndarray, rows: np.ndarray) -> list[list[Any]]:
        """Return rows as a request has them."""
        cells = [
            x_ND[rows, f.places[0]].tolist() if f.is_number else [w[c] for c in f.codes_N[rows]]
            for f, w in zip(self.features, self.words, strict=True)
        ]
        return [list(row) for row in zip(*cells, strict=True)]

    def read(self, answer: pd.DataFrame, label: int, width: int) -> np.ndarray:
        """Return those rows of an answer that are of a class and complete, in values that occur."""
        answer = answer[answer[TARGET].astype(str).str.strip() == self.labels[label]]
        x_MD = np.full((len(answer), width), np.nan)
        for f, words in zip(self.features, self.words, strict=True):
            if f.is_number:
                x_MD[:, f.places[0]] = pd.to_numeric(answer[f.name], errors="coerce")
                continue
            code_M = answer[f.name].astype(str).str.strip().map({w: c for c, w in enumerate(words)})
            held_M = code_M.notna().to_numpy()
            x_MD[np.flatnonzero(held_M)[:, None], f.places] = f.patterns_PW[code_M[held_M].astype(int)]
        return x_MD[np.isfinite(x_MD).all(1)]


def describe(features: list[Feature], labels: np.ndarray, random: np.random.Generator, *, unique: bool) -> Table:
    """Return the words for a table: its own, or (the source's unique mapping) drawn ones that mean nothing."""
    count = sum(len(f.values) for f in features) + len(labels)
    letters = np.array(list(string.ascii_uppercase + string.digits))
    drawn: dict[str, None] = {}
    while unique and len(drawn) < count:
        drawn.setdefault("".join([*random.choice(letters[:26], 1), *random.choice(letters, 2 + len(drawn) // 1000)]))
    word = iter(drawn)
    words = [tuple(next(word) for _ in f.values) if unique else f.values for f in features]
    return Table(features, words, {int(label): next(word) if unique else str(label) for label in labels})


def request(
    table: Table, x_ND: np.ndarray, y_N: np.ndarray, wanted: dict[int, int], shots: int, sets: int,
    random: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Return a request for rows, with examples of each class drawn anew (with replacement where there are too few)."""

    def examples(label: int) -> dict[str, Any]:
        of_class = np.flatnonzero(y_N == label)
        drawn = random.choice(of_class, shots, replace=len(of_class) < shots)
        return {"class": table.labels[label], "rows": table.rows(x_ND, drawn)}

    columns = [
        {"name": f.name, "kind": "numeric" if f.is_number else "nominal"} | ({"values": w} if w else {})
        for f, w in zip(table.features, table.words, strict=True)
    ]
    return {
        "version": 1,
        "seed": int(random.integers(2**31)),
        "target": TARGET,
        "columns": columns,
        "classes": list(table.labels.values()),
        "wanted": {table.labels[label]: count for label, count in wanted.items()},
        "sets": [[examples(label) for label in table.labels] for _ in range(sets)],
    }


def ask(command: str, asked: dict[str, Any]) -> pd.DataFrame:
    """Return the table that a command answers; raise UserError where it cannot run, ImpossibleCell where it fails.

    Raises OSError where a signal ended the command: that is not its answer, and it may be asked again.
    """
    with_this_process = partial(stopping.die_with, os.getpid())
    told = json.dumps(asked).encode()
    try:
        done = subprocess.run(shlex.split(command), input=told, capture_output=True, preexec_fn=with_this_process)
    except (OSError, ValueError) as reason:
        raise UserError(f"table_generator: command '{command}' cannot be run: {reason}") from None
    if done.returncode < 0:
        raise OSError(errno.EINTR, f"ended by signal {-done.returncode}", f"table_generator: command '{command}'")
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise ImpossibleCell(f"table_generator: command '{command}' ended with code {done.returncode}: {last}")
    try:
        form = pd.read_parquet if done.stdout[:4] == b"PAR1" else pd.read_csv
        answer = form(io.BytesIO(done.stdout))
    except (ValueError, OSError) as reason:
        raise ImpossibleCell(f"table_generator: the answer is neither CSV nor Parquet: {reason}") from None
    for name in [TARGET, *(column["name"] for column in asked["columns"])]:
        if name not in answer:
            raise ImpossibleCell(f"table_generator: the answer has no column '{name}', only {list(answer.columns)}")
    return answer
