"""Weight balancing in one stage: weight decay, small features and a fixed simplex as the head.

Source: Hasegawa and Sato 2024, "Exploring weight balancing on long-tailed recognition problem";
github.com/HN410/Exploring-Weight-Balancing-on-Long-Tailed-Recognition-Problem, jsons/Cifar10/first.json: weight decay
.005, feature regularisation .01, the head `etf`; then, without training, logit adjustment (jsons/Cifar10/second.json),
which is `evaluate.rebalancing`: `multiplicative_logit_adjustment` or `logit_adjustment`.
Shapes: none.
Units: `strength` as in `losses/feature_regularised_ce.py`.
Raises: UserError for another head than etf, another `loss` than cross_entropy, mixing, or an ensemble.
Differs from the source: weight decay is the configured optimiser's.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _own_loss

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """One phase over all that is not fixed, with small features."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    strength: Annotated[float, Ge(0)] = 0.01
    """Weight of half the mean squared norm of the features."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with its loss replaced."""
        _own_loss.check("wb_one_stage", phase)
        loss = registry.build("losses", {"name": "feature_regularised_ce", "strength": self.strength})
        return [replace(phase, loss=loss)]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Refuse another head than a fixed simplex."""
        if type(net.head).__module__ != registry.method("heads", "etf").__module__:
            raise UserError(f"wb_one_stage needs `head: etf`, found {type(net.head).__name__}")
