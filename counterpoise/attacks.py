"""Attacks on images: the change of bounded size that a network is found to lose most by.

Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", section 2 (projected
gradient ascent from a random start, in the largest-change norm).
Legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

WHITE = 255.0


def pgd(
    logits: Callable[[Tensor], Tensor],
    images_B: Tensor,
    labels_B: Tensor,
    generator: torch.Generator,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
) -> Tensor:
    """Return images of the highest cross-entropy found; raw images, `epsilon` and `step_size` in grey levels.

    `logits(images_B) -> logits_BC` of the network as it is in prediction, from raw images. The start is uniform within
    epsilon, each step follows the sign of the gradient, and every pixel stays within epsilon and between 0 and 255.
    """
    start = torch.rand(images_B.shape, generator=generator, dtype=images_B.dtype) * 2 - 1
    attacked = (images_B + epsilon * start.to(images_B.device)).clamp(0, WHITE)
    for _ in range(steps):
        attacked.requires_grad_()
        loss = F.cross_entropy(logits(attacked), labels_B, reduction="sum")
        (slope,) = torch.autograd.grad(loss, attacked)
        moved = attacked.detach() + step_size * slope.sign()
        attacked = torch.minimum(torch.maximum(moved, images_B - epsilon), images_B + epsilon).clamp(0, WHITE)
    return attacked
