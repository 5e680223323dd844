"""Step imbalance: some classes have few examples, all others the same larger number.

Source: Buda, Maki and Mazurowski 2018, "Forms of imbalance": rho = majority / minority count, mu =
share of minority classes.
Shapes: counts (C,).
Units: examples.
Raises: UserError unless exactly one of `rho` and `minority_count` is given; ImpossibleCell if `mu` rounds to no or
to every class, if a class would be empty or lacks examples, or if `minority_count` exceeds the majority's.
Differs from the source: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.imbalance import _counts


@dataclass(frozen=True)
class Method:
    """The first `round(mu * C)` classes of the order are the minority."""

    version: ClassVar[int] = 1

    mu: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    """Share of minority classes."""
    rho: Annotated[float, Interval(ge=1)] | None = None
    """Majority count over minority count; the minority count is rounded."""
    minority_count: Annotated[int, Interval(ge=1)] | None = None
    """Examples of each minority class."""
    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Examples of each majority class; None: as many as every class can give."""

    def __post_init__(self) -> None:
        if (self.rho is None) == (self.minority_count is None):
            raise UserError(
                "step: expected exactly one of rho and minority_count, "
                f"found rho={self.rho}, minority_count={self.minority_count}"
            )

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return the majority count, and the minority count for the first classes of the order."""
        minorities = int(_counts.half_up(self.mu * len(order_C)))
        if not 0 < minorities < len(order_C):
            raise ImpossibleCell(
                f"step: mu={self.mu} makes {minorities} of {len(order_C)} classes minority, "
                "expected at least one and not all"
            )
        majority = _counts.largest(available_C, self.per_class)
        minority = self.minority_count
        if minority is None:
            assert self.rho is not None  # __post_init__: exactly one of the two
            minority = int(_counts.half_up(majority / self.rho))
        if minority > majority:
            raise ImpossibleCell(f"step: minority_count={minority} exceeds the {majority} examples of a majority class")
        counts_C = np.full(len(order_C), majority)
        counts_C[order_C[:minorities]] = minority
        return _counts.checked(counts_C, available_C)
