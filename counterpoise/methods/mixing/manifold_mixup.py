"""Manifold mixup: mixup of the inputs or of a hidden layer, which is drawn anew for each batch.

Source: Verma et al. 2019, "Manifold Mixup", section 2; github.com/vikasverma1077/manifold_mixup,
supervised/models/preresnet.py, `forward`, and supervised/utils.py, `mixup_process`.
Shapes: x_B..., others_B... (inputs, or what a layer returned) -> mixed_B..., share_B.
Units: layers are children of the encoder; 0 is the input.
Raises: UserError in planning, for a hidden layer of experts, whose layers are not in a row.
Differs from the source: any layer of the encoder can be drawn, where the code draws from the input and the first two
blocks of its network (`last` = 2); Zhang et al.'s "Bag of Tricks" mixes at one layer (`first` = `last`). The loss is
the one that is configured; the code takes the binary cross-entropy of the softmax.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from counterpoise.errors import UserError
from counterpoise.methods.mixing import _beta

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


@dataclass(frozen=True)
class Method:
    """Mixup at a random layer."""

    version: ClassVar[int] = 1
    quicker: ClassVar[tuple[str, ...]] = ()  # calls the encoder layer by layer
    alpha: Annotated[float, Gt(0)] = 2.0
    """Both parameters of the Beta distribution; the paper's choice for CIFAR."""
    first: Annotated[int, Ge(0)] = 0
    """The earliest layer to mix, in children of the encoder that run before; 0 is the input."""
    last: Annotated[int, Ge(0)] | None = None
    """The latest layer to mix; null, or more than there are, is the features."""

    def check(self, phase: "Phase") -> None:
        """Raise UserError where a hidden layer of experts could be drawn."""
        if phase.ensemble is not None and self.last != 0:
            raise UserError(
                "manifold_mixup mixes hidden layers, of which experts have no one row: write `last: 0` or mixup"
            )

    def layer(self, depth: int, generator: torch.Generator) -> int:
        """Return how many of the encoder's `depth` children run before mixing, each number equally likely."""
        last = depth if self.last is None else min(self.last, depth)
        first = min(self.first, last)
        return int(torch.randint(first, last + 1, (), generator=generator))

    def mix(
        self,
        x_B: Tensor,
        others_B: Tensor,
        labels_B: Tensor,
        other_labels_B: Tensor,
        counts_C: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return share * x + (1 - share) * other, and the share."""
        share = _beta.draw(self.alpha, generator)
        return share * x_B + (1 - share) * others_B, x_B.new_full((len(x_B),), share)
