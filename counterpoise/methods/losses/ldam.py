"""Cross-entropy of scaled cosines after a margin is taken off the label's, larger for rarer classes as n^(-1/4).

Source: Cao, Wei, Gaidon, Arechiga and Ma 2019, equations 10 and 13; github.com/kaidic/LDAM-DRW, losses.py,
`LDAMLoss`: margins proportional to n^(-1/4) with the largest at `max_margin`, s = 30.
Shapes: cosines_BC of the head `cosine`, labels_B, counts_C, class_weights_C or None -> scalar.
Units: margins are cosines; nats.
Raises: nothing; a class without examples has margin 0 and does not set the scale.
Differs from the source: nothing. At `max_margin` 0 it is a plain cosine classifier, the control of the margins. It
does not check that it is given cosines; with other logits it is still a margin loss, at 30 times their size.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from counterpoise.methods.losses._weighted import cross_entropy


@dataclass(frozen=True)
class Method:
    """Label-distribution-aware margin loss."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("class_weights_C",)
    max_margin: Annotated[float, Ge(0)] = 0.5
    """The margin of the rarest class; 0 is no margin at all."""
    scale: Annotated[float, Gt(0)] = 30.0
    """What the cosines are multiplied by."""

    def margins(self, counts_C: Tensor) -> Tensor:
        """Return the margin of each class; 0 for a class without examples."""
        root_C = torch.where(counts_C > 0, counts_C.double() ** -0.25, 0.0)
        return root_C * (self.max_margin / root_C.max())

    def scores(self, outputs_BC: Tensor) -> Tensor:
        """Return the logits of the model: scaled cosines, without margins."""
        return self.scale * outputs_BC

    def __call__(
        self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, class_weights_C: Tensor | None = None
    ) -> Tensor:
        """Return the mean over the batch."""
        own_BC = labels_B[:, None] == torch.arange(logits_BC.shape[1], device=labels_B.device)
        margins_BC = torch.where(own_BC, self.margins(counts_C).to(logits_BC.dtype), 0.0)
        return cross_entropy(self.scale * (logits_BC - margins_BC), labels_B, class_weights_C)
