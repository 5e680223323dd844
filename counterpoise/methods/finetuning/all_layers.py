"""Train every layer, from wherever pretraining left them.

Source: the standard practice.
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over all parameters."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase as configured."""
        return [phase]
