"""Softmax cross-entropy in which rare classes are left out, mostly, of the sum for examples of other classes.

Source: Tan, Wang, Li, Li, Ouyang, Yin and Yan 2020, section 3.3 (softmax equalization loss); the authors published
the sigmoid form for detection only, compared with github.com/zhangyongshun/BagofTricks-LT, `SEQL`.
Shapes: logits_BC, labels_B, counts_C, noise of shape BC, true where a rare class is left out -> scalar.
Units: nats.
Raises: nothing; a class without examples is rare.
Differs from the source: nothing. The logarithm of the sum is taken directly, so that large logits stay finite.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Softmax equalization loss."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("noise",)
    gamma: Annotated[float, Interval(ge=0, le=1)] = 0.9
    """Probability that a rare class is left out, drawn for each example and class."""
    rare: Annotated[float, Interval(ge=0, le=1)] = 0.005
    """Share of the training examples below which a class is rare (lambda); BagofTricks-LT: 0.05 for ten classes."""

    def draw(self, labels_B: Tensor, counts_C: Tensor, generator: torch.Generator) -> Tensor:
        """Return whether each class may be left out for each example."""
        uniform_BC = torch.rand(len(labels_B), len(counts_C), generator=generator, device=generator.device)
        return (uniform_BC < self.gamma).to(labels_B.device, non_blocking=True)

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, noise: Tensor) -> Tensor:
        """Return the mean over the batch."""
        other_BC = labels_B[:, None] != torch.arange(logits_BC.shape[1], device=labels_B.device)
        out_BC = (noise > 0) & other_BC & (counts_C / counts_C.sum() < self.rare)
        return F.cross_entropy(torch.where(out_BC, -torch.inf, logits_BC), labels_B)
