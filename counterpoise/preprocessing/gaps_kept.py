"""Encodes and scales each column by its type, and leaves missing values missing.

Source: Kia et al. 2022, "PROMISSING: pruning missing values in neural networks", whose first layer wants to know what
is missing.
Shapes: as `typed_columns`, without indicators of missing values.
Units: standard deviations of the training rows, the missing values at their column's mean.
Raises: nothing; a column without a value in training is left out of the inputs.
Differs from the source: nothing known. A missing category is NaN in each of its indicators.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from counterpoise.columns import Column
from counterpoise.registry import build


@dataclass(frozen=True)
class Fitted:
    """What the training rows decided."""

    typed: Any
    """The fitted `typed_columns`."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """What the inputs are."""
        return self.typed.columns

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of raw rows, float64, NaN where the raw value is."""
        is_missing_NF = np.isnan(np.asarray(x_ND, np.float64))[:, self.typed.origin_F]
        return np.where(is_missing_NF, np.nan, self.typed(x_ND))


@dataclass(frozen=True)
class Method:
    """Typed columns with their gaps."""

    version: ClassVar[int] = 1

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return what the training rows `x_ND` decide."""
        spec = {"name": "typed_columns", "impute": "mean", "missing_indicator": False}
        return Fitted(build("preprocessing", spec).fit(x_ND, columns))
