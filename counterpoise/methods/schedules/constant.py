"""The learning rate stays as it is.

Source: none.
Shapes: none.
Units: a multiple of the peak learning rate.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """A constant."""

    version: ClassVar[int] = 1

    def factor(self, step: int, steps: int) -> float:
        """Return 1."""
        return 1.0
