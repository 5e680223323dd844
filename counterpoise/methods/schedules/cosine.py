"""The learning rate falls to 0 along half a cosine.

Source: Loshchilov and Hutter 2017, "SGDR", equation 5 without restarts and with a minimum of 0; torch's
CosineAnnealingLR with T_max = steps, taken at each step.
Shapes: none.
Units: a multiple of the peak learning rate.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from math import cos, pi
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """From 1 at the first step towards 0 after the last."""

    version: ClassVar[int] = 1

    def factor(self, step: int, steps: int) -> float:
        """Return (1 + cos(pi * step / steps)) / 2."""
        return (1 + cos(pi * step / steps)) / 2
