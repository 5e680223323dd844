"""A table of the user's own: a CSV, TSV or Parquet file, read as was decided when its study was written.

Source: `counterpoise new <file> --target <column>` writes the options; `counterpoise.own_data.profiling` decides them.
Shapes: tables (columns that are not ignored,); no official test part.
Units: as in the file; dates are days since 1970-01-01.
Raises: UserError if options do not fit together; when it is read, if the file is not there, cannot be read, is another
than when the study was written, or holds a column, category or class that the options do not name.
Differs from the source: rows without a label are left out, and infinite values are read as missing; what is to be
known of these and of every column is said when the study is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_args

import numpy as np
from annotated_types import Interval

from counterpoise.data import files as data
from counterpoise.data.columns import Column, Kind
from counterpoise.data.files import Files, Locate
from counterpoise.errors import UserError, nearest
from counterpoise.methods.datasets import _tables
from counterpoise.reading.values import SHARE, DateKind

_CATEGORICAL = ("categorical", "ordinal")
_KINDS = ("numeric", *_CATEGORICAL, *get_args(DateKind), "ignore")


@dataclass(frozen=True)
class Method:
    """The user's own table."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"

    path: str = ""
    """The file, relative to the working folder."""
    target: str = ""
    """The column that holds the labels."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Column -> numeric, categorical, ordinal, date, date_day_first, date_month_first or ignore."""
    categories: dict[str, list[str]] = field(default_factory=dict)
    """Column -> the categories of a categorical or ordinal one, of the latter from the least to the greatest."""
    classes: list[str] = field(default_factory=list)
    """Names of the classes in the order of the labels; of two, the second is the positive one."""
    counts: list[Annotated[int, Interval(ge=1)]] = field(default_factory=list)
    """Rows of each class."""
    header: bool | None = None
    """Whether the first row of a file of text is the header; null: it is, if it holds the names above or looks so."""
    kept: dict[str, list[str]] = field(default_factory=dict)
    """Column -> strings that stand for themselves in it and not for a missing value, such as NA."""
    sha256: str = ""
    """Of the file when the study was written; if empty it is not checked, and a changed file goes unnoticed."""

    def __post_init__(self) -> None:
        if not self.path or not self.target:
            raise UserError("path and target: name the file and its column of labels")
        if len(set(self.classes)) < 2 or len(self.classes) != len(set(self.classes)) or "" in self.classes:
            raise UserError(f"classes: expected two or more different names, found {self.classes}")
        if len(self.counts) != len(self.classes):
            raise UserError(f"counts: expected the rows of each of {len(self.classes)} classes, found {self.counts}")
        if self.target in self.kinds:
            raise UserError(f"kinds: '{self.target}' is the target and cannot be a column as well")
        for name, kind in self.kinds.items():
            if kind not in _KINDS:
                raise UserError(f"kinds: column '{name}': unknown kind '{kind}'{nearest(kind, _KINDS)}")
            if kind in _CATEGORICAL and not self.categories.get(name):
                raise UserError(f"categories: the {kind} column '{name}' is not there; list its categories")
        if not self.columns:
            raise UserError("kinds: expected a column that is not ignored")

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each column holds that is not ignored."""
        described = []
        for name, said in self.kinds.items():
            kind: Kind = "categorical" if said == "categorical" else "ordinal" if said == "ordinal" else "numeric"
            if said != "ignore":
                described.append(Column(name, kind, tuple(self.categories[name]) if kind != "numeric" else ()))
        return tuple(described)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return (len(self.columns),)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Rows of each class."""
        return tuple(self.counts)

    @property
    def files(self) -> Files:
        """The one file, which lies where `path` says and is not downloaded."""
        path = Path(self.path)
        return {path.name: (path.resolve().as_uri(), f"sha256:{self.sha256}")}

    @property
    def data_hash(self) -> str:
        """Of the file as it was when the study was written; how it is read is in the recipe."""
        return data.hash_checksums(self.files)

    def read(self, locate: Locate) -> _tables.Parts:
        """Return all labelled rows to train on and none to test, in the order of the file (float64, int64)."""
        from counterpoise.reading import tables, values

        frame = tables.read_table(self.path, self.header, (self.target, *self.kinds), self.kept)
        if self.sha256 and (found := tables.sha256(self.path)) != self.sha256:
            raise UserError(
                f"{self.path} has changed since its study was written (SHA-256 {found}, then {self.sha256}); "
                f"write the study again: counterpoise new {self.path} --target {self.target}"
            )
        for name in (self.target, *self.kinds):
            if name not in frame:
                raise UserError(f"{self.path}: there is no column '{name}'{nearest(name, frame.columns)}")
        if unnamed := [name for name in frame if name != self.target and name not in self.kinds]:
            raise UserError(f"{self.path}: column '{unnamed[0]}' is not in kinds; give its kind, or ignore it")
        label_N = self._codes(values.codes(frame[self.target], self.classes), frame[self.target], "class")
        is_labelled = ~np.isnan(label_N)
        rows = frame[is_labelled]
        y_N = label_N[is_labelled].astype(np.int64)
        if (counts := np.bincount(y_N, minlength=len(self.classes)).tolist()) != self.counts:
            raise UserError(f"{self.path}: found {counts} rows of the classes, expected {self.counts}, as counts say")
        x_ND = np.empty((len(rows), *self.shape))
        for i, column in enumerate(self.columns):
            held = rows[column.name]
            x_N = values.encoded(held, self.kinds[column.name], column.categories)
            x_ND[:, i] = self._codes(x_N, held, "category") if column.categories else self._numbers(x_N, held)
        return _tables.undivided(x_ND, y_N)

    def _codes(self, code_N: np.ndarray, held: Any, what: str) -> np.ndarray:
        if (code_N == -1).any():
            name = held[code_N == -1].iloc[0]
            raise UserError(f"{self.path}: column '{held.name}' has a {what} '{name}' that the study does not name")
        return code_N

    def _numbers(self, x_N: np.ndarray, held: Any) -> np.ndarray:
        from counterpoise.reading import values

        known = held.notna().to_numpy()
        if values.is_text(held) and np.isnan(x_N[known]).mean() > 1 - SHARE:
            name = held[known & np.isnan(x_N)].iloc[0]
            raise UserError(
                f"{self.path}: column '{held.name}' holds '{name}', expected the kind {self.kinds[held.name]}"
            )
        return x_N
