"""What classical models share: where they are searched alike, and that there are classes, and enough rows of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoise.errors import ImpossibleCell
from counterpoise.scoring.log_probabilities import log_probability

FOREST: tuple[dict[str, Any], ...] = (
    {},
    {"min_samples_leaf": 5},
    {"min_samples_leaf": 20},
    {"max_features": 0.5},
    {"max_depth": 8},
    {"n_estimators": 300},
    {"min_samples_leaf": 5, "max_features": 0.5},
    {"max_features": 1.0},
    {"n_estimators": 300, "min_samples_leaf": 2},
)
"""The search points of every forest."""

PENALTIES: tuple[dict[str, Any], ...] = (
    {},
    {"penalty": 0.003},
    {"penalty": 0.01},
    {"penalty": 0.001},
    {"penalty": 0.03},
    {"penalty": 0.0003},
    {"penalty": 0.1},
    {"penalty": 0.0001},
)
"""The search points of every penalised model of ordered classes."""


def classes_of(y_N: np.ndarray, who: str, *, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of the rows and each row's position among them; raise ImpossibleCell for too few rows."""
    classes_C, codes_N, counts_C = np.unique(y_N, return_inverse=True, return_counts=True)
    if len(classes_C) < 2:
        held = f"only class {classes_C[0]}" if len(classes_C) else "none"
        raise ImpossibleCell(f"{who} needs rows of two classes, got {held}")
    if counts_C.min() < least:
        rarest = int(counts_C.argmin())
        raise ImpossibleCell(
            f"{who} needs {least} rows of each class, got {counts_C[rarest]} of class {classes_C[rarest]}"
        )
    return classes_C, codes_N


class Relabelled:
    """An estimator that was fitted on positions among the classes, under the classes' own numbers."""

    def __init__(self, estimator: Any, classes_C: np.ndarray) -> None:
        self.estimator = estimator
        self.classes_ = classes_C

    def predict_proba(self, x_ND: np.ndarray) -> np.ndarray:
        """Return probability_NC in the order of `classes_`."""
        return self.estimator.predict_proba(x_ND)

    def log_probability(self, x_ND: np.ndarray) -> np.ndarray:
        """Return its logarithm, from margins."""
        return log_probability(self.estimator, x_ND)
