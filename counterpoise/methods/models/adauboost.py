"""AdaUBoost: boosting that starts from unequal weights and raises those of the smaller classes more slowly.

Source: github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_reweighting/adauboost.py, after Karakoulas and
Shawe-Taylor 1999, whose text was not to be had.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: nothing but that a member that is always wrong keeps a finite vote. The official code up to
0.2.1 is meant: under scikit-learn 1.6, which 0.2.3 wants, its exponents are never called, because scikit-learn no
longer calls the function that holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models import _costs
from counterpoise.methods.models._boosting import Vote, by_classes, started
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import OnBase, default, learner


@dataclass(frozen=True)
class Method(OnBase):
    """Start from beta of the class, and boost with beta ** (-1 / rounds) inside the exponent."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "max_depth": 3}},
        {"beta": "log1p_inverse"},
        {"beta": "log1p_inverse", "base": {"name": "decision_tree", "max_depth": 3}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"n_estimators": 100, "beta": "log1p_inverse", "base": {"name": "decision_tree", "max_depth": 2}},
        {"n_estimators": 200},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds."""
    beta: Literal["inverse", "log1p_inverse", "uniform"] = "inverse"
    """How the weight of a class follows from its count."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Vote:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "adauboost")
        fit = learner("adauboost", self.base, weights=True)
        beta_C = _costs.vector(np.bincount(codes_N), self.beta)
        return by_classes(
            fit,
            (x_ND, codes_N, classes_C),
            started(weights_N, len(y_N)) * beta_C[codes_N],
            self.n_estimators,
            seed,
            inside_CC=np.tile(beta_C ** (-1 / self.n_estimators), (len(classes_C), 1)),
        )
