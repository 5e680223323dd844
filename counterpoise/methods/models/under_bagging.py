"""UnderBagging: each member sees as many rows of every class as the smallest has.

Source: Barandela, Valdovinos and Sanchez 2003, as github.com/ZhiningLiu1998/mesa, baselines/canonical_ensemble.py has
it; github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_under_sampling/under_bagging.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: nothing. The official code (imbalanced-ensemble) takes a bootstrap sample of all rows first,
so that a member sees fewer different rows of the smallest class, and levels that sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import BAGGED, Mean, OnBase, bag, default, seeds, selected
from counterpoise.methods.models._subsets import level_subsets


@dataclass(frozen=True)
class Method(OnBase):
    """Fit each member on a level subset."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = BAGGED

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""
    variant: Literal["paper", "official_code"] = "paper"
    """All rows of the smallest class in every subset, or a level part of a bootstrap sample."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "under_bagging")
        random, members = seeds(seed, self.n_estimators)
        subsets = selected((x_ND, y_N, weights_N), level_subsets(codes_N, random, self.n_estimators, self.variant))
        return bag("under_bagging", self.base, classes_C, members, subsets)
