"""AsymBoost: boosting that spreads an unequal cost of mistakes evenly over the rounds.

Source: Viola and Jones 2001, section 3, the weights exp(+-log(sqrt k) / T) before each of T rounds (recalled: its
text was not to be had); github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_reweighting/asymmetric_boost.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: k is the count of the largest class over that of the row's; the largest class keeps its
weight and class c is multiplied by k_c ** (1 / T), which for two classes is the paper's after normalising, and is as
well defined for more. The official code multiplies wrong rows alone, by (count of the given class / of the true
class) ** (1 / 2T), and not before the first round. The official code up to 0.2.1 is meant: under scikit-learn 1.6,
which 0.2.3 wants, its factors are never called, because scikit-learn no longer calls the function that holds them.
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
    """Boost with a factor outside the exponent."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "max_depth": 3}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"n_estimators": 20},
        {"n_estimators": 100, "base": {"name": "decision_tree", "max_depth": 3}},
        {"n_estimators": 200},
        {"cost": "uniform"},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds, over which the factor is spread."""
    cost: Literal["inverse", "uniform"] = "inverse"
    """How the cost of a mistake follows from the counts of the classes; uniform is AdaBoost."""
    variant: Literal["paper", "official_code"] = "paper"
    """The factor on all rows of a class, or on wrong rows alone."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Vote:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "asymboost")
        fit = learner("asymboost", self.base, weights=True)
        counts_C, weights_N = np.bincount(codes_N), started(weights_N, len(y_N))
        if self.variant == "paper":
            factor_C = _costs.vector(counts_C, self.cost) ** (1 / self.n_estimators)
            outside_CC, weights_N = np.tile(factor_C, (len(factor_C), 1)), weights_N * factor_C[codes_N]
        else:
            outside_CC = _costs.matrix(counts_C, self.cost) ** (0.5 / self.n_estimators)
        data = x_ND, codes_N, classes_C
        return by_classes(fit, data, weights_N, self.n_estimators, seed, outside_CC=outside_CC)
