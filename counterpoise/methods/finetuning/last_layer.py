"""Train the last layer only, from the head that pretraining learned: the second phase of two-phase training.

Source: Havaei et al. 2017; Buda et al. 2018 (phase two: the last layer, on the original imbalanced data [recalled]).
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over the head; the encoder stays as it is."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head."""
        return [replace(phase, head_only=True)]
