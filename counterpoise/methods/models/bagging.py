"""Bagging: a model fitted on bootstrap samples of the rows, averaged.

Source: Breiman 1996, algorithm of section 2, with probabilities averaged as in scikit-learn's `BaggingClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: a sample of one class alone is drawn again; a class that a sample lacks has probability 0
from that member.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import BAGGED, Mean, OnBase, bag, default, seeds, selected
from counterpoise.methods.models._subsets import bootstrapped


@dataclass(frozen=True)
class Method(OnBase):
    """Fit each member on as many rows as there are, drawn with replacement."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = BAGGED

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "bagging")
        random, members = seeds(seed, self.n_estimators)
        subsets = selected((x_ND, y_N, weights_N), (bootstrapped(codes_N, random) for _ in members))
        return bag("bagging", self.base, classes_C, members, subsets)
