"""Text with delimiters, as it comes: which delimiter and header it has is found out, and said.

Between values there may be commas, semicolons, tabs or pipes, at the end of lines any of the usual signs.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from counterpoise import utf8, values
from counterpoise.errors import UserError

DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "pipe", ",": "comma"}
"""In the order in which they are tried: commas may stand inside the values of files with the others."""

_SAMPLE = 1 << 18  # bytes by which delimiter and header are judged
_SHOWN = 5  # rows of a wrong length that a message lists


def read(path: Path, notes: list[str], check_memory: Callable[[Path, float], None]) -> tuple[list[str], list[Any], str]:
    """Return the names of the columns, the columns as Arrow arrays of texts, and the delimiter; add to `notes`.

    `check_memory` is told how many bytes texts and their numbers will take, before they are read. Raises UserError if
    there is no row, or rows differ in length.
    """
    with ExitStack() as stack:
        content = utf8.opened(path, stack, notes)
        start = content.tell()
        sample = content.read(_SAMPLE)
        size = content.seek(0, os.SEEK_END) - start
        delimiter, rows = _sniffed(sample, whole=len(sample) == size)
        if not rows:
            raise UserError(f"{path}: the file is empty; expected a header and rows")
        names, has_header = _header(rows, notes)
        if len(names) == 1:
            notes.append("one column was found; between values there must be a comma, semicolon, tab or pipe")
        check_memory(path, size + 12 * sum(map(len, rows)) * size / len(sample))
        content.seek(start)
        return names, _columns(path, content, delimiter, names, has_header), delimiter


def _sniffed(sample: bytes, whole: bool) -> tuple[str, list[list[str]]]:
    """Return the delimiter that cuts the rows of a sample into as many values each, and the rows."""
    text = sample.decode(errors="ignore")
    best: tuple[float, str, list[list[str]]] = (-1, ",", [])
    for delimiter in DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]
        except csv.Error:  # a value longer than csv reads: not cut by this delimiter
            continue
        rows = rows if whole or len(rows) < 2 else rows[:-1]
        widths = Counter(map(len, rows[1:] or rows))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        fits = count / len(rows[1:] or rows) * (len(rows[0]) in (width, width - 1) or 0.5) if width > 1 else 0
        if fits > best[0]:
            best = fits, delimiter, rows
    return best[1], best[2]


def _header(rows: list[list[str]], notes: list[str]) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the first row is the header that they come from."""
    first, body = rows[0], rows[1:]
    width = Counter(map(len, body or rows)).most_common(1)[0][0]
    if not _is_header(first, [row for row in body if len(row) == width]):
        notes.append(f"there is no header: the columns are called column_1 to column_{width}")
        return [f"column_{i}" for i in range(1, width + 1)], False
    names = [name.strip() for name in first]
    if width == len(names) + 1:
        if any(row[-1].strip() for row in body if len(row) == width):
            names.insert(0, "row_name")
            notes.append("the header has a name less than the rows have values: the first column is called row_name")
        else:
            names.append("")
    return unique(names, notes), True


def _is_header(first: list[str], body: list[list[str]]) -> bool:
    """Return whether a first row is a header, as a text above numbers is, and a number above numbers is not.

    Numbers that count up by one are a header too. Above texts, only one that recurs below it is none.
    """
    if not body or (all(values.like_number(cell) for cell in first) and _counts_up(first)):
        return True
    against = 0
    for i, cell in enumerate(first[: len(body[0])]):
        below = [row[i].strip() for row in body if row[i].strip().lower() not in values.MISSING]
        is_numeric = bool(below) and sum(map(values.like_number, below)) >= values.SHARE * len(below)
        if is_numeric and not values.like_number(cell) and cell.strip().lower() not in values.MISSING:
            return True
        against += values.like_number(cell) if is_numeric else cell.strip() in below
    return not against


def _counts_up(cells: list[str]) -> bool:
    try:
        numbers = [int(cell) for cell in cells]
    except ValueError:
        return False
    return len(numbers) > 1 and all(after == before + 1 for before, after in pairwise(numbers))


def unique(names: list[str], notes: list[str]) -> list[str]:
    """Return the names with a number for those that are empty or occur before."""
    found: list[str] = []
    for position, name in enumerate(names, start=1):
        fresh, count = name or f"column_{position}", 1
        while fresh in found:
            count += 1
            fresh = f"{name}.{count}"
        if name and fresh != name:
            notes.append(f"there are several columns '{name}': that at position {position} is called '{fresh}'")
        found.append(fresh)
    return found


def _columns(path: Path, content: IO[bytes], delimiter: str, names: list[str], has_header: bool) -> list[Any]:
    """Return the columns as Arrow arrays of texts; raise UserError if a row has too few or too many values."""
    import pyarrow as pa
    from pyarrow import csv as arrow

    ragged: list[Any] = []

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip" if len(ragged) < _SHOWN else "error"

    try:
        table = arrow.read_csv(
            content,
            arrow.ReadOptions(column_names=names, skip_rows_after_names=int(has_header), use_threads=False),
            arrow.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            arrow.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False),
        )
    except pa.ArrowException as reason:
        if not ragged:
            raise UserError(f"{path}: {' '.join(str(reason).split())}") from None
    if ragged:
        shown = ", ".join(f"row {row.number} has {row.actual_columns}" for row in ragged)
        raise UserError(
            f"{path}: expected {len(names)} values in each row, cut at every {DELIMITERS[delimiter]}, but {shown}"
            f"{' (and there may be more)' if len(ragged) == _SHOWN else ''}; look for a delimiter or a quotation mark "
            "too few or too many there"
        )
    return [column.combine_chunks() for column in table.columns]
