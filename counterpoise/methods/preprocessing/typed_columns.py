"""Imputes, encodes and scales each column by its type.

Source: common practice; the indicator of missing values as in Perez-Lebel et al. 2022, "Benchmarking missing-values
approaches for predictive models on large health databases"; `nearest` and `iterative` are scikit-learn's `KNNImputer`
and `IterativeImputer` at their defaults, on numeric columns scaled by what training holds of them.
Shapes: x_ND -> x_NF; a categorical column gives one indicator for each category that training holds (a missing or
unseen one is 0 everywhere), any other column one input, and one more where `missing_indicator` and values are missing.
Units: standard deviations of the training rows, where `scale`.
Raises: nothing; a column without a value in training is left out of the inputs.
Differs from the source: nothing.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from counterpoise.data.columns import Column


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
    imputer: Any = None
    """What fills the gaps of scaled numeric inputs in place of `fill_F`, where it looks at other inputs to do so."""

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of raw rows, float64."""
        x_NF = np.asarray(x_ND, np.float64)[:, self.origin_F]
        missing_NF = np.isnan(x_NF)
        is_number_F = np.isnan(self.code_F)
        indicator_NF = np.where(self.code_F == -1, missing_NF, x_NF == self.code_F)
        scaled_NF = (np.where(missing_NF, self.fill_F, x_NF) - self.mean_F) / self.scale_F
        if self.imputer is not None:
            scaled_NF[:, self.is_numeric_F] = self.imputer.transform(self.scaled_with_gaps(x_NF))
        return np.where(is_number_F, scaled_NF, indicator_NF)

    @property
    def is_numeric_F(self) -> np.ndarray:
        """Which inputs are numeric columns."""
        return np.array([column.kind == "numeric" for column in self.columns], bool)

    def scaled_with_gaps(self, x_NF: np.ndarray) -> np.ndarray:
        """Return the numeric inputs of raw values, scaled, NaN where they are missing."""
        return ((x_NF - self.mean_F) / self.scale_F)[:, self.is_numeric_F]


@dataclass(frozen=True)
class Method:
    """Inputs by the type of each column."""

    version: ClassVar[int] = 1
    impute: Literal["median", "mean", "nearest", "iterative"] = "median"
    """What of the training rows stands for a missing number: of its column, of the five nearest rows, or a regression
    on the other numeric columns, round after round; a missing ordinal gets the median."""
    missing_indicator: bool = True
    """Whether a column with missing values in training gets an input that says where."""
    scale: bool = True
    """Whether numbers get mean 0 and standard deviation 1."""

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return what the training rows `x_ND` decide."""
        inputs = [part for d, column in enumerate(columns) for part in self._inputs(d, column, x_ND[:, d])]
        described, rows = [c for c, _ in inputs], np.array([row for _, row in inputs], np.float64).reshape(-1, 5)
        fitted = Fitted(tuple(described), rows[:, 0].astype(np.int64), *rows[:, 1:].T)
        return fitted if self.impute in ("median", "mean") else self._with_imputer(fitted, x_ND)

    def _with_imputer(self, fitted: Fitted, x_ND: np.ndarray) -> Fitted:
        """Return `fitted` with scikit-learn's imputer of its numeric inputs, if it has any."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401
        from sklearn.impute import IterativeImputer, KNNImputer

        if not fitted.is_numeric_F.any():
            return fitted
        imputer = KNNImputer() if self.impute == "nearest" else IterativeImputer(random_state=0)
        with warnings.catch_warnings():  # ten rounds are the method, converged or not
            warnings.simplefilter("ignore", ConvergenceWarning)
            imputer.fit(fitted.scaled_with_gaps(np.asarray(x_ND, np.float64)[:, fitted.origin_F]))
        return replace(fitted, imputer=imputer)

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
        is_alone = self.impute in ("median", "mean") or column.kind != "numeric"
        filled_N = np.where(np.isnan(x_N), fill, x_N) if is_alone else held_N
        mean, deviation = (filled_N.mean(), filled_N.std()) if self.scale else (0.0, 1.0)
        flat = deviation <= np.finfo(np.float64).eps * abs(mean)
        return [(column, (d, np.nan, fill, mean, 1.0 if flat else deviation)), *missing]
