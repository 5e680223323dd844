"""Random shift, scale, small rotation, optional mirror, contrast and cutout: the views of contrastive learning.

Source: Chen et al. 2020 (SimCLR) without colour and blur, which grey images of 28 or fewer pixels do not bear;
cutout is DeVries and Taylor 2017.
Shapes: images_BCHW -> images_BCHW.
Units: `shift` and `cutout` in shares of the side, `rotation` in degrees, `scale` and `contrast` in relative size.
Raises: nothing.
Differs from the source: the crop is an affine map with bilinear sampling; mirror is off unless asked for.
"""

from dataclasses import dataclass
from math import pi
from typing import Annotated, ClassVar

import torch
from annotated_types import Interval
from torch import Tensor
from torch.nn import functional as F

Share = Annotated[float, Interval(ge=0, lt=1)]


@dataclass(frozen=True)
class Method:
    """One affine map, one contrast and one black square for each image."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    shift: Share = 0.15
    """Largest shift along each axis, as a share of the side."""
    scale: Share = 0.25
    """Sizes are drawn from 1 - scale to 1 + scale."""
    rotation: Annotated[float, Interval(ge=0, le=180)] = 15.0
    """Largest rotation, in degrees."""
    mirror: bool = False
    """Mirror every second image, for classes that look alike mirrored."""
    contrast: Share = 0.4
    """Pixels are multiplied by 1 - contrast to 1 + contrast."""
    cutout: Share = 0.3
    """Side of the black square, as a share of the image's side."""

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return one view of each image."""
        B, _, H, W = images_BCHW.shape
        u = torch.rand(8, B, generator=generator).to(images_BCHW.device, non_blocking=True)
        signed = 2 * u - 1
        angle = signed[0] * self.rotation * pi / 180
        zoom = 1 / (1 + signed[1] * self.scale)  # the map runs from output to input
        flip = torch.where(u[2] < 0.5, -1.0, 1.0) if self.mirror else torch.ones_like(u[2])
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        row_x = torch.stack([cos * flip, -sin, 2 * self.shift * signed[3]], 1)
        row_y = torch.stack([sin * flip, cos, 2 * self.shift * signed[4]], 1)
        grid = F.affine_grid(torch.stack([row_x, row_y], 1), list(images_BCHW.shape), align_corners=False)
        out = F.grid_sample(images_BCHW, grid, padding_mode="zeros", align_corners=False)
        out = out * (1 + self.contrast * signed[5]).view(B, 1, 1, 1)
        return out * self._keep(u[6] * H, u[7] * W, H, W)

    def _keep(self, centre_y_B: Tensor, centre_x_B: Tensor, H: int, W: int) -> Tensor:
        """Return 0 in the square around each centre and 1 elsewhere, as (B, 1, H, W)."""
        rows_H, columns_W = (torch.arange(side, device=centre_y_B.device) for side in (H, W))
        y = (rows_H + 0.5 - centre_y_B[:, None]).abs() < self.cutout * H / 2
        x = (columns_W + 0.5 - centre_x_B[:, None]).abs() < self.cutout * W / 2
        return (~(y[:, :, None] & x[:, None, :])).float()[:, None]
