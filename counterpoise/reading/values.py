"""What the texts of a user's table stand for: missing values, numbers, dates, categories.

A text becomes the same value whatever stands beside it, so that a model meets in a new file what it met before; only
whether a comma is the decimal sign, and whether a column is one of numbers, is judged by the whole column.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DateKind = Literal["date", "date_day_first", "date_month_first"]
"""`date`: 2024-01-31, 2024/01/31 or 31.01.2024, with a time or without; the others: 31/01/2024 and 01/31/2024."""

MISSING = ("", "?", "na", "n/a", "nan", "-nan", "null", "#n/a", "#na", "<na>", "nat")
"""Texts that are a missing value in any column, in small or capital letters."""

MARKERS = ("-", "--", "---", ".", "*", "none", "nil", "missing", "unknown", "n.a.", "#value!", "#div/0!")
"""Texts that are a missing value in a column of numbers or dates only."""

SHARE = 0.95
"""A column is one of numbers, or dates, if this share of its texts is; the other texts are then missing, and said."""

_SHOWN = 30  # characters of a text in a message
_EXACT = 2.0**53  # from here on float64 does not tell neighbouring whole numbers apart
_SIGN = "^[+-]?"
_PLAIN = rf"(?i){_SIGN}((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)$"
_BETWEEN = "'’\u00a0\u202f"  # thousands, in whatever country: apostrophes and spaces that do not break
_COMMA_IS_DECIMAL = rf"{_SIGN}([1-9]\d{{0,2}}([.{_BETWEEN}]\d{{3}})+|\d+)(,\d+)?$"
_COMMA_IS_THOUSANDS = rf"{_SIGN}([1-9]\d{{0,2}}([,{_BETWEEN}]\d{{3}})+|\d+)(\.\d+)?$"
_WHOLE = rf"{_SIGN}\d+(\.0*)?$"
_POWER = rf"(?i){_SIGN}\d+(\.\d+)?e\+?\d+$"
_ROUNDED = r"(?i)\.\d{13,}e"  # as many digits as float64 has: an identifier, not a measurement
_TIME = r"([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_DATE = rf"^(\d{{4}}[-/]\d{{1,2}}[-/]\d{{1,2}}|\d{{1,2}}\.\d{{1,2}}\.\d{{4}}){_TIME}"
_ABOVE_12 = r"(1[3-9]|2\d|3[01])"
_SLASHED = rf"^\d{{1,2}}[/-]\d{{1,2}}[/-]\d{{4}}{_TIME}"


def trimmed(texts: Any, kept: Sequence[str] = ()) -> Any:
    """Return an Arrow array of strings without the spaces around them, null where one stands for a missing value.

    Those in `kept` stand for themselves.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_trim_whitespace(texts)
    is_missing = pc.is_in(pc.utf8_lower(texts), pa.array(MISSING, texts.type))
    if kept:
        is_missing = pc.and_not(is_missing, pc.is_in(texts, pa.array(kept, texts.type)))
    return pc.if_else(is_missing, None, texts)


def parsed(texts: Any, comma_is_decimal: bool) -> tuple[np.ndarray | None, str]:
    """Return an Arrow array of trimmed texts as float64, or None if it is not one of numbers; and a note, or "".

    `comma_is_decimal`: what a comma is where both readings fit, as in 1,500.
    """
    import pyarrow.compute as pc

    known = _without_markers(texts)
    if not len(known):
        return (np.full(len(texts), np.nan), "") if texts.null_count == len(texts) else (None, "")
    decimal = (_COMMA_IS_DECIMAL, ".", "a comma is read as the decimal sign (1,5 is 1.5)")
    thousands = (_COMMA_IS_THOUSANDS, ",", "a comma is read as a sign between thousands (1,500 is 1500)")
    readings = [(_PLAIN, "", ""), *((decimal, thousands) if comma_is_decimal else (thousands, decimal))]
    share, (pattern, separator, note) = 0.0, readings[0]
    for reading in readings:
        if share < 1 and (found := _share(known, reading[0])) > share:
            share, (pattern, separator, note) = found, reading
    if share < SHARE:
        return None, ""
    is_number = pc.match_substring_regex(texts, pattern)
    plain = pc.replace_substring_regex(texts, f"[{separator}{_BETWEEN}]", "") if separator else texts
    plain = pc.if_else(is_number, pc.replace_substring(plain, ",", "."), None)
    found = plain.cast("float64").to_numpy(False)
    if names := _names(pc.drop_null(plain), found):
        return None, names
    note = note if pc.any(pc.match_substring_regex(known, "[.,]")).as_py() else ""
    odd = pc.drop_null(pc.if_else(is_number, None, texts))
    notes = [note, _odd(odd.to_pylist(), "number") if len(odd) else ""]
    return found, "; ".join(filter(None, notes))


def comma_is_decimal(texts: Any) -> bool | None:
    """Return whether an Arrow array of strings holds numbers with decimal commas; None where that cannot be told."""
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring(texts, ",")).as_py():
        return None
    known = _without_markers(trimmed(texts))
    decimal, thousands = (_share(known, p) if len(known) else 0.0 for p in (_COMMA_IS_DECIMAL, _COMMA_IS_THOUSANDS))
    return decimal > thousands if max(decimal, thousands) >= SHARE and decimal != thousands else None


def is_exact(numbers: np.ndarray) -> bool:
    """Return whether float64 tells every whole number up to the largest of these apart."""
    return not (np.abs(numbers[np.isfinite(numbers)]) >= _EXACT).any()


def _names(plain: Any, numbers: np.ndarray) -> str:
    """Return why numbers, given as they are written and as float64, are names of something; "" if they are not."""
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(plain, r"^0\d")).as_py() and _share(plain, r"^\d+$") == 1:
        return "numbers with leading zeros are read as names, not as quantities"
    if not (np.abs(numbers) >= _EXACT).any():
        return ""
    plain = plain.filter(pc.invert(pc.match_substring_regex(plain, "(?i)inf")))
    held = np.abs(plain.cast("float64").to_numpy(False))
    if not (held >= _EXACT).any():
        return ""
    if _share(plain, _WHOLE) == 1:
        return "whole numbers of more than 15 digits are read as names, not as quantities"
    is_id = held.max() < 2.0**64 and not (held % 1).any() and _share(plain, f"{_WHOLE}|{_POWER}") == 1
    if is_id and pc.any(pc.match_substring_regex(plain, _ROUNDED)).as_py():
        return (
            "whole numbers of more than 15 digits are read as names, not as quantities; they were rounded when the "
            "file was written, so that some may be alike: write them as integers or strings"
        )
    return ""


def column(texts: Any, kept: Sequence[str], comma_is_decimal: bool) -> tuple[np.ndarray | pd.Series, str]:
    """Return an Arrow array of strings as `parsed` numbers, or as trimmed strings; and a note, or ""."""
    texts = trimmed(texts, kept)
    found, note = (None, "") if kept else parsed(texts, comma_is_decimal)
    return (as_series(texts) if found is None else found), note


def as_series(texts: Any) -> pd.Series:
    """Return an Arrow array of strings as a column of pandas."""
    import pandas as pd

    return pd.Series(texts.to_pandas(), dtype="str")


def like_number(text: str) -> bool:
    """Return whether one text could be a number or a date."""
    return any(re.match(p, text.strip()) for p in (_PLAIN, _COMMA_IS_DECIMAL, _COMMA_IS_THOUSANDS, _DATE, _SLASHED))


def date_kind(texts: Any) -> tuple[DateKind | None, str]:
    """Return how the dates of an Arrow array of trimmed texts are written, or None if it is not one; and a note."""
    import pyarrow.compute as pc

    known = _without_markers(texts)
    if not len(known) or _share(known, f"{_DATE}|{_SLASHED}") < SHARE:
        return None, ""
    if max(_share(known, _DATE), _share(known, _SLASHED)) < SHARE:
        return None, "dates are written in several ways: write all as 2024-01-31"
    odd = known.filter(pc.invert(pc.match_substring_regex(known, f"{_DATE}|{_SLASHED}"))).to_pylist()
    notes = [_odd(odd, "date")] if odd else []
    if _share(known, _DATE) >= SHARE:
        return "date", "; ".join(notes)
    day_first, month_first = _share(known, rf"^{_ABOVE_12}[/-]"), _share(known, rf"^\d{{1,2}}[/-]{_ABOVE_12}[/-]")
    if day_first and month_first:
        return None, "dates with the day first and with the month first: which is meant cannot be told"
    if not day_first and not month_first:
        notes.append("no day is above 12, so the month is taken to come first (if not: date_day_first)")
    return ("date_day_first" if day_first else "date_month_first"), "; ".join(notes)


def numbers(column: pd.Series, kind: str = "numeric") -> np.ndarray:
    """Return a column as float64: `numeric`, or one of the kinds of dates as days since 1970-01-01.

    NaN where a value is missing, infinite or larger than float32 holds, or a text that is no number or date.
    """
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column):
        found = _days(column.dt.tz_convert(None) if column.dt.tz is not None else column)
    elif not is_text(column):
        found = column.to_numpy(float, na_value=np.nan)
    elif kind in ("date_day_first", "date_month_first"):
        day, month = (1, 2) if kind == "date_day_first" else (2, 1)
        found = _iso_days(column.str.replace(r"^(\d+)[/-](\d+)[/-](\d{4})", rf"\3-\{month}-\{day}", regex=True))
    elif kind == "date":
        turned = column.str.replace(r"^(\d+)\.(\d+)\.(\d{4})", r"\3-\2-\1", regex=True)
        found = _iso_days(turned.str.replace("/", "-"))
    else:
        found = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    return np.where(is_infinite(found), np.nan, found)


def is_infinite(numbers: np.ndarray) -> np.ndarray:
    """Return which numbers are infinite in float32, in which many models compute."""
    return np.abs(numbers) > np.finfo(np.float32).max


def texts(column: pd.Series) -> pd.Series:
    """Return a column as the names of categories: whole numbers without a point; None where a value is missing."""
    import pandas as pd

    def named(value: Any) -> str:
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)

    found = [named(v) if known else None for v, known in zip(column, column.notna(), strict=True)]
    return pd.Series(found, column.index, dtype=object)


def codes(column: pd.Series, categories: Sequence[str]) -> np.ndarray:
    """Return the positions of a column's texts among `categories`: NaN where missing, -1 for a text not among them."""
    import pandas as pd

    position = {_alike(category): code for code, category in enumerate(categories)}
    position |= {category: code for code, category in enumerate(categories)}
    order_N, different = pd.factorize(column)
    codes = [position.get(name, position.get(_alike(name), -1)) for name in texts(pd.Series(different))]
    return np.array([*codes, np.nan])[order_N]  # factorize says -1, the last, where a value is missing


def _alike(name: str) -> str:
    """Return one spelling of what programs write in several: TRUE and True, 1 and 1.0."""
    return name.lower() if name.lower() in ("true", "false") else re.sub(r"^([+-]?\d+)\.0+$", r"\1", name)


def encoded(column: pd.Series, kind: str, categories: Sequence[str] = ()) -> np.ndarray:
    """Return a column as a model takes it: `numbers`, or of a categorical or ordinal column `codes`."""
    return codes(column, categories) if kind in ("categorical", "ordinal") else numbers(column, kind)


def is_text(column: pd.Series) -> bool:
    """Return whether a column holds texts, not numbers, truth values or times."""
    import pandas as pd

    return pd.api.types.is_string_dtype(column.dtype) or column.dtype == object


def _iso_days(column: pd.Series) -> np.ndarray:
    import pandas as pd

    return _days(pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce").dt.tz_convert(None))


def _days(times: pd.Series) -> np.ndarray:
    days = times.to_numpy("datetime64[us]").astype(np.int64) / 86_400e6
    return np.where(times.isna(), np.nan, days)


def _odd(odd: list[str], what: str) -> str:
    shown = ", ".join(f"'{' '.join(text.split())[:_SHOWN]}'" for text in sorted(set(odd))[:3])
    return f"{len(odd)} of its values are no {what} ({shown}) and read as missing"


def _without_markers(texts: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pc.drop_null(texts)
    return known.filter(pc.invert(pc.is_in(pc.utf8_lower(known), pa.array(MARKERS, known.type))))


def _share(texts: Any, pattern: str) -> float:
    import pyarrow.compute as pc

    return pc.mean(pc.match_substring_regex(texts, pattern).cast("float64")).as_py()
