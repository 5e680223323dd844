"""Each image is padded with black, cropped to its size at a random place, and mirrored half of the time.

Source: He et al. 2016, section 4.2; in torchvision `RandomCrop(32, padding=4)` and `RandomHorizontalFlip()`, as
github.com/kaidic/LDAM-DRW uses them (cifar_train.py).
Shapes: images_BCHW -> images_BCHW.
Units: pixels.
Raises: nothing.
Differs from the source: nothing; as there, the border is black before standardisation. LDAM-DRW standardises by
constants whose deviation is the mean of that within images (0.20); here it is that of all training pixels (0.25).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Uniform over the (2 padding + 1)^2 crops, each mirrored or not."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    padding: Annotated[int, Ge(1)] = 4
    """Black pixels added on each side."""

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the cropped and mirrored batch."""
        B, C, H, W = images_BCHW.shape
        p = self.padding
        top, left = torch.randint(0, 2 * p + 1, (2, B, 1), generator=generator)
        mirrored = torch.rand(B, 1, generator=generator) < 0.5
        rows = top + torch.arange(H)
        columns = left + torch.where(mirrored, torch.arange(W).flip(0), torch.arange(W))
        flat = rows[:, :, None] * (W + 2 * p) + columns[:, None, :]
        index = flat.view(B, 1, H * W).to(images_BCHW.device, non_blocking=True).expand(B, C, H * W)
        return F.pad(images_BCHW, (p, p, p, p)).flatten(2).gather(2, index).view(B, C, H, W)
