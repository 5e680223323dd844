"""What a column of a user's table is used as, and why: numbers, categories, an order, dates, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from counterpoise.own_data import leaks
from counterpoise.reading import values

if TYPE_CHECKING:
    import pandas as pd

_CATEGORIES = 1000  # a column of texts with more is not one of categories
_FEW = 20  # rows; of fewer, no column is called an identifier because its values differ
_MEETINGS = 5  # rows expected to share a number, of which none does in a column of identifiers
_CODES = 10  # different whole numbers that could be codes
_WORDS = ("true false", "yes no", "y n", "t f", "0 1", "on off")
_SCALES = (
    "very_low low medium moderate high very_high",
    "very_small small medium large very_large",
    "xs s m l xl xxl",
    "very_poor poor fair average good very_good excellent",
    "never rarely sometimes often always",
    "strongly_disagree disagree neutral agree strongly_agree",
    "none mild moderate severe",
)
_ROW = r"index|unnamed: 0|row_?(name|number|num)|__index_level_\d+__"
_KEY = rf"(?i:(.*[_ .-])?(id|ids|uuid|guid|key)|{_ROW})$|.*[a-z0-9](Id|ID)$"
_LIKE_KEY = r"(?i)[a-z]{4,}ids?$"  # PASSENGERID, but also THYROID; not AMOUNT_PAID


@dataclass(frozen=True)
class Described:
    """One column: what it will be used as, and why."""

    name: str
    kind: str
    """`numeric`, `categorical`, `ordinal`, a kind of date (`values.DateKind`), or `ignore`."""
    found: str
    """What it is: number, code, boolean, category, scale, date, constant, empty, identifier, text, target or given."""
    why: str
    missing: float
    """Share of the rows without a value."""
    infinite: int = 0
    """Infinite values, which are used as missing ones."""
    categories: tuple[str, ...] = ()
    """Of a categorical column sorted, of an ordinal one from the least to the greatest."""
    suggested: str = ""
    """Of a column that is not used but could be, the kind to give it."""
    doubtful: bool = False
    """Whether a person should look at `why`, because another use is as likely."""


def describe(column: pd.Series, labels_N: np.ndarray, given: str | None = None) -> Described:
    """Return what a column is used as, given the label of each of its rows, or the kind that was asked for."""
    import pandas as pd

    known = column.dropna()
    different = pd.Series(known.unique())
    names = values.texts(different[: _CATEGORIES + 1]).tolist()
    is_text = values.is_text(column)

    def found(kind: str, what: str, why: str, categories: Iterable[str] = (), doubtful: bool = False) -> Described:
        infinite = int(values.is_infinite(column.to_numpy()).sum()) if column.dtype.kind == "f" else 0
        share = 1 - len(known) / len(column)
        is_number = not np.isnan(values.numbers(different[:100])).any()
        could_be = "date" if column.dtype.kind == "M" else "numeric" if is_number else "categorical"
        suggested = could_be if kind == "ignore" and what not in ("empty", "constant", "given") else ""
        return Described(str(column.name), kind, what, why, share, infinite, tuple(categories), suggested, doubtful)

    if given:
        categories = sorted(values.texts(different)) if given == "categorical" else ()
        return found(given, "given", "set by --kind", categories)
    if not names:
        return found("ignore", "empty", "no row has a value")
    if len(names) == 1 and len(known) == len(column):
        return found("ignore", "constant", f"every row has '{names[0]}'")
    if len(names) <= len(set(labels_N)) and leaks.same_partition(column.to_numpy(), labels_N):
        return found("ignore", "target", "each of its values stands for one class, so it is the target in disguise")
    if column.dtype.kind == "M":
        return found("date", "date", "dates, as days since 1970-01-01")
    if len(names) == 2 and {name.lower() for name in names} in [set(pair.split()) for pair in _WORDS]:
        return found("categorical", "boolean", f"two values, '{min(names)}' and '{max(names)}'", sorted(names))
    if not is_text and values.is_infinite(known.to_numpy(float)).all():
        return found("ignore", "empty", "no row has a finite value")
    is_key = re.match(_KEY, str(column.name)) and (is_text or not (known % 1).any())
    if is_key and len(known) >= _FEW and len(different) > len(known) / 10:
        why = f"its name and its {len(different):,} different values make it an identifier"
        if len(different) < 0.9 * len(known):
            why += "; they recur, so rows of one value may belong together, on one side of a split"
        return found("ignore", "identifier", why)
    if not is_text:
        numbers = known.to_numpy(float)
        numbers = numbers[~values.is_infinite(numbers)]
        return _numbers(numbers, len(np.unique(numbers)), bool(re.match(_LIKE_KEY, str(column.name))), found)
    many = len(different) > _CATEGORIES or (len(known) >= _FEW and len(different) > len(known) / 2)
    return _texts(known, names, len(different) if many else 0, found)


def _numbers(numbers: np.ndarray, different: int, is_like_key: bool, found: Callable[..., Described]) -> Described:
    is_whole = len(numbers) >= _FEW and not (numbers % 1).any()
    if is_whole and different >= 0.95 * len(numbers) and np.ptp(numbers) < 1.1 * len(numbers):
        return found("ignore", "identifier", "it counts the rows")
    if is_whole and is_like_key:
        # numbers drawn at random would meet about this often, and quantities, which crowd, more often
        if different == len(numbers) and len(numbers) ** 2 > 2 * _MEETINGS * np.ptp(numbers):
            return found("ignore", "identifier", "its name, and that no number recurs, make it an identifier")
        if different > len(numbers) / 10:
            why = "numbers; if its name means an identifier, set its kind to ignore"
            return found("numeric", "number", why, doubtful=True)
    if is_whole and different <= _CODES:
        codes = f"{different} whole numbers from {numbers.min():.0f} to {numbers.max():.0f}"
        return found("numeric", "code", f"{codes}, used as a quantity; if they are codes, set its kind to categorical")
    return found("numeric", "number", "numbers")


def _texts(known: pd.Series, names: list[str], too_many: int, found: Callable[..., Described]) -> Described:
    import pyarrow as pa

    kind, note = values.date_kind(pa.array(known, pa.large_string()))
    if kind:
        return found(kind, "date", f"dates, as days since 1970-01-01{'; ' * bool(note)}{note}", doubtful=bool(note))
    odd = f"; {note}" if note else ""
    if too_many == len(known):
        return found("ignore", "identifier", f"every row has another text, as in a name, a key or free text{odd}")
    if too_many:
        return found("ignore", "text", f"{too_many:,} different texts in {len(known):,} rows are no categories{odd}")
    by_words = {name.lower().replace(" ", "_"): name for name in names}
    for scale in _SCALES:
        if len(by_words) == len(names) > 1 and set(by_words) <= set(scale.split()):
            order = [by_words[word] for word in scale.split() if word in by_words]
            return found("ordinal", "scale", f"words of a scale: {' < '.join(order)}", order, doubtful=True)
    return found("categorical", "category", f"{len(names):,} different texts{odd}", sorted(names), doubtful=bool(note))
