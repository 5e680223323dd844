"""Leaves columns as they are: categories as their codes, missing values as NaN.

Source: common practice for trees.
Shapes: x_ND -> x_ND.
Units: those of the columns.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column


@dataclass(frozen=True)
class Fitted:
    """Nothing was fitted."""

    columns: tuple[Column, ...]
    """The raw columns."""

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the rows."""
        return np.asarray(x_ND, np.float64)


@dataclass(frozen=True)
class Method:
    """The raw numbers."""

    version: ClassVar[int] = 1

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return the identity."""
        return Fitted(columns)
