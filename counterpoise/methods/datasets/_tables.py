"""Delimited files of published tables: rows of numbers and category names, the label in the last column.

Source: the page of each data set names its columns; "?" is a missing value, as at the UCI repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import open_file
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


def read(path: Path, columns: Sequence[Column], has_header: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND (float64; codes of categories, NaN where a value is missing) and the text of each row's label.

    Raises UserError where a row has not one value for each column and a label, where a number is none, or where a
    category is not among those of its column.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    names = [str(i) for i in range(len(columns) + 1)]
    try:
        with open_file(path) as source:
            table = csv.read_csv(
                source,
                csv.ReadOptions(column_names=names, skip_rows_after_names=int(has_header)),
                convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
        *held, label = (pc.utf8_trim_whitespace(column.combine_chunks()) for column in table.columns)
        x_ND = np.empty((len(label), len(columns)))
        for i, (values, column) in enumerate(zip(held, columns, strict=True)):
            known = pc.if_else(pc.equal(values, MISSING), None, values)
            x_ND[:, i] = _codes(path, known, column) if column.categories else known.cast("float64").to_numpy(False)
    except pa.ArrowException as reason:
        raise UserError(f"{path}: expected {len(columns)} columns and a label: {reason}".replace("\n", " ")) from None
    return x_ND, label.to_numpy(False)


def undivided(x_ND: np.ndarray, y_N: np.ndarray) -> Parts:
    """Return a table without an official test part: all rows to train on, none to test."""
    y_N = y_N.astype(np.int64)
    return x_ND, y_N, x_ND[:0], y_N[:0]


def undivided_targets(x_ND: np.ndarray, target_N: np.ndarray) -> Parts:
    """Return a table of a regression without an official test part, float64: all rows to train on, none to test."""
    x_ND, target_N = x_ND.astype(np.float64), target_N.astype(np.float64)
    return x_ND, target_N, x_ND[:0], target_N[:0]


def _codes(path: Path, known: Any, column: Column) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.compute as pc

    code = pc.index_in(known, pa.array(column.categories))
    if code.null_count > known.null_count:
        name = next(v for v in known.to_pylist() if v is not None and v not in column.categories)
        raise UserError(
            f"{path}: column '{column.name}': found '{name}', expected one of {', '.join(column.categories)}"
        )
    return code.cast("float64").to_numpy(False)
