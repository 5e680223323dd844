"""Each image is shifted by a random whole number of pixels along each axis; black moves in.

Source: the random crop after padding of the CIFAR recipes (Krizhevsky et al. 2012), without the flip.
Shapes: images_BCHW -> images_BCHW.
Units: pixels.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Uniform over the (2 pixels + 1)^2 shifts."""

    version: ClassVar[int] = 1
    pixels: Annotated[int, Ge(1)] = 1
    """Largest shift along each axis."""

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the shifted batch."""
        B, C, H, W = images_BCHW.shape
        p = self.pixels
        padded = F.pad(images_BCHW, (p, p, p, p))
        dy, dx = torch.randint(0, 2 * p + 1, (2, B, 1), generator=generator)
        flat = (dy + torch.arange(H))[:, :, None] * (W + 2 * p) + (dx + torch.arange(W))[:, None, :]
        index = flat.view(B, 1, H * W).expand(B, C, H * W)
        return padded.flatten(2).gather(2, index).view(B, C, H, W)
