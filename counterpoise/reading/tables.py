"""A user's table, read with care: whatever was found out, or is odd, is said; what cannot be read is one line."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise.errors import UserError
from counterpoise.reading import columnar, delimited, values

if TYPE_CHECKING:
    import pandas as pd

_BINARY = {
    b"PK\x03\x04": "an Excel workbook or a zip archive; save the sheet as CSV, or unpack the archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    b"\x89HDF": "an HDF5 file; write the table as CSV or Parquet",
}
_NAME = 500  # characters


def read_table(
    path: str | Path,
    header: bool | None = None,
    expected: Collection[str] = (),
    kept: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Return the table in a CSV, TSV or Parquet file, gzipped or not: float64 for numbers, strings as they stand.

    `header` says whether the first row of a text is one (None: judge), and one with a name of `expected` is; `kept`
    has the strings of a column that are no missing values, such as NA. `attrs["notes"]` holds a sentence for each
    thing that was decided or is odd. Raises UserError, in one line, if there is no such file, it is no table, its rows
    differ in length, or it does not fit into memory.
    """
    path, kept = Path(path), kept or {}
    notes: list[str] = []
    parts: dict[str, Any] = {}
    if _is_parquet(path):
        for name, column in columnar.read(path, notes, _check_memory):
            parts[name], said = columnar.typed(column, kept.get(name, ()))
            notes += [f"column '{name}': {said}"] if said else []
    else:
        names, columns, delimiter = delimited.read(path, notes, _check_memory, header, expected)
        told = (found for column in columns if (found := values.comma_is_decimal(column)) is not None)
        comma_is_decimal = next(told, delimiter in ";\t")
        for name in names:
            column = columns.pop(0)
            parts[name], said = values.column(column, kept.get(name, ()), comma_is_decimal)
            notes += _broken(name, column)
            notes += [f"column '{name}': {said}"] if said else []
    return _frame(path, parts, notes)


def as_written(path: str | Path, name: str, header: bool | None = None, expected: Collection[str] = ()) -> pd.Series:
    """Return one column as strings, exactly as the file has them; of what is no text, as Python writes it."""
    path = Path(path)
    if _is_parquet(path):
        return columnar.as_written(dict(columnar.read(path, [], _check_memory, only=name))[name])
    return values.as_series(delimited.read(path, [], _check_memory, header, expected, name)[1][0])


def _is_parquet(path: Path) -> bool:
    """Return whether a file is in Parquet's format; raise UserError if there is none, or one that is no table."""
    if not path.is_file():
        raise UserError(f"{path}: {'is a folder, expected a file' if path.is_dir() else 'there is no such file'}")
    with path.open("rb") as file:
        start = file.read(4)
    if start in _BINARY:
        raise UserError(f"{path}: this is {_BINARY[start]}")
    return start == b"PAR1"


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


def _broken(name: str, texts: Any) -> list[str]:
    import pyarrow.compute as pc

    count = pc.sum(pc.match_substring(texts, "\n")).as_py() or 0
    note = f"column '{name}': {count:,} values have a line break; if wrong, a quotation mark is missing"
    return [note] if count else []


def _frame(path: Path, parts: dict[str, Any], notes: list[str]) -> pd.DataFrame:
    import pandas as pd

    for position, name in enumerate(parts, start=1):
        if len(name) > _NAME:
            raise UserError(
                f"{path}: the name of column {position} has {len(name):,} characters ('{name[:40]}...'), expected at "
                f"most {_NAME}: shorten it, or look for a delimiter or a quotation mark that is missing"
            )
    frame = pd.DataFrame(parts, copy=False)
    if frame.empty:
        raise UserError(f"{path}: there is a header and no row")
    frame.attrs["notes"] = notes
    return frame


def _check_memory(path: Path, need: float) -> None:
    free = free_memory()
    if need > free:
        raise UserError(
            f"{path}: reading it takes about {need / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "take a random part of its rows, leave columns out, or use a larger machine"
        )
