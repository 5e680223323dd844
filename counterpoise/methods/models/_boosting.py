"""AdaBoost by classes (SAMME) and by probabilities (AdaBoost.M2), each with a place for what an imbalance asks for.

`Draw` gives what a round's member is fitted on: from weights_N and a generator x_MD, y_M and weights_M.

Legend: N rows, D columns, C classes (those that occur), T rounds, M rows of a round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from counterpoise.methods.models._ensemble import Fit, Mean, among, counted, seeds

TINY = float(np.finfo(np.float64).eps)

Draw = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]


class Vote:
    """Weighted votes of the members' classes, as scikit-learn's `AdaBoostClassifier` counts them."""

    def __init__(self, estimators: list[Any], classes_C: np.ndarray, seen_TC: Any, votes_T: Any, errors_T: Any) -> None:
        self.estimators_ = estimators
        self.classes_ = classes_C
        self.seen_TC = np.array(seen_TC)  # rows of each class that each member was fitted on
        self.estimator_weights_ = np.array(votes_T)
        self.estimator_errors_ = np.array(errors_T)

    def predict_proba(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the softmax of the mean vote: 1 for the class of a member, -1 / (C - 1) for the others."""
        votes_NC = np.zeros((len(x_ND), len(self.classes_)))
        others = len(self.classes_) - 1
        rows_N = np.arange(len(x_ND))
        for estimator, vote in zip(self.estimators_, self.estimator_weights_, strict=True):
            votes_NC -= vote / others
            votes_NC[rows_N, among(estimator, x_ND, self.classes_).argmax(1)] += vote + vote / others
        total = self.estimator_weights_.sum()
        raised_NC = np.exp(votes_NC / (total if total else 1.0) / others)
        return raised_NC / raised_NC.sum(1, keepdims=True)


def reweighted(
    weights_N: np.ndarray, codes_N: np.ndarray, given_N: np.ndarray, inside_CC: np.ndarray, outside_CC: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Return the next weights (they sum to 1), the vote and the error of a member that gave the classes `given_N`.

    w exp(vote [wrong] inside) outside, both matrices by given and true class. A member without error gets vote 1 and
    leaves the weights.
    """
    wrong_N = given_N != codes_N
    error = float(weights_N[wrong_N].sum() / weights_N.sum())
    if error <= 0:
        return weights_N / weights_N.sum(), 1.0, 0.0
    error = min(error, 1 - TINY)
    vote = float(np.log((1 - error) / error) + np.log(len(inside_CC) - 1))
    weights_N = weights_N * np.exp(vote * wrong_N * inside_CC[given_N, codes_N]) * outside_CC[given_N, codes_N]
    return weights_N / weights_N.sum(), vote, error


def by_classes(
    fit: Fit,
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    weights_N: np.ndarray,
    rounds: int,
    seed: int,
    *,
    draw: Draw | None = None,
    inside_CC: np.ndarray | None = None,
    outside_CC: np.ndarray | None = None,
) -> Vote:
    """Boost `rounds` times on x_ND, codes_N and classes_C, with SAMME's votes."""
    x_ND, codes_N, classes_C = data
    ones_CC = np.ones((len(classes_C), len(classes_C)))
    inside_CC = ones_CC if inside_CC is None else inside_CC
    outside_CC = ones_CC if outside_CC is None else outside_CC
    random, members = seeds(seed, rounds)
    y_N, weights_N = classes_C[codes_N], weights_N / weights_N.sum()
    estimators, seen, votes, errors = [], [], [], []
    for member in members:
        x_MD, y_M, weights_M = draw(weights_N, random) if draw else (x_ND, y_N, weights_N)
        estimators.append(fit(x_MD, y_M, member, weights_M))
        given_N = among(estimators[-1], x_ND, classes_C).argmax(1)
        weights_N, vote, error = reweighted(weights_N, codes_N, given_N, inside_CC, outside_CC)
        seen.append(counted(y_M, classes_C))
        votes.append(vote)
        errors.append(error)
    return Vote(estimators, classes_C, seen, votes, errors)


def pseudo_loss(
    weights_NC: np.ndarray, codes_N: np.ndarray, probability_NC: np.ndarray, beta: float | None = None
) -> tuple[np.ndarray, float, float]:
    """Return the next weights of wrong classes (they sum to 1), the vote log(1 / beta), and the pseudo-loss.

    Freund and Schapire 1997, AdaBoost.M2: beta is loss / (1 - loss), unless it is given. A member no better than
    chance gets vote 0 and leaves the weights.
    """
    gain_NC = probability_NC[np.arange(len(codes_N)), codes_N][:, None] - probability_NC
    loss = float((weights_NC * (1 - gain_NC)).sum() / 2)
    if beta is None:
        if loss >= 0.5:
            return weights_NC, 0.0, loss
        beta = max(loss, TINY) / (1 - max(loss, TINY))
    weights_NC = weights_NC * beta ** ((1 + gain_NC) / 2)
    return weights_NC / weights_NC.sum(), float(-np.log(beta)), loss


def by_probabilities(
    fit: Fit,
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
    weights_N: np.ndarray,
    rounds: int,
    seed: int,
    draw: Draw,
    beta: float | None = None,
) -> Mean:
    """Boost `rounds` times on x_ND, codes_N and classes_C, by AdaBoost.M2."""
    x_ND, codes_N, classes_C = data
    random, members = seeds(seed, rounds)
    weights_NC = np.repeat(weights_N[:, None], len(classes_C), axis=1)
    weights_NC[np.arange(len(codes_N)), codes_N] = 0
    weights_NC /= weights_NC.sum()
    estimators, seen, votes = [], [], []
    for member in members:
        x_MD, y_M, weights_M = draw(weights_NC.sum(1), random)
        estimators.append(fit(x_MD, y_M, member, weights_M))
        weights_NC, vote, _ = pseudo_loss(weights_NC, codes_N, among(estimators[-1], x_ND, classes_C), beta)
        seen.append(counted(y_M, classes_C))
        votes.append(vote)
    return Mean(estimators, classes_C, seen, votes)


def started(weights_N: np.ndarray | None, rows: int) -> np.ndarray:
    """Return the weights that boosting starts from."""
    return np.ones(rows) if weights_N is None else np.asarray(weights_N, dtype=np.float64)
