"""AdaCost: boosting that raises the weight of a costly mistake more, and lowers that of a costly success less.

Source: Fan, Stolfo, Zhang and Chan 1999, figure 1 and the cost adjustment -c/2 + 1/2 and c/2 + 1/2 (recalled: its
text was not to be had); github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_reweighting/adacost.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: costs have none; in variant "paper" they are divided by the largest.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: more than two classes count as right and wrong, as in AdaBoost.M1; members vote with their
class, not with a confidence; boosting ends at a round no better than chance. The official code starts from equal
weights and has the cost of (given, true) class as a factor in the exponent of SAMME's update, which lowers no weight.
The official code up to 0.2.1 is meant: under scikit-learn 1.6, which 0.2.3 wants, its costs are never called, because
scikit-learn no longer calls the function that holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models import _costs
from counterpoise.methods.models._boosting import TINY, Vote, by_classes, started
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import Fit, OnBase, among, counted, default, learner, seeds


@dataclass(frozen=True)
class Method(OnBase):
    """Boost with costs inside the exponent."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "max_depth": 3}},
        {"cost": "log1p_inverse"},
        {"cost": "log1p_inverse", "base": {"name": "decision_tree", "max_depth": 3}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"n_estimators": 100, "cost": "log1p_inverse", "base": {"name": "decision_tree", "max_depth": 2}},
        {"n_estimators": 200},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds."""
    cost: Literal["inverse", "log1p_inverse", "uniform"] = "inverse"
    """How a mistake's cost follows from the counts of the classes."""
    variant: Literal["paper", "official_code"] = "paper"
    """The paper's update, or SAMME with a factor in the exponent."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Vote:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "adacost")
        fit = learner("adacost", self.base, weights=True)
        data, weights_N, counts_C = (x_ND, codes_N, classes_C), started(weights_N, len(y_N)), np.bincount(codes_N)
        if self.variant == "official_code":
            inside_CC = _costs.matrix(counts_C, self.cost)
            return by_classes(fit, data, weights_N, self.n_estimators, seed, inside_CC=inside_CC)
        cost_C = _costs.vector(counts_C, self.cost)
        return _by_right_and_wrong(fit, data, weights_N, self.n_estimators, seed, (cost_C / cost_C.max())[codes_N])


def adjusted(weights_N: np.ndarray, right_N: np.ndarray, cost_N: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the next weights (they sum to 1) and the vote; a vote of 0 or less is of a member no better than chance.

    u = y h beta with beta = (1 - c) / 2 where right and (1 + c) / 2 where wrong; r = sum of w u;
    vote = log((1 + r) / (1 - r)) / 2; w exp(-vote u).
    """
    margin_N = np.where(right_N, (1 - cost_N) / 2, -(1 + cost_N) / 2)
    edge = min(float(weights_N @ margin_N), 1 - TINY)
    vote = float(np.arctanh(max(edge, TINY - 1)))
    weights_N = weights_N * np.exp(-vote * margin_N)
    return weights_N / weights_N.sum(), vote


def _by_right_and_wrong(
    fit: Fit, data: tuple[np.ndarray, ...], weights_N: np.ndarray, rounds: int, seed: int, cost_N: np.ndarray
) -> Vote:
    x_ND, codes_N, classes_C = data
    weights_N = weights_N * cost_N / (weights_N @ cost_N)
    estimators: list[Any] = []
    votes: list[float] = []
    errors: list[float] = []
    for member in seeds(seed, rounds)[1]:
        estimator = fit(x_ND, classes_C[codes_N], member, weights_N)
        right_N = among(estimator, x_ND, classes_C).argmax(1) == codes_N
        error = float(weights_N @ ~right_N)
        weights_N, vote = adjusted(weights_N, right_N, cost_N)
        if vote <= 0 and estimators:
            break
        estimators.append(estimator)
        votes.append(vote if vote > 0 else 1.0)
        errors.append(error)
        if vote <= 0 or error == 0:
            break
    return Vote(estimators, classes_C, [counted(classes_C[codes_N], classes_C)] * len(votes), votes, errors)
