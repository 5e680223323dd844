"""Deferred re-weighting: plain training first, class weights in the loss for the last fifth of the steps.

Source: Cao et al. 2019, "Learning imbalanced datasets with label-distribution-aware margin loss", algorithm 1;
github.com/kaidic/LDAM-DRW, cifar_train.py, `train_rule` DRW (epoch 160 of 200, beta = .9999).
Shapes: counts_C -> weights_C.
Units: weights sum to the number of classes that have examples; a class without any has weight 0.
Raises: UserError for a loss that takes no class weights.
Differs from the source: the switch is at the first step not before the share `at`. Algorithm 1 has the inverse count
as the weight (`inverse`), the official code the effective number.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _effective

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """Two phases of one run over all parameters; the second has class weights."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    at: Annotated[float, Interval(gt=0, lt=1)] = 0.8
    """Share of the steps after which the weights set in; the learning rate should drop there too."""
    weighting: Literal["effective_number", "inverse"] = "effective_number"
    """Weights by the effective number of examples, as in `losses/class_balanced.py`, or by the inverse count."""
    beta: Annotated[float, Interval(ge=0, lt=1)] = 0.9999
    """Of the effective number (1 - beta^n) / (1 - beta): 0 weights all classes alike, 1 by the inverse count."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase in two parts; schedule and optimiser go on from the one to the other."""
        if "class_weights_C" not in getattr(phase.loss, "uses", ()):
            name = type(phase.loss).__module__.rpartition(".")[2]
            raise UserError(f"finetuning method drw: loss {name} takes no class weights; cross_entropy and ldam do")
        switch = ceil(self.at * phase.steps)
        first = replace(phase, steps=switch, total=phase.steps)
        second = replace(first, steps=phase.steps - switch, first=switch, class_weights=self.weights)
        return [first, second]

    def weights(self, counts_C: Tensor) -> Tensor:
        """Return the weight of each class in the second phase."""
        if self.weighting == "effective_number":
            return _effective.effective_number_weights(counts_C, self.beta)
        inverse_C = torch.where(counts_C > 0, 1 / counts_C, 0.0)
        return inverse_C * (counts_C > 0).sum() / inverse_C.sum()
