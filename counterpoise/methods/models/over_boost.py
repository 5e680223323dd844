"""OverBoost: boosting whose every round adds copies of rows of the smaller classes.

Source: SMOTEBoost (Chawla, Lazarevic, Hall and Bowyer 2003) with copies for synthetic rows, as it is described in
github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_over_sampling/over_boost.py; it has no paper of its own.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: variant "paper" is AdaBoost.M2 with other copies in every round, a copy having the mean
weight, as synthetic rows have in SMOTEBoost. The official code draws copies in the first round only, because it keeps
them and the classes are then level: random oversampling once, then AdaBoost (SAMME).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._boosting import Draw, by_classes, by_probabilities, started
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import OnBase, default, learner
from counterpoise.methods.models._subsets import by_class, oversampled


@dataclass(frozen=True)
class Method(OnBase):
    """Boost on the rows and, in each round, other copies."""

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
        {"n_estimators": 20, "base": {"name": "decision_tree", "max_depth": 6}},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds."""
    variant: Literal["paper", "official_code"] = "paper"
    """Copies in every round of AdaBoost.M2, or once before SAMME."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Any:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "over_boost")
        fit = learner("over_boost", self.base, weights=True)
        weights_N = started(weights_N, len(y_N))
        draw = copied(x_ND, codes_N, classes_C)
        if self.variant == "paper":
            return by_probabilities(fit, (x_ND, codes_N, classes_C), weights_N, self.n_estimators, seed, draw)
        x_MD, y_M, weights_M = draw(weights_N, np.random.default_rng(seed))
        codes_M = np.searchsorted(classes_C, y_M)
        return by_classes(fit, (x_MD, codes_M, classes_C), weights_M, self.n_estimators, seed)


def copied(x_ND: np.ndarray, codes_N: np.ndarray, classes_C: np.ndarray) -> Draw:
    """Return what gives all rows and, of each smaller class, copies of the mean weight."""
    groups = by_class(codes_N)

    def draw(weights_N: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        positions_M = oversampled(groups, random)
        first_M = np.zeros(len(positions_M), dtype=bool)
        first_M[np.unique(positions_M, return_index=True)[1]] = True
        weights_M = np.where(first_M, weights_N[positions_M], weights_N.mean())
        return x_ND[positions_M], classes_C[codes_N[positions_M]], weights_M

    return draw
