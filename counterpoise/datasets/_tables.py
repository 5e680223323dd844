"""Delimited files of published tables: rows of numbers and category names, the label in the last column.

Source: the page of each data set names its columns; "?" is a missing value, as at the UCI repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from counterpoise.columns import Column
from counterpoise.errors import UserError

MISSING = "?"

Parts = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def numeric(names: str) -> tuple[Column, ...]:
    """Return numeric columns from their names, which are separated by spaces."""
    return tuple(map(Column, names.split()))


def indicator(names: str) -> tuple[Column, ...]:
    """Return columns of 0 and 1."""
    return tuple(Column(name, "indicator") for name in names.split())


def categorical(name: str, categories: str) -> Column:
    """Return a categorical column whose codes follow the sorted names of its categories."""
    return Column(name, "categorical", tuple(sorted(categories.split())))


def read(path: Path, columns: Sequence[Column], header: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND (float64; codes of categories, NaN where a value is missing) and the text of each row's label.

    `header` is the line of the header, None where there is none. Raises UserError where a row has not one value for
    each column and a label, where a number is none, or where a category is not among those of its column.
    """
    import pandas as pd

    kinds: dict[int, type] = {i: str if c.categories else float for i, c in enumerate(columns)}
    label = len(columns)
    try:
        frame = pd.read_csv(
            path,
            header=header,
            names=list(range(label + 1)),
            dtype={**kinds, label: str},
            index_col=False,
            na_values=[MISSING],
            keep_default_na=False,
            skipinitialspace=True,
            float_precision="round_trip",  # the nearest float64, the same with any version
            on_bad_lines="error",
        )
    except ValueError as reason:
        raise UserError(f"{path}: expected {label} columns and a label: {' '.join(str(reason).split())}") from None
    if frame[label].isna().any():
        row = int(frame[label].isna().to_numpy().argmax())
        raise UserError(f"{path}: row {row + 1} has no label; expected {label} columns and a label")
    x_ND = np.empty((len(frame), label))
    for i, column in enumerate(columns):
        x_ND[:, i] = _codes(path, frame[i], column) if column.categories else frame[i]
    return x_ND, frame[label].to_numpy(object)


def undivided(x_ND: np.ndarray, y_N: np.ndarray) -> Parts:
    """Return a table without an official test part: all rows to train on, none to test."""
    y_N = y_N.astype(np.int64)
    return x_ND, y_N, x_ND[:0], y_N[:0]


def _codes(path: Path, values, column: Column) -> np.ndarray:
    position = {category: float(code) for code, category in enumerate(column.categories)}
    known = values.isna() | values.isin(position)
    if not known.all():
        raise UserError(
            f"{path}: column '{column.name}': found '{values[~known].iloc[0]}', "
            f"expected one of {', '.join(column.categories)}"
        )
    return values.map(position).to_numpy(float)
