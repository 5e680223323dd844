"""Imputes, encodes and scales each column by its type.

Source: common practice; the indicator of missing values as in Perez-Lebel et al. 2022, "Benchmarking missing-values
approaches for predictive models on large health databases".
Shapes: x_ND -> x_NF; a categorical column gives one indicator for each category that training holds (a missing or
unseen one is 0 everywhere), any other column one input, and one more where `missing_indicator` and values are missing.
Units: standard deviations of the training rows, where `scale`.
Raises: nothing; a column without a value in training is left out of the inputs.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from counterpoise.columns import Column


@dataclass(frozen=True)
class Fitted:
    """What the training rows decided; every array has one entry for each input."""

    columns: tuple[Column, ...]
    """What the inputs are."""
    origin_F: np.ndarray
    """Position of the raw column."""
    code_F: np.ndarray
    """The category that an indicator is of; -1 for the indicator of a missing value; NaN for a number."""
    fill_F: np.ndarray
    """What stands for a missing number."""
    mean_F: np.ndarray
    scale_F: np.ndarray

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of raw rows, float64."""
        x_NF = np.asarray(x_ND, np.float64)[:, self.origin_F]
        missing_NF = np.isnan(x_NF)
        is_number_F = np.isnan(self.code_F)
        indicator_NF = np.where(self.code_F == -1, missing_NF, x_NF == self.code_F)
        filled_NF = np.where(missing_NF, self.fill_F, x_NF)
        return np.where(is_number_F, (filled_NF - self.mean_F) / self.scale_F, indicator_NF)


@dataclass(frozen=True)
class Method:
    """Inputs by the type of each column."""

    version: ClassVar[int] = 1
    impute: Literal["median", "mean"] = "median"
    """What of the training rows stands for a missing number; a missing ordinal gets the median."""
    missing_indicator: bool = True
    """Whether a column with missing values in training gets an input that says where."""
    scale: bool = True
    """Whether numbers get mean 0 and standard deviation 1."""

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return what the training rows `x_ND` decide."""
        inputs = [part for d, column in enumerate(columns) for part in self._inputs(d, column, x_ND[:, d])]
        described, rows = [c for c, _ in inputs], np.array([row for _, row in inputs], np.float64).reshape(-1, 5)
        return Fitted(tuple(described), rows[:, 0].astype(np.int64), *rows[:, 1:].T)

    def _inputs(self, d: int, column: Column, x_N: np.ndarray) -> list[tuple[Column, tuple[float, ...]]]:
        """Return each input of a column, with origin, code, fill, mean and scale."""
        x_N = np.asarray(x_N, np.float64)
        held_N = x_N[~np.isnan(x_N)]
        gap = Column(f"{column.name} is missing", "indicator", source=column.name)
        missing = [(gap, (d, -1, 0, 0, 1))] if self.missing_indicator and 0 < len(held_N) < len(x_N) else []
        if column.kind == "categorical":
            one_hot = [
                (Column(f"{column.name}={column.categories[int(code)]}", "indicator", source=column.name), code)
                for code in np.unique(held_N)
            ]
            return [(part, (d, code, 0, 0, 1)) for part, code in one_hot]
        if not len(held_N):
            return []
        fill = held_N.mean() if self.impute == "mean" and column.kind == "numeric" else np.median(held_N)
        filled_N = np.where(np.isnan(x_N), fill, x_N)
        mean, deviation = (filled_N.mean(), filled_N.std()) if self.scale else (0.0, 1.0)
        flat = deviation <= np.finfo(np.float64).eps * abs(mean)
        return [(column, (d, np.nan, fill, mean, 1.0 if flat else deviation)), *missing]
