"""How a detector that learns without labels becomes a classifier: by one threshold and one scale.

Of the labels only the shares of the classes are used. The rarest class is the anomaly. Its probability is
sigmoid((score - threshold) / deviation) with the threshold that as large a share of the training scores exceeds as are
anomalies; other classes share the rest as they occur. So rows are ranked as the detector ranks them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from counterpoise.scoring.log_probabilities import of_margins


class Detector:
    """A fitted detector as a classifier."""

    def __init__(self, estimator: Any, given_N: np.ndarray, y_N: np.ndarray, *, ratio: bool = False) -> None:
        """Take a detector of scikit-learn, what its `score_samples` says of the training rows, and their labels.

        `ratio` says that scores are ratios, of which the logarithm is taken.
        """
        self.estimator, self.ratio = estimator, ratio
        strange_N = self._strange(given_N)
        self.classes_, counts_C = np.unique(y_N, return_counts=True)
        self.rarest = len(counts_C) - 1 - int(counts_C[::-1].argmin())  # of equally rare ones the last
        self.threshold = float(np.quantile(strange_N, 1 - counts_C[self.rarest] / len(y_N)))
        self.deviation = float(strange_N.std()) or 1.0
        self.others_C = np.where(np.arange(len(counts_C)) == self.rarest, 0, counts_C) / (
            len(y_N) - counts_C[self.rarest]
        )

    def predict_proba(self, x_ND: np.ndarray) -> np.ndarray:
        """Return probability_NC."""
        from scipy.special import expit

        chance_N = expit(self._margin(x_ND))
        probability_NC = (1 - chance_N)[:, None] * self.others_C
        probability_NC[:, self.rarest] = chance_N
        return probability_NC

    def log_probability(self, x_ND: np.ndarray) -> np.ndarray:
        """Return its logarithm, from the scores."""
        rest_N, chance_N = of_margins(self._margin(x_ND)).T
        with np.errstate(divide="ignore"):  # of the rarest class, which is set after that
            log_NC = rest_N[:, None] + np.log(self.others_C)
        log_NC[:, self.rarest] = chance_N
        return log_NC

    def _margin(self, x_ND: np.ndarray) -> np.ndarray:
        return (self._strange(self.estimator.score_samples(x_ND)) - self.threshold) / self.deviation

    def _strange(self, score_N: np.ndarray) -> np.ndarray:
        """Return scores that are greater for what is stranger."""
        return np.log(-score_N) if self.ratio else -score_N
