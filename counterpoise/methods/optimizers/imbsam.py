"""ImbSAM: sharpness-aware minimisation for the tail classes only, the ordinary gradient for the others.

Source: Zhou et al. 2023, "ImbSAM"; github.com/cool-xuan/Imbalanced_SAM, imbsam.py and `forbackward` of
utils/trainval.py.
Shapes: labels_B, counts_C; parameters of any shape.
Units: `lr` per step; `rho` is a distance between weights; `eta` counts training examples.
Raises: nothing; where no class is in the tail, or a batch holds none of it, the step is that of SGD.
Differs from the source: the code doubles the loss of the tail, of which the paper says nothing [recalled]. The head's
and the tail's examples are evaluated apart, not together (it matters to batch normalisation), and a loss that divides
by the weights in the batch divides by those of each part. `tail` by `share` is ours, for data without a class below
`eta`.
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
    """SGD with momentum; the gradient of the tail classes is taken at weights that are perturbed for them."""

    version: ClassVar[int] = 1
    evaluations: ClassVar[int] = 2
    lr: Annotated[float, Gt(0)] = 0.05
    """Peak learning rate."""
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    """Share of the last velocity that is kept."""
    weight_decay: Annotated[float, Ge(0)] = 5e-4
    """L2 coefficient added to the gradient."""
    rho: Annotated[float, Ge(0)] = 0.05
    """How far the weights are moved uphill."""
    variant: Literal["paper", "official_code"] = "official_code"
    """Whether the loss of the tail counts once or twice."""
    tail: Literal["count", "share"] = "count"
    """Whether the tail is the classes with fewer than `eta` examples or the smallest `share` of the classes."""
    eta: Annotated[int, Ge(1)] = 20
    """A class of fewer training examples is in the tail."""
    share: Annotated[float, Interval(gt=0, lt=1)] = 0.3
    """Share of the classes that occur, to the nearest whole number, which is the tail."""

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser over `parameters`."""
        return torch.optim.SGD(
            parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, foreach=True
        )

    def in_tail(self, counts_C: Tensor) -> Tensor:
        """Return which classes are in the tail; of equal classes the later ones."""
        if self.tail == "count":
            return counts_C < self.eta
        smallest_first_C = torch.where(counts_C > 0, counts_C, torch.inf).flip(0).argsort(stable=True).argsort().flip(0)
        return smallest_first_C < int(self.share * int((counts_C > 0).sum()) + 0.5)

    def gradients(
        self,
        objective: Callable[[Tensor | None], tuple[Tensor, Tensor]],
        parameters: Sequence[nn.Parameter],
        labels_B: Tensor,
        counts_C: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Leave the head's gradient plus the tail's at its perturbed weights; return the mean loss and the hits."""
        tail_B = self.in_tail(counts_C)[labels_B]
        head, tail = (~tail_B).nonzero().flatten(), tail_B.nonzero().flatten()
        if not len(tail):
            loss, hits = objective(None)
            _ascent.gradient(loss, parameters)
            return loss.detach(), hits
        part = len(tail) / len(labels_B)
        weight = part * (2 if self.variant == "official_code" else 1)
        loss, hits = objective(tail)
        of_head: list[Tensor | None] = [None] * len(parameters)
        if len(head):
            head_loss, head_hits = objective(head)
            of_head = _ascent.gradient((1 - part) * head_loss, parameters)
            mean, right = (1 - part) * head_loss.detach() + part * loss.detach(), head_hits + hits
        else:
            mean, right = loss.detach(), hits
        _ascent.gradient(weight * loss, parameters)
        with _ascent.climbed(parameters, self.rho, epsilon=1e-16):
            _ascent.gradient(weight * objective(tail)[0], parameters)
        for p, held in zip(parameters, of_head, strict=True):
            if held is not None:
                p.grad = held if p.grad is None else p.grad + held
        return mean, right
