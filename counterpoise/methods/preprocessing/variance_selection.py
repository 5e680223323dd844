"""Keeps the columns whose variance over the training rows is greatest, and scales them.

Source: Moscovich and Rosset 2022, "On the cross-validation bias due to unsupervised pre-processing", the section on
variance-based feature selection [recalled; no code was to be had].
Shapes: x_ND -> x_NF with F = min(count, D), in the order of the raw columns.
Units: standard deviations of the training rows, where `scale`.
Raises: ImpossibleCell for a column that holds categories or a missing value, which has no variance.
Differs from the source: nothing known; of equal variances the first column is kept.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell


@dataclass(frozen=True)
class Fitted:
    """What the training rows decided; every array has one entry for each input."""

    columns: tuple[Column, ...]
    """The columns kept."""
    origin_F: np.ndarray
    """Position of the raw column."""
    mean_F: np.ndarray
    scale_F: np.ndarray

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of raw rows, float64."""
        return (np.asarray(x_ND, np.float64)[:, self.origin_F] - self.mean_F) / self.scale_F


@dataclass(frozen=True)
class Method:
    """The columns that vary most."""

    version: ClassVar[int] = 1
    count: Annotated[int, Ge(1)] = 20
    """Columns that are kept."""
    scale: bool = True
    """Whether they get mean 0 and standard deviation 1."""

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...]) -> Fitted:
        """Return what the training rows `x_ND` decide."""
        x_ND = np.asarray(x_ND, np.float64)
        for column, x_N in zip(columns, x_ND.T, strict=True):
            if column.kind == "categorical" or np.isnan(x_N).any():
                fault = "holds categories" if column.kind == "categorical" else "has missing values"
                raise ImpossibleCell(f"column '{column.name}' {fault}; say preprocessing: typed_columns")
        kept_F = np.sort(np.argsort(-x_ND.var(0), kind="stable")[: self.count])
        mean_F, deviation_F = x_ND[:, kept_F].mean(0), x_ND[:, kept_F].std(0)
        flat_F = deviation_F <= np.finfo(np.float64).eps * np.abs(mean_F)
        if not self.scale:
            mean_F, flat_F = np.zeros_like(mean_F), np.ones_like(flat_F)
        return Fitted(tuple(columns[d] for d in kept_F), kept_F, mean_F, np.where(flat_F, 1.0, deviation_F))
