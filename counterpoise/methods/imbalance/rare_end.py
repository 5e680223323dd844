"""Exponential imbalance along the classes' own order: of a target's bins the last is the rarest.

Source: imbalanced regression's usual case of a tail at one end, as in Moukpe, Chan and Zhang 2025 (CISIR); the counts
are those of `long_tailed`.
Shapes: counts (C,).
Units: examples.
Raises: ImpossibleCell if a class would be empty or lacks examples.
Differs from the source: real data sets thin out by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import registry


@dataclass(frozen=True)
class Method:
    """The first class is the most frequent one."""

    version: ClassVar[int] = 1
    ordered: ClassVar[bool] = True

    factor: Annotated[float, Interval(ge=1)] = 100.0
    """Largest count over smallest count."""
    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Examples of the largest class; None: as many as every class can give."""

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return the counts of `long_tailed`; the sample stage gives the classes in their own order."""
        spec = {"name": "long_tailed", "factor": self.factor, "per_class": self.per_class}
        return registry.build("imbalance", spec).counts(available_C, order_C)
