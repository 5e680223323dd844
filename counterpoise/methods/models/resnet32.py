"""The residual network for 32x32 images: 31 convolutions in three stages of 16, 32 and 64 filters, and a head.

Source: He et al. 2016, section 4.2 (n = 5), shortcuts of option A; github.com/kaidic/LDAM-DRW,
models/resnet_cifar.py: `resnet32`.
Shapes: x_BCHW -> features_BF with F = 64; H and W of 8 or more.
Units: none.
Raises: UserError for a table, or an image smaller than 8x8.
Differs from the source: the head keeps its own initialisation, where LDAM-DRW draws a linear one's weights by Kaiming's
rule as well (2.4 times larger at 64 features); images need not be square nor have three channels.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError


class _Block(nn.Module):
    """Two convolutions beside a shortcut that, where the shape changes, skips pixels and pads channels with zeros."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.stride, self.padding = stride, (filters - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.padding:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + x)


def _stage(before: int, filters: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(before, filters, stride), *(_Block(filters, filters, 1) for _ in range(4)))


@dataclass(frozen=True)
class Method:
    """A convolution, three stages of five blocks, and the mean over the image."""

    version: ClassVar[int] = 1
    shared: Annotated[int, Ge(0)] = 2
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for images of `shape` = (C, H, W)."""
        if len(shape) != 3 or min(shape[1:]) < 8:
            raise UserError(f"model resnet32 needs images of at least 8x8, got inputs of shape {shape}")
        module = nn.Sequential(
            nn.Sequential(nn.Conv2d(shape[0], 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            _stage(16, 16, 1),
            _stage(16, 32, 2),
            _stage(32, 64, 2),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
        return module, 64
