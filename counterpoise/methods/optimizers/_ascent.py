"""What optimisers share that take gradients somewhere else than at the weights, or of a part of the batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def gradient(loss: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor | None]:
    """Leave the gradient of this loss alone in `.grad` and return it; None where the loss does not depend on one."""
    for p in parameters:
        p.grad = None
    loss.backward()
    return [p.grad for p in parameters]


@contextmanager
def climbed(
    parameters: Sequence[nn.Parameter], rho: float, *, epsilon: float, adaptive: bool = False
) -> Iterator[None]:
    """Move the parameters by `rho` along the gradient in `.grad`, and put them back to the byte afterwards.

    `adaptive` measures each weight in multiples of itself. A gradient of 0 moves nothing.
    """
    moved = [p for p in parameters if p.grad is not None]
    kept = [p.detach().clone() for p in moved]
    slopes = [p.grad for p in moved if p.grad is not None]
    with torch.no_grad():
        norm = torch.nn.utils.get_total_norm(
            [p.abs() * g if adaptive else g for p, g in zip(kept, slopes, strict=True)]
        )
        for p, old, slope in zip(moved, kept, slopes, strict=True):
            p.add_((old.square() * slope if adaptive else slope) * (rho / (norm + epsilon)))
    try:
        yield
    finally:
        with torch.no_grad():
            for p, old in zip(moved, kept, strict=True):
                p.copy_(old)
