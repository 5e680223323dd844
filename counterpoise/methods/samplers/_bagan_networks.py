"""The three networks of BAGAN at a freely chosen width, initialised as the source's library does.

Legend: B batch, L latents, C channels, H height, W width, F features.
"""

from math import ceil, prod
from typing import Any

from torch import nn


def generator(latent: int, shape: tuple[int, ...], width: int) -> nn.Sequential:
    """Return latents_BL -> images_BCHW: two layers to an image of at most 8 x 8, doubled until it is large enough."""
    sides = _sides(shape[1:])
    small, channels = sides[-1], width
    layers: list[nn.Module] = [nn.Linear(latent, 8 * width, bias=False), nn.ReLU()]
    layers += [nn.Linear(8 * width, width * prod(small), bias=False), nn.ReLU(), nn.Unflatten(1, (width, *small))]
    for side in sides[-2::-1]:
        filters = width if side == sides[0] else 2 * width
        layers += [nn.Upsample(side), nn.Conv2d(channels, filters, 5, padding=2, bias=False), nn.ReLU()]
        channels = filters
    layers += [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, shape[0], 2, bias=False), nn.Tanh()]
    return initialised(nn.Sequential(*layers))


def convolutions(shape: tuple[int, ...], width: int, dropout: float) -> tuple[nn.Sequential, int]:
    """Return images_BCHW -> features_BF, for encoder and discriminator alike, and F."""
    goal, side, channels = max(_sides(shape[1:])[-1]), shape[1:], shape[0]
    filters, layers = [width // 4, width // 2, width, 2 * width], []
    while filters or max(side) > goal:
        for stride in (2, 1):
            before, channels = channels, filters.pop(0) if filters else 2 * width
            layers += [nn.Conv2d(before, channels, 3, stride, padding=1), nn.LeakyReLU(0.3), nn.Dropout(dropout)]
        side = tuple(ceil(s / 2) for s in side)
    return initialised(nn.Sequential(*layers, nn.Flatten())), channels * prod(side)


def linear(features: int, outputs: int) -> nn.Linear:
    """Return the last layer of encoder or discriminator."""
    return initialised(nn.Linear(features, outputs))


def initialised(module: nn.Module) -> Any:
    """Return the module with Glorot's weights, normal in the generator's convolutions, else uniform; biases are 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            in_generator = isinstance(layer, nn.Conv2d) and layer.bias is None
            (nn.init.xavier_normal_ if in_generator else nn.init.xavier_uniform_)(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return module


def _sides(side: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return height and width, halved until none is above 8."""
    return [side] if max(side) <= 8 else [side, *_sides(tuple(ceil(s / 2) for s in side))]
