"""The learning rate is divided once, late in training.

Source: the usual recipe of this field (a tenth after 80 % of the steps, as in He et al. 2016).
Shapes: none.
Units: a multiple of the peak learning rate.
Raises: nothing.
Differs from the source: one drop; the papers on CIFAR have two or three.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Interval


@dataclass(frozen=True)
class Method:
    """One drop by `gamma` at the share `at` of the steps."""

    version: ClassVar[int] = 1
    at: Annotated[float, Interval(gt=0, lt=1)] = 0.8
    """Share of the steps after which the rate drops."""
    gamma: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    """Factor of the drop."""

    def factor(self, step: int, steps: int) -> float:
        """Return 1 before the drop and `gamma` after it."""
        return 1.0 if step < self.at * steps else self.gamma
