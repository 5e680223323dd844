"""Fit a classical model once, on one epoch of the sampler: no gradient steps.

Source: none.
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """The strategy of every model with `classical = True`."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = True
