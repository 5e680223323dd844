"""OverBagging: each member sees as many rows of every class as the largest has.

Source: Wang and Yao 2009, section III (OverBagging; recalled: its text was not to be had);
github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_over_sampling/over_bagging.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: every class is drawn at the largest class's rate (the paper's a = 100 %). The official code
takes a bootstrap sample of all rows first and copies rows of its smaller classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import BAGGED, Mean, OnBase, bag, default, seeds, selected
from counterpoise.methods.models._subsets import bootstrapped, by_class, level_bootstrapped, oversampled


@dataclass(frozen=True)
class Method(OnBase):
    """Fit each member on a level bootstrap sample."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = BAGGED

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""
    variant: Literal["paper", "official_code"] = "paper"
    """A bootstrap sample of each class, or a bootstrap sample of all rows that is levelled by copies."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "over_bagging")
        random, members = seeds(seed, self.n_estimators)
        subsets = selected((x_ND, y_N, weights_N), subsets_of(codes_N, random, self.n_estimators, self.variant))
        return bag("over_bagging", self.base, classes_C, members, subsets)


def subsets_of(codes_N: np.ndarray, random: np.random.Generator, fits: int, variant: str) -> Iterator[np.ndarray]:
    """Give the positions of each member's rows."""
    groups = by_class(codes_N)
    for _ in range(fits):
        if variant == "paper":
            yield level_bootstrapped(groups, random)
        else:
            positions_N = bootstrapped(codes_N, random)
            yield positions_N[oversampled(by_class(codes_N[positions_N]), random)]
