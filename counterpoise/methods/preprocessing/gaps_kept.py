"""Encodes and scales each column by its type, and leaves missing values missing.

Source: Kia et al. 2022, "PROMISSING: pruning missing values in neural networks", whose first layer wants to know what
is missing.
Shapes: as `typed_columns`, without indicators of missing values.
Units: standard deviations of the training rows, the missing values at their column's mean.
Raises: nothing; a column without a value in training is left out of the inputs.
Differs from the source: nothing known. A missing category is NaN in each of its indicators.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.registry import build


@dataclass(frozen=True)
class Fitted:
    """What the training rows decided; every array has one entry for each input."""

    columns: tuple[Column, ...]
    """What the inputs are."""
    origin_F: np.ndarray
    """Position of the raw column."""
    code_F: np.ndarray
    """The category that an indicator is of; NaN for a number."""
    mean_F: np.ndarray
    scale_F: np.ndarray

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of raw rows, float64, NaN where the raw value is."""
        x_NF = np.asarray(x_ND, np.float64)[:, self.origin_F]
        made_NF = np.where(np.isnan(self.code_F), (x_NF - self.mean_F) / self.scale_F, x_NF == self.code_F)
        return np.where(np.isnan(x_NF), np.nan, made_NF)


@dataclass(frozen=True)
class Method:
    """Typed columns with their gaps."""

    version: ClassVar[int] = 1

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return what the training rows `x_ND` decide."""
        spec = {"name": "typed_columns", "impute": "mean", "missing_indicator": False}
        typed = build("preprocessing", spec).fit(x_ND, columns)
        return Fitted(typed.columns, typed.origin_F, typed.code_F, typed.mean_F, typed.scale_F)
