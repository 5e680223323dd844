"""Classifier re-training: a new head is trained with class-balanced sampling on the frozen encoder.

Source: Kang et al. 2020, "Decoupling representation and classifier", section 4 (cRT);
github.com/facebookresearch/classifier-balancing, config/ImageNet_LT/cls_crt.yaml.
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: what a frozen encoder learned of its inputs stays (the official loop leaves batch
normalisation in training mode, so its running statistics move to the balanced sample); examples of a class are drawn
independently, as `samplers/class_balanced.py` says.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from counterpoise import registry

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over a fresh head, class-balanced."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = True

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head and with its sampler replaced."""
        return [replace(phase, head_only=True, sampler=registry.build("samplers", {"name": "class_balanced"}))]
