"""The class counts that the data has, optionally with a cap.

Source: none; the control of every other imbalance.
Shapes: counts (C,).
Units: examples.
Raises: ImpossibleCell if a class has no example.
Differs from the source: not applicable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.methods.imbalance import _counts


@dataclass(frozen=True)
class Method:
    """Keep every example, at most `per_class` of a class."""

    version: ClassVar[int] = 1

    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Most examples kept of a class; None keeps all."""

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return `available_C`, capped; the order does not matter."""
        cap = available_C.max() if self.per_class is None else self.per_class
        return _counts.checked(np.minimum(available_C, cap), available_C)
