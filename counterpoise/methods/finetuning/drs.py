"""Deferred re-sampling: plain sampling first, a re-balancing sampler for the last fifth of the steps.

Source: Cao et al. 2019, "Learning imbalanced datasets with label-distribution-aware margin loss", section 3.3 (the
deferred schedule) and its tables (DRS); github.com/kaidic/LDAM-DRW, cifar_train.py (epoch 160 of 200).
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: the official code samples by the inverse effective number with beta = .9999, all but the
inverse count for classes of a few hundred, which is `class_balanced`; it has no deferred variant of it.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Interval

from counterpoise import registry

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """Two phases of one run over all parameters; the second has another sampler."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    at: Annotated[float, Interval(gt=0, lt=1)] = 0.8
    """Share of the steps after which the sampler changes; the learning rate should drop there too."""
    sampler: Literal["class_balanced", "square_root_sampling", "progressively_balanced"] = "class_balanced"
    """The sampler of the second phase."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase in two parts; schedule and optimiser go on from the one to the other."""
        switch = ceil(self.at * phase.steps)
        first = replace(phase, steps=switch, total=phase.steps)
        sampler = registry.build("samplers", {"name": self.sampler})
        return [first, replace(first, steps=phase.steps - switch, first=switch, sampler=sampler)]
