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
    images: ClassVar[bool] = True
    pixels: Annotated[int, Ge(1)] = 1
    """Largest shift along each axis."""

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Return the place of each image's window in the padded image, of shape 2 x B x 1."""
        return torch.randint(0, 2 * self.pixels + 1, (2, shape[0], 1), generator=generator)

    def apply(self, images_BCHW: Tensor, drawn: Tensor) -> Tensor:
        """Return the images, shifted as drawn."""
        B, C, H, W = images_BCHW.shape
        p = self.pixels
        padded = F.pad(images_BCHW, (p, p, p, p))
        dy, dx = drawn
        flat = (dy + torch.arange(H))[:, :, None] * (W + 2 * p) + (dx + torch.arange(W))[:, None, :]
        index = flat.view(B, 1, H * W).to(images_BCHW.device, non_blocking=True).expand(B, C, H * W)
        return padded.flatten(2).gather(2, index).view(B, C, H, W)

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the shifted batch."""
        return self.apply(images_BCHW, self.draw(images_BCHW.shape, generator))
