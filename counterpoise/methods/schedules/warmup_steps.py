"""The learning rate rises in equal stairs and later drops by a factor at fixed shares of training.

Source: Cao et al. 2019; github.com/kaidic/LDAM-DRW, cifar_train.py, `adjust_learning_rate`: of 200 epochs the first
five have 1/5 .. 5/5 of the rate, from epoch 160 (counted from 0) it is .01, from 180 it is .0001 of the peak.
Shapes: none.
Units: a multiple of the peak learning rate; shares of the steps.
Raises: nothing.
Differs from the source: nothing where the steps divide as its epochs do. Its comment ("decayed by 10 every 30
epochs") does not describe it, and the drops are by 100 each.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Interval


@dataclass(frozen=True)
class Method:
    """Stairs up, then a factor `gamma` at each share of `at`."""

    version: ClassVar[int] = 1
    warmup: Annotated[float, Interval(ge=0, lt=1)] = 0.025
    """Share of the steps in which the rate rises."""
    stairs: Annotated[int, Ge(1)] = 5
    """Equal stairs of the rise, the last at the full rate; as many as steps give a line."""
    at: tuple[Annotated[float, Interval(gt=0, lt=1)], ...] = (0.8, 0.9)
    """Shares of the steps after which the rate drops."""
    gamma: Annotated[float, Interval(gt=0, lt=1)] = 0.01
    """Factor of each drop."""

    def factor(self, step: int, steps: int) -> float:
        """Return the stair of this step, times `gamma` for each drop that lies behind."""
        rise = self.warmup * steps
        stair = min(int(step * self.stairs / rise) + 1, self.stairs) if rise else self.stairs
        return stair / self.stairs * self.gamma ** sum(step >= share * steps for share in self.at)
