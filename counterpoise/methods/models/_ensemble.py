"""What ensembles share: the base model, the mean of its fits, and the vote of weighted fits.

Legend: N rows, D columns, C classes (those that occur, in the order of their numbers), T fits, M rows of a subset.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from counterpoise.errors import UserError
from counterpoise.registry import build
from counterpoise.scoring.log_probabilities import log_mean, log_probability

Subset = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # x_MD, y_M, weights_M
Fit = Callable[..., Any]
BAGGED: tuple[dict[str, Any], ...] = (
    {},
    {"n_estimators": 20},
    {"n_estimators": 100},
    {"base": {"name": "decision_tree", "min_samples_leaf": 5}},
    {"base": {"name": "decision_tree", "max_depth": 6}},
    {"n_estimators": 100, "base": {"name": "decision_tree", "min_samples_leaf": 5}},
    {"base": {"name": "decision_tree", "max_depth": 3}},
    {"base": {"name": "decision_tree", "min_samples_leaf": 20}},
    {"n_estimators": 200},
)
"""The search points of every bag of fits that are drawn alike."""


def default(name: str, **options: Any) -> Any:
    """Return the field of an ensemble that names its base model."""
    return dataclasses.field(default_factory=lambda: {"name": name, **options}, metadata={"kind": "models"})


class OnBase:
    """Takes weights of rows, and missing values, where the base model does."""

    base: dict[str, Any]

    @property
    def weighted(self) -> bool:
        """Whether weights of rows are taken."""
        return bool(build("models", self.base).weighted)

    @property
    def missing(self) -> bool:
        """Whether rows may hold NaN."""
        return bool(build("models", self.base).missing)


def learner(who: str, spec: dict[str, Any], *, weights: bool) -> Fit:
    """Return `fit` of the base model; raise UserError for a network, or where `weights` are needed and not taken."""
    model = build("models", spec)
    if not getattr(model, "classical", False):
        raise UserError(f"{who}: base '{spec['name']}' is a network; name a classical model such as decision_tree")
    if weights and not model.weighted:
        raise UserError(f"{who} weighs rows, which base '{spec['name']}' cannot; name another such as decision_tree")
    return model.fit


def seeds(seed: int, fits: int) -> tuple[np.random.Generator, list[int]]:
    """Return the generator of the subsets, and a seed for each fit: a longer ensemble starts as a shorter one."""
    subsets, members = np.random.SeedSequence(seed).spawn(2)
    return np.random.default_rng(subsets), [int(s) for s in np.random.default_rng(members).integers(2**31, size=fits)]


def among(estimator: Any, x_ND: np.ndarray, classes_C: np.ndarray) -> np.ndarray:
    """Return probability_NC of an estimator that may not have seen every class."""
    return _spread(estimator.predict_proba(x_ND), estimator, classes_C, 0.0)


def _spread(value_NK: np.ndarray, estimator: Any, classes_C: np.ndarray, unseen: float) -> np.ndarray:
    """Return what an estimator says of its own classes among all, and `unseen` of the others."""
    if len(estimator.classes_) == len(classes_C):
        return value_NK
    value_NC = np.full((len(value_NK), len(classes_C)), unseen)
    value_NC[:, np.searchsorted(classes_C, estimator.classes_)] = value_NK
    return value_NC


class Mean:
    """The mean of the members' probabilities, each with its vote (all equal where none is given)."""

    def __init__(self, estimators: list[Any], classes_C: np.ndarray, seen_TC: Any, votes_T: Any = None) -> None:
        self.estimators_ = estimators
        self.classes_ = classes_C
        self.seen_TC = np.array(seen_TC)  # rows of each class that each member was fitted on
        votes_T = np.ones(len(estimators)) if votes_T is None else np.array(votes_T)
        self.estimator_weights_ = votes_T if votes_T.any() else np.ones(len(estimators))

    def predict_proba(self, x_ND: np.ndarray) -> np.ndarray:
        """Return probability_NC in the order of `classes_`."""
        total_NC = np.zeros((len(x_ND), len(self.classes_)))
        for estimator, vote in zip(self.estimators_, self.estimator_weights_, strict=True):
            total_NC += vote * among(estimator, x_ND, self.classes_)
        return total_NC / self.estimator_weights_.sum()

    def log_probability(self, x_ND: np.ndarray) -> np.ndarray:
        """Return its logarithm, from those of the members."""
        said = (_spread(log_probability(e, x_ND), e, self.classes_, -np.inf) for e in self.estimators_)
        return log_mean(said, self.estimator_weights_)


def bag(who: str, spec: dict[str, Any], classes_C: np.ndarray, members: list[int], subsets: Iterable[Subset]) -> Mean:
    """Fit the base model on each subset, and return their mean."""
    estimators, seen, fits = [], [], None
    for seed, (x_MD, y_M, weights_M) in zip(members, subsets, strict=True):
        fits = fits or learner(who, spec, weights=weights_M is not None)
        estimators.append(fits(x_MD, y_M, seed, *(() if weights_M is None else (weights_M,))))
        seen.append(counted(y_M, classes_C))
    return Mean(estimators, classes_C, seen)


def selected(rows: tuple[np.ndarray, np.ndarray, np.ndarray | None], drawn: Iterable[np.ndarray]) -> Iterator[Subset]:
    """Give the rows, labels and weights at each member's positions."""
    x_ND, y_N, weights_N = rows
    for at_M in drawn:
        yield x_ND[at_M], y_N[at_M], None if weights_N is None else weights_N[at_M]


def counted(y_M: np.ndarray, classes_C: np.ndarray) -> np.ndarray:
    """Return how many rows of each class there are."""
    return np.bincount(np.searchsorted(classes_C, y_M), minlength=len(classes_C))
