"""Log-probabilities of fitted classifiers, without the saturation of their probabilities.

A float64 probability near 1 says nothing of the next 36 nats: 1 - p rounds to 0, and rows of very different odds tie.
So logarithms are taken of margins, or by the library itself, wherever the probability is a function of one. The small
log-probabilities keep the order of the rows, in float32 too: the log-odds of a class come from those of the others.
Trees, forests and neighbours count: a 0 is a true zero, its logarithm is -inf, and the caller says what stands for it.

Legend: N rows, D columns, C classes (in the order of `classes_`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

SMALLEST = float(np.finfo(np.float64).eps)  # as in scikit-learn's log loss: what is below it counts as 0


def log_probability(estimator: Any, x_ND: np.ndarray) -> np.ndarray:
    """Return float64 log-probabilities [N, C] of a fitted model, ours or a library's; -inf for a probability of 0."""
    if hasattr(estimator, "log_probability"):
        return estimator.log_probability(x_ND)
    name = type(estimator).__name__
    if name in ("LogisticRegression", "HistGradientBoostingClassifier"):
        return of_margins(estimator.decision_function(x_ND))
    if name == "LGBMClassifier":
        return of_margins(estimator.predict(x_ND, raw_score=True))
    if name == "XGBClassifier":
        return of_margins(estimator.predict(x_ND, output_margin=True))
    if name == "CalibratedClassifierCV":
        return _calibrated(estimator, x_ND)
    if name == "GaussianNB":
        return estimator.predict_log_proba(x_ND)
    return of_probabilities(estimator.predict_proba(x_ND))


def of_margins(margin: np.ndarray) -> np.ndarray:
    """Return the log-softmax of margins [N, C]; of two classes margins [N] are the log-odds of the second."""
    from scipy.special import log_softmax

    margin = np.asarray(margin, np.float64)
    if margin.ndim == 1:
        return -np.logaddexp(0, np.stack([margin, -margin], axis=1))
    return log_softmax(margin, axis=1)


def of_probabilities(probability_NC: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities that do not saturate; -inf for one below rounding."""
    with np.errstate(divide="ignore"):
        return np.log(np.where(probability_NC < SMALLEST, 0.0, probability_NC))


def log_mean(log_TNC: Any, weights_T: np.ndarray) -> np.ndarray:
    """Return the log of the weighted mean of probabilities, from the log-probabilities of one member after another."""
    total_NC: Any = -np.inf
    for log_NC, weight in zip(log_TNC, weights_T, strict=True):
        if weight:
            total_NC = np.logaddexp(total_NC, log_NC + np.log(weight))
    return total_NC - np.log(weights_T.sum())


def _calibrated(estimator: Any, x_ND: np.ndarray) -> np.ndarray:
    """Return the logarithms of Platt's sigmoids of a machine's margins, which several classes share out."""
    from scipy.special import logsumexp

    (inner,) = estimator.calibrated_classifiers_
    margin_NK = np.reshape(inner.estimator.decision_function(x_ND), (len(x_ND), -1))
    log_odds_NK = -(margin_NK * [c.a_ for c in inner.calibrators] + [c.b_ for c in inner.calibrators])
    if log_odds_NK.shape[1] == 1:
        return of_margins(log_odds_NK[:, 0])
    log_NC = -np.logaddexp(0, -log_odds_NK)
    return log_NC - logsumexp(log_NC, axis=1, keepdims=True)
