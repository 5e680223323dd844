"""A user's table, read with care: whatever was found out, or is odd, is said; what cannot be read is one line."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise import delimited, values
from counterpoise.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

_BINARY = {
    b"PK\x03\x04": "an Excel workbook or a zip archive; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"\x89HDF": "an HDF5 file; write the table as CSV or Parquet",
}


def read_table(path: str | Path) -> pd.DataFrame:
    """Return the table in a CSV, TSV or Parquet file, gzipped or not: float64 for numbers, texts as they stand.

    `attrs["notes"]` holds a sentence for each thing that was decided or is odd. Raises UserError, in one line, if
    there is no such file, it is no table, its rows differ in length, or it does not fit into memory.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder, expected a file' if path.is_dir() else 'there is no such file'}")
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PAR1":
        return _parquet(path)
    if start in _BINARY:
        raise UserError(f"{path}: this is {_BINARY[start]}")
    return _delimited(path)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as it lies there."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_memory() -> float:
    """Return the bytes of memory that this process may still take."""
    import psutil  # type: ignore[import-untyped]

    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or no limit
        return free
    return min(free, limit)


def _delimited(path: Path) -> pd.DataFrame:
    import pyarrow.compute as pc

    notes: list[str] = []
    parts: dict[str, Any] = {}
    names, columns, delimiter = delimited.read(path, notes, _check_memory)
    for name in names:
        texts = values.trimmed(columns.pop(0))
        found, note = values.parsed(texts, comma_is_decimal=delimiter in ";\t")
        parts[name] = _text(texts) if found is None else found
        if broken := pc.sum(pc.match_substring(texts, "\n")).as_py():
            notes.append(f"column '{name}': {broken:,} values have a line break; if wrong, a quotation mark is missing")
        notes += [f"column '{name}': {note}"] if note else []
    return _frame(path, parts, notes)


def _frame(path: Path, parts: dict[str, Any], notes: list[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(parts, copy=False)
    if frame.empty:
        raise UserError(f"{path}: there is a header and no row")
    frame.attrs["notes"] = notes
    return frame


def _text(texts: Any) -> pd.Series:
    import pandas as pd

    return pd.Series(texts.to_pandas(), dtype="str")


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    notes: list[str] = []
    try:
        file = parquet.ParquetFile(path)
        about = file.metadata
        held = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        _check_memory(path, held + 8 * about.num_rows * about.num_columns)
        table = file.read()
    except (pa.ArrowException, OSError) as reason:
        raise UserError(f"{path}: this Parquet file cannot be read: {' '.join(str(reason).split())}") from None
    parts: dict[str, Any] = {}
    for name, column in zip(delimited.unique(table.column_names, notes), table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        column = column.cast(kind).combine_chunks()
        if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            parts[name] = column.cast("float64", safe=False).to_numpy(False)
        elif pa.types.is_temporal(kind) and not (pa.types.is_time(kind) or pa.types.is_duration(kind)):
            parts[name] = column.cast(pa.timestamp("us"), safe=False).to_pandas()
        elif pa.types.is_null(kind):
            parts[name] = np.full(len(column), np.nan)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
            parts[name] = _text(values.trimmed(column.cast(pa.large_string())))
        else:
            notes += [] if pa.types.is_boolean(kind) else [f"column '{name}': values of type {kind} are read as text"]
            parts[name] = _text(
                pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.large_string())
            )
    return _frame(path, parts, notes)


def _check_memory(path: Path, need: float) -> None:
    free = free_memory()
    if need > free:
        raise UserError(
            f"{path}: reading it takes about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "take a random part of its rows, leave columns out, or use a larger machine"
        )
