"""Rows as numbers and nominal features: indicators of one raw column belong together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from counterpoise.data.columns import Column


@dataclass(frozen=True)
class Feature:
    """What one raw column became."""

    name: str
    places: list[int]
    """Its columns in the array."""
    patterns_PW: np.ndarray = field(default_factory=lambda: np.empty((0, 1)))
    """Of a nominal feature what its columns hold, one row for each value that occurs; none of a number."""
    codes_N: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Of a nominal feature which of these each row holds."""
    values: tuple[str, ...] = ()
    """The same values in words."""

    @property
    def is_number(self) -> bool:
        """Return whether it is a number."""
        return not self.values


def features(x_ND: np.ndarray, columns: tuple[Column, ...]) -> list[Feature]:
    """Return the features of rows: those of numbers first, then the nominal ones, each in the order of the columns.

    Categories and ordered categories with names are nominal, and so are indicators; those of one source are one.
    """
    if not columns:
        return [Feature(f"x{d + 1}", [d]) for d in range(x_ND.shape[1])]
    numbers, groups = [], dict[tuple[str, str], list[int]]()
    for d, column in enumerate(columns):
        if column.kind == "numeric" or (column.kind == "ordinal" and not _is_code(x_ND[:, d], column)):
            numbers.append(Feature(column.name, [d]))
        else:
            own = column.kind != "indicator" or not column.source
            groups.setdefault(("column", column.name) if own else ("source", column.source), []).append(d)
    return numbers + [_nominal(name, places, x_ND, columns) for (_, name), places in groups.items()]


def _is_code(x_N: np.ndarray, column: Column) -> bool:
    """Return whether an ordinal column holds codes yet; preprocessing may have scaled them."""
    return bool(np.isin(x_N, np.arange(len(column.categories))).all())


def _nominal(name: str, places: list[int], x_ND: np.ndarray, columns: tuple[Column, ...]) -> Feature:
    patterns_PW, codes_N = np.unique(x_ND[:, places], axis=0, return_inverse=True)
    if columns[places[0]].kind == "indicator":
        words = [" and ".join(columns[places[w]].name for w in np.flatnonzero(row)) or "none" for row in patterns_PW]
    else:
        words = [columns[places[0]].categories[int(code)] for (code,) in patterns_PW]
    name = name if len(places) > 1 else columns[places[0]].name
    return Feature(name, places, patterns_PW, codes_N, tuple(words))
