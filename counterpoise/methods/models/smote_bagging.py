"""SMOTEBagging: bagging whose members see every class at the size of the largest, by copies and synthetic rows.

Source: Wang and Yao 2009, section III (recalled: its text was not to be had), where the share of copies goes from 10
% to 100 % over the members; github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_over_sampling/smote_bagging.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: a synthetic row has the mean weight of its class; a class with fewer rows than neighbours
uses those that it has, one row its copies. The official code takes a bootstrap sample of all rows and levels it by
SMOTE alone, with one neighbour as its default (set `neighbors` to 1 for that), which is often a copy of the row
itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import Mean, OnBase, Subset, bag, default, seeds
from counterpoise.methods.models._subsets import bootstrapped, by_class
from counterpoise.methods.models._synthetic import between, neighbours

STEPS = 10  # members after which the share of copies starts again


@dataclass(frozen=True)
class Method(OnBase):
    """Fit each member on its own mixture of copies and synthetic rows."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    missing: ClassVar[bool] = False  # no neighbours of a row with NaN
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 20},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "min_samples_leaf": 5}},
        {"neighbors": 1},
        {"neighbors": 15},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"n_estimators": 100, "base": {"name": "decision_tree", "min_samples_leaf": 5}},
    )

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""
    neighbors: Annotated[int, Ge(1)] = 5
    """Neighbours of the same class between which synthetic rows lie."""
    variant: Literal["paper", "official_code"] = "paper"
    """A growing share of copies, or a bootstrap sample levelled by SMOTE alone."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "smote_bagging")
        random, members = seeds(seed, self.n_estimators)
        subsets = self.subsets((x_ND, y_N, weights_N), codes_N, random)
        return bag("smote_bagging", self.base, classes_C, members, subsets)

    def subsets(
        self, rows: tuple[np.ndarray, np.ndarray, np.ndarray | None], codes_N: np.ndarray, random: np.random.Generator
    ) -> Iterator[Subset]:
        """Give each member's rows, labels and weights."""
        x_ND, groups = rows[0], by_class(codes_N)
        most = max(len(rows_K) for rows_K in groups)
        near = [neighbours(x_ND[rows_K], self.neighbors) if len(rows_K) < most else None for rows_K in groups]
        for member in range(self.n_estimators):
            if self.variant == "paper":
                copies = round(most * (member % STEPS + 1) / STEPS)
                drawn = [random.choice(r, most if len(r) == most else copies) for r in groups]
                yield _completed(rows, drawn, groups, near, most, random)
            else:
                at_N = bootstrapped(codes_N, random)
                drawn = [at_N[held] for held in by_class(codes_N[at_N])]
                most = max(len(rows_K) for rows_K in drawn)
                near = [neighbours(x_ND[r], self.neighbors) if len(r) < most else None for r in drawn]
                yield _completed(rows, drawn, drawn, near, most, random)


def _completed(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    drawn: list[np.ndarray],
    sources: list[np.ndarray],
    near: list[np.ndarray | None],
    most: int,
    random: np.random.Generator,
) -> Subset:
    """Return the rows drawn of each class, and synthetic ones between rows of its source until there are `most`."""
    x_ND, y_N, weights_N = rows
    x, y, weights = [], [], []
    for drawn_K, source_K, near_KJ in zip(drawn, sources, near, strict=True):
        x.append(x_ND[drawn_K])
        missing = most - len(drawn_K)
        if near_KJ is not None and missing:
            x.append(between(x_ND[source_K], near_KJ, missing, random))
        y.append(np.full(most, y_N[source_K[0]]))
        if weights_N is not None:
            weights += [weights_N[drawn_K], np.full(missing, weights_N[source_K].mean())]
    return np.concatenate(x), np.concatenate(y), np.concatenate(weights) if weights else None
