"""Parquet, whose columns have types: numbers and times as far as they can be computed with, everything else as strings.

Whole numbers that float64 cannot tell apart are names, as they are in a file of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise.errors import UserError
from counterpoise.reading import delimited, values

if TYPE_CHECKING:
    import pandas as pd

_YEARS = (-62_135_596_800, 253_402_300_800)  # seconds from 1970 to the year 1 and to the year 10000
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6}


def read(
    path: Path, notes: list[str], check_memory: Callable[[Path, float], None], only: str | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield the name and the Arrow array of each column, or of the one that is asked for; add to `notes`.

    `check_memory` is told how many bytes the table will take, before it is read. Raises UserError if it cannot be read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        about = file.metadata
        held = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        check_memory(path, held + 8 * about.num_rows * about.num_columns)
        table = file.read()
    except (pa.ArrowException, OSError) as reason:
        raise UserError(f"{path}: this Parquet file cannot be read: {' '.join(str(reason).split())}") from None
    for name, column in zip(delimited.unique(table.column_names, notes), table.columns, strict=True):
        if only in (None, name):
            kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
            yield name, column.cast(kind).combine_chunks()


def typed(column: Any, kept: Sequence[str]) -> tuple[np.ndarray | pd.Series, str]:
    """Return an Arrow array of any type as float64, times or strings; and a note, or ""."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = column.cast("float64", safe=False).to_numpy(False)
        return (numbers, "") if values.is_exact(numbers) else values.column(_strings(column), (), False)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _times(column)
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan), ""
    is_odd = pa.types.is_nested(kind) or pa.types.is_temporal(kind)
    note = f"values of type {kind} are read as text" if is_odd else ""
    return values.as_series(values.trimmed(_strings(column), kept)), note


def as_written(column: Any) -> pd.Series:
    """Return an Arrow array of any type as strings to be copied: every digit, whole numbers without a point."""
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        pairs = zip(column.to_pylist(), _strings(column).to_pylist(), strict=True)
        names = [str(int(n)) if n is not None and n.is_integer() else written for n, written in pairs]
        column = pa.array([None if name == "nan" else name for name in names], pa.large_string())
    return values.as_series(_strings(column))


def _strings(column: Any) -> Any:
    import pyarrow as pa

    kind, text = column.type, pa.large_string()
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else format(v, "f") for v in column.to_pylist()], text)
    if not (pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_nested(kind)):
        try:
            return column.cast(text)
        except pa.ArrowInvalid:  # bytes that are no UTF-8
            pass
    return pa.array([None if v is None else str(v) for v in column.to_pylist()], text)


def _times(column: Any) -> tuple[pd.Series, str]:
    """Return dates and timestamps in microseconds, without their zone; and a note, or ""."""
    import pyarrow as pa
    import pyarrow.compute as pc

    unit = getattr(column.type, "unit", "s")
    times, note = column.cast(pa.timestamp(unit), safe=False), ""
    if unit in _UNITS:  # all nanoseconds fit
        count, (first, end) = times.cast("int64"), (year * _UNITS[unit] for year in _YEARS)
        is_inside = pc.and_(pc.greater_equal(count, first), pc.less(count, end))
        if lost := pc.sum(pc.invert(is_inside)).as_py():
            note = f"{lost:,} times outside the years 1 to 9999 are read as missing"
        times = pc.if_else(is_inside, times, None)
    return times.cast(pa.timestamp("us"), safe=False).to_pandas(), note
