"""Text for a terminal: aligned tables that fit its width, and times for people."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]], wrap: int | None = None) -> str:
    """Return an aligned table; the column number `wrap` is wrapped so that a line fits the terminal."""
    cells = [[str(value) for value in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    if wrap is not None:
        room = shutil.get_terminal_size((120, 24)).columns - sum(widths) + widths[wrap] - 2 * (len(widths) - 1)
        widths[wrap] = max(1, min(widths[wrap], max(24, room)))  # 1: a column may be empty
    lines = []
    for row in cells:
        columns = [textwrap.wrap(v, widths[i]) or [""] if i == wrap else [v] for i, v in enumerate(row)]
        for height in range(max(map(len, columns))):
            parts = [c[height] if height < len(c) else "" for c in columns]
            lines.append("  ".join(p.ljust(w) for p, w in zip(parts, widths, strict=True)).rstrip())
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a time as people say it: 8 s, 3 min, 2 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, noun: str) -> str:
    """Return "1 case", "2 cases"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
