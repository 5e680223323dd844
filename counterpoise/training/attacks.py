"""Attacks on images: the change of bounded size that a network is found to lose most by.

Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks", section 2 (projected
gradient ascent from a random start, in the largest-change norm).
Legend: B batch, C classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WHITE = 255.0

Loss = Callable[[Tensor], Tensor]  # images_B -> their losses, summed
Logits = Callable[[Tensor], Tensor]  # images_B -> logits_BC


def pgd(
    loss: Loss,
    images_B: Tensor,
    generator: torch.Generator,
    *,
    epsilon: float,
    step_size: float,
    steps: int,
    white: float = WHITE,
) -> Tensor:
    """Return images of the highest loss found; raw images, `epsilon` and `step_size` in grey levels.

    `loss` is of the network as it is in prediction, from raw images. The start is uniform within epsilon, each step
    follows the sign of the gradient, and every pixel stays within epsilon and between 0 and `white`.
    """
    start = torch.rand(images_B.shape, generator=generator, dtype=images_B.dtype) * 2 - 1
    attacked = (images_B + epsilon * start.to(images_B.device, non_blocking=True)).clamp(0, white)
    for _ in range(steps):
        attacked.requires_grad_()
        (slope,) = torch.autograd.grad(loss(attacked), attacked)
        moved = attacked.detach() + step_size * slope.sign()
        attacked = torch.minimum(torch.maximum(moved, images_B - epsilon), images_B + epsilon).clamp(0, white)
    return attacked


def strongest(
    logits: Logits, images_B: Tensor, labels_B: Tensor, generator: torch.Generator, *, restarts: int, **size: float
) -> Tensor:
    """Return, of each image and what `restarts` attacks found, the one furthest on the wrong side.

    An image is therefore called wrong if any of them is. `size` is what `pgd` takes. The attacks climb the
    cross-entropy, log(1 + exp m), by way of m, the other classes' log-sum-exp less the own logit: every step is the
    same, and none is lost to rounding where the network is sure.
    """

    def others(images: Tensor) -> Tensor:
        """Return what the other classes' logits exceed the own one by; -inf at the own."""
        out_BC, own_B1 = logits(images), labels_B[:, None]
        return (out_BC - out_BC.gather(1, own_B1)).scatter(1, own_B1, -torch.inf)

    kept_B, furthest_B = images_B, others(images_B).detach().amax(1)
    for _ in range(restarts):
        found_B = pgd(lambda x: others(x).logsumexp(1).sum(), images_B, generator, **size)  # type: ignore[arg-type]
        beyond_B = others(found_B).detach().amax(1)
        kept_B = torch.where((beyond_B > furthest_B).view(-1, *[1] * (images_B.ndim - 1)), found_B, kept_B)
        furthest_B = torch.maximum(beyond_B, furthest_B)
    return kept_B
