"""Per-class normalised gradient descent: the sum of the classes' gradients, each divided by its norm.

Source: Francazi et al. 2023, "A Theoretical Analysis of the Learning Dynamics under Class Imbalance", algorithms
PCNGD (a batch is the whole training part) and PCNSGD; github.com/EmanueleFrancazi/PCNGD-Algorithms, CodeBlocks.py,
`PerClassNormalizedGradient`.
Shapes: labels_B; parameters of any shape.
Units: `lr` is a length of path: the step is at most `lr` times the number of classes, however small the gradient.
Raises: nothing; a class that is not in the batch, or whose gradient is 0, adds nothing.
Differs from the source: batches are those of the sampler, where the source composes each of all classes in proportion
(PCNSGD) or equally (PCNSGD+O: the sampler `class_balanced`); its PCNSGD+R needs the gradient of the whole training
part at each step and is left out. The code adds 1e-6 to the norm of the gradient of the class's summed loss.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn

from counterpoise.methods.optimizers import _ascent


@dataclass(frozen=True)
class Method:
    """SGD on the sum of unit vectors, one for each class of the batch."""

    version: ClassVar[int] = 1
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    """Share of the last velocity that is kept; the source has none."""
    weight_decay: Annotated[float, Ge(0)] = 0.0
    """L2 coefficient added to the sum of unit vectors; the source has none."""
    variant: Literal["paper", "official_code"] = "paper"
    """Whether the norm is taken as it is or with 1e-6 added."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )

    def gradients(
        self,
        objective: Callable[[Tensor | None], tuple[Tensor, Tensor]],
        parameters: Sequence[nn.Parameter],
        labels_B: Tensor,
        counts_C: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Leave the sum of the classes' unit gradients; return the mean loss over the batch and the hits."""
        total: list[Tensor | None] = [None] * len(parameters)
        mean = hits = torch.zeros((), device=labels_B.device)
        for label in labels_B.unique().tolist():
            rows = (labels_B == label).nonzero().flatten()
            loss, right = objective(rows)
            mean, hits = mean + loss.detach() * len(rows) / len(labels_B), hits + right
            slopes = _ascent.gradient(loss, parameters)
            # in float64: the gradient of a class that is fitted is often too small to be squared in float32
            squares = [torch.linalg.vector_norm(g, dtype=torch.float64).square() for g in slopes if g is not None]
            norm = torch.stack(squares).sum().sqrt()
            if self.variant == "official_code":
                norm = norm + 1e-6 / len(rows)
            for i, slope in enumerate(slopes):
                if slope is not None:
                    unit = torch.where(norm > 0, slope / norm, 0.0).to(slope.dtype)
                    held = total[i]
                    total[i] = unit if held is None else held + unit
        for p, sum_of_units in zip(parameters, total, strict=True):
            p.grad = sum_of_units
        return mean, hits
