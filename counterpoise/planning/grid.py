"""From the products of a study file to its grid points."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from counterpoise.errors import UserError
from counterpoise.planning.config import (
    Config,
    layer_of,
    shown,
)

POINTS = 10_000


@dataclass(frozen=True)
class Point:
    """One grid point: a label for people, the factors that vary, and the overrides that they stand for."""

    label: str
    factors: dict[str, Any]
    overrides: Config


def grid_points(products: list[Config], where: str) -> list[Point]:
    """Return the points of all products; two of the same label could not be told apart in a table."""
    total = sum(math.prod(len(v) for v in product.values() if isinstance(v, list)) for product in products)
    if total > POINTS:
        raise UserError(f"{where}: {total:,} points, expected {POINTS:,} at most")
    points = [point for product in products for point in _product(product, where)]
    for label, times in Counter(point.label for point in points).items():
        if times > 1:
            raise UserError(f"{where}: {times} points are '{label}'; expected each combination of values once")
    return points


def _product(product: Config, where: str) -> list[Point]:
    """Return the points of one product: a key whose value is a list is an axis, any other is fixed."""
    axes = {k: v if isinstance(v, list) else [v] for k, v in product.items()}
    if empty := [key for key, values in axes.items() if not values]:
        raise UserError(f"{where}, {empty[0]}: expected one value or more, found none")
    points = []
    for values in itertools.product(*axes.values()):
        factors = dict(part for key, value in zip(axes, values, strict=True) for part in _flat(key, value))
        for key, value in factors.items():
            if not isinstance(value, str | int | float):
                raise UserError(f"{where}, {key}: expected a number, a text or a list of them, found {shown(value)}")
        label = ", ".join(f"{k.rpartition('.')[2]}={v}" for k, v in factors.items())
        points.append(Point(label, factors, layer_of(factors, where)))
    return points


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return the factors of a value: `imbalance: {name: step, mu: 0.5}` is imbalance=step and imbalance.mu=0.5."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _flat(key if part == "name" else f"{key}.{part}", inner)
    else:
        yield key, value
