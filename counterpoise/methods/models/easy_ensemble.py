"""EasyEnsemble: a boosted model on each of several level subsets, averaged.

Source: Liu, Wu and Zhou 2009, algorithm 1 (recalled: its text was not to be had);
github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_under_sampling/easy_ensemble.py; imbalanced-learn's
`EasyEnsembleClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: the paper adds up the raw scores of all weak learners of all subsets and takes their sign,
the peers and we average the probabilities of the boosted models. The official code takes a bootstrap sample of all
rows first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import Mean, OnBase, bag, default, seeds, selected
from counterpoise.methods.models._subsets import level_subsets


@dataclass(frozen=True)
class Method(OnBase):
    """Fit the boosted model on each level subset."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 10},
        {"n_estimators": 4},
        {"base": {"name": "adaboost", "n_estimators": 50}},
        {"base": {"name": "adaboost", "n_estimators": 10, "max_depth": 3}},
        {"n_estimators": 10, "base": {"name": "adaboost", "n_estimators": 50}},
        {"n_estimators": 10, "base": {"name": "adaboost", "n_estimators": 50, "max_depth": 3}},
        {"n_estimators": 10, "base": {"name": "adaboost", "n_estimators": 100, "learning_rate": 0.3}},
    )

    base: dict = default("adaboost", n_estimators=10)
    """The model that is fitted on each subset: AdaBoost of 10 rounds, as in the paper."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""
    variant: Literal["paper", "official_code"] = "paper"
    """All rows of the smallest class in every subset, or a level part of a bootstrap sample."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "easy_ensemble")
        random, members = seeds(seed, self.n_estimators)
        subsets = selected((x_ND, y_N, weights_N), level_subsets(codes_N, random, self.n_estimators, self.variant))
        return bag("easy_ensemble", self.base, classes_C, members, subsets)
