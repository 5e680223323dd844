"""Linear imbalance: from class to class the count falls by a constant.

Source: Buda, Maki and Mazurowski 2018, "Forms of imbalance": rho = largest / smallest count, linear in between.
Shapes: counts (C,).
Units: examples.
Raises: ImpossibleCell if a class would be empty or lacks examples.
Differs from the source: nothing; counts are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.methods.imbalance import _counts


@dataclass(frozen=True)
class Method:
    """The order runs from the most to the least frequent class."""

    version: ClassVar[int] = 1

    rho: Annotated[float, Interval(ge=1)] = 10.0
    """Largest count over smallest count."""
    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Examples of the largest class; None: as many as every class can give."""

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return counts from the largest at `order_C[0]` down to largest / rho at its end."""
        most = _counts.largest(available_C, self.per_class)
        counts_C = np.empty(len(order_C), np.int64)
        counts_C[order_C] = _counts.half_up(np.linspace(most, most / self.rho, len(order_C)))
        return _counts.checked(counts_C, available_C)
