"""Train a new linear head on frozen features: how good is the representation by itself?

Source: Zhang et al. 2016; the standard evaluation of self-supervised features.
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
    """One phase over a fresh head; the encoder stays as it is."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = True

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head."""
        return [replace(phase, head_only=True)]
