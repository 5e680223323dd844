"""What the columns of a table hold: how the numbers of an array are to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["numeric", "categorical", "ordinal", "indicator"]


@dataclass(frozen=True)
class Column:
    """One column. NaN is a missing value in every kind."""

    name: str
    kind: Kind = "numeric"
    """`numeric`; `categorical` and `ordinal`, which hold the position of a category; `indicator`, which is 0 or 1."""
    categories: tuple[str, ...] = ()
    """Categories in the order of their codes; of an ordinal column from the least to the greatest."""
    source: str = ""
    """The raw column that an indicator was made of."""
