"""Text with delimiters, as it comes: which delimiter and header it has is found out, and said.

Between values there may be commas, semicolons, tabs or pipes, at the end of lines any of the usual signs.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from counterpoise.errors import UserError
from counterpoise.reading import utf8, values

DELIMITERS = {"\t": "tab", ";": "semicolon", "|": "pipe", ",": "comma"}
"""In the order in which they are tried: commas may stand inside the values of files with the others."""

_SAMPLE = 1 << 18  # bytes by which delimiter and header are judged
_LINES = 20  # that these bytes hold at least, if there are as many
_TITLES = 20  # lines that may stand above the header
_WORDS = 60  # characters of a line in a message
_HINT = re.compile(rb'(?i)"?sep=([^\r\n"])"?[ ;,\t|]*(?:\r\n|\r|\n|\Z)')  # Excel's, as the first line
_OTHER = {"JSON": (b"[{", b"[\n", b'{"', b"{\n"), "HTML": (b"<!doctype", b"<html", b"<table"), "XML": (b"<?xml",)}
_SHOWN = 5  # rows of a wrong length that a message lists


def read(
    path: Path,
    notes: list[str],
    check_memory: Callable[[Path, float], None],
    header: bool | None = None,
    expected: Collection[str] = (),
    only: str | None = None,
) -> tuple[list[str], list[Any], str]:
    """Return the names of the columns, the columns as Arrow arrays of strings, and the delimiter; add to `notes`.

    A first row with one of the names `expected` is the header; otherwise `header` says whether it is one, and None
    leaves that to be judged. `only`: the one column to return. `check_memory` is told how many bytes strings and their
    numbers will take, before they are read. Raises UserError if there is no row, or rows differ in length.
    """
    with ExitStack() as stack:
        content = utf8.opened(path, stack, notes)
        start = content.tell()
        sample = _sample(content)
        end = content.seek(0, os.SEEK_END)
        for what, beginnings in _OTHER.items():
            if sample.lower().startswith(beginnings):
                raise UserError(f"{path}: this is {what}; write the table as CSV or Parquet")
        if hint := _HINT.match(sample):
            start += hint.end()
            sample = sample[hint.end() :]
        is_whole = start + len(sample) == end
        delimiter, rows, lines = _sniffed(sample, is_whole, [hint[1].decode()] if hint else DELIMITERS)
        if hint and (not rows or _width(rows) == 1):
            delimiter, rows, lines = _sniffed(sample, is_whole, DELIMITERS)
        if not rows:
            raise UserError(f"{path}: the file is empty; expected a header and rows")
        above = _above(rows, expected)
        if above:
            more = f" and {above - 1} more" if above > 1 else ""
            notes.append(f"skipped above the header: '{_shown(rows[0])}'{more}")
        skipped = sample.splitlines(keepends=True)[: lines[above]]
        names, has_header = _header(path, rows[above:], header, expected, notes)
        if len(names) == 1:
            notes.append("one column was found; between values there must be a comma, semicolon, tab or pipe")
        if has_header and is_whole and len(rows) == above + 1:
            raise UserError(f"{path}: there is a header and no row")
        check_memory(path, (end - start) * (1 + 12 * sum(map(len, rows)) / len(sample)))
        content.seek(start + sum(map(len, skipped)))
        before = len(skipped) + bool(hint)
        return names, _columns(path, content, delimiter, names, has_header, before, only), delimiter


def _sample(content: IO[bytes]) -> bytes:
    """Return the beginning of a text, with several lines of it whole however wide they are."""
    sample = content.read(_SAMPLE)
    while sample.count(b"\n") + sample.count(b"\r") < _LINES and (more := content.read(len(sample))):
        sample += more
    return sample


def _sniffed(sample: bytes, whole: bool, delimiters: Iterable[str]) -> tuple[str, list[list[str]], list[int]]:
    """Return the delimiter that cuts the rows of a sample into as many values each, the rows, and their lines."""
    text = sample.decode(errors="ignore")
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    best: tuple[float, str, list[list[str]], list[int]] = (-1, ",", [], [])
    for delimiter in delimiters:
        rows, lines, line = [], [], 0
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num
        rows = rows if whole or len(rows) < 2 else rows[:-1]
        width = _width(rows) if rows else 0
        count = sum(len(row) == width for row in rows[1:] or rows)
        fits = count / len(rows[1:] or rows) * (len(rows[0]) in (width, width - 1) or 0.5) if width > 1 else 0
        if fits > best[0]:
            best = fits, delimiter, rows, lines
    return best[1:]


def _width(rows: list[list[str]]) -> int:
    """Return how many values most rows have, the first, which may be a header, left aside."""
    return Counter(map(len, rows[1:] or rows)).most_common(1)[0][0]


def _above(rows: list[list[str]], expected: Collection[str]) -> int:
    """Return how many rows stand above the header, as titles and comments do: none are as long as the table's."""
    width = _width(rows)
    for i, row in enumerate(rows[:_TITLES]):
        if _names_any(row, expected) and all(len(r) != width or r[0].startswith("#") for r in rows[:i]):
            return i
    return next((i for i, row in enumerate(rows) if len(row) == width or not row[0].startswith("#")), 0)


def _names_any(row: list[str], expected: Collection[str]) -> bool:
    return any(cell.strip() in expected for cell in row if cell.strip())


def _header(
    path: Path, rows: list[list[str]], header: bool | None, expected: Collection[str], notes: list[str]
) -> tuple[list[str], bool]:
    """Return the names of the columns, and whether the first row is the header that they come from."""
    first, body = rows[0], rows[1:]
    width = _width(rows)
    is_header = _is_header(first, [row for row in body if len(row) == width]) if header is None else header
    if not (is_header or _names_any(first, expected)):
        notes.append(f"there is no header: the columns are called column_1 to column_{width}; for one, add --header")
        return [f"column_{i}" for i in range(1, width + 1)], False
    names = [name.strip() for name in first]
    if width == len(names) + 1:
        if any(row[-1].strip() for row in body if len(row) == width):
            names.insert(0, "row_name")
            notes.append("the header has a name less than the rows have values: the first column is called row_name")
        else:
            names.append("")
    elif len(names) < width:
        raise UserError(
            f"{path}: the rows have {width} values, but their first line {len(names)} ('{_shown(first)}'); expected "
            "the names of the columns there: remove what stands above them"
        )
    return unique(names, notes), True


def _shown(row: list[str]) -> str:
    words = " ".join(" ".join(row).split())
    return words if len(words) <= _WORDS else words[:_WORDS] + "..."


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
    found: dict[str, None] = {}
    for position, name in enumerate(names, start=1):
        fresh, count = name or f"column_{position}", 1
        while fresh in found:
            count += 1
            fresh = f"{name}.{count}"
        if name and fresh != name:
            notes.append(f"there are several columns '{name}': that at position {position} is called '{fresh}'")
        found[fresh] = None
    return list(found)


def _columns(
    path: Path, content: IO[bytes], delimiter: str, names: list[str], has_header: bool, above: int, only: str | None
) -> list[Any]:
    """Return the columns as Arrow arrays of strings; raise UserError if a row has too few or too many values."""
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
            arrow.ConvertOptions(
                column_types=dict.fromkeys(names, pa.large_string()),
                strings_can_be_null=False,
                include_columns=names if only is None else [only],
            ),
        )
    except pa.ArrowException as reason:
        if not ragged:
            raise UserError(f"{path}: {' '.join(str(reason).split())}") from None
    if ragged:
        shown = ", ".join(f"row {row.number + above} has {row.actual_columns}" for row in ragged)
        shown += " (and there may be more)" if len(ragged) == _SHOWN else ""
        raise UserError(
            f"{path}: expected {len(names)} values in each row, cut at every {DELIMITERS.get(delimiter, delimiter)}, "
            f"but {shown}; look for a delimiter or a quotation mark too few or too many there"
        )
    return [column.combine_chunks() for column in table.columns]
