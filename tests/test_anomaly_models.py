"""Detectors as classifiers: ranked as scikit-learn ranks, threshold by hand, and no label seen but for the shares.

.venv/bin/python -m pytest -n 0 tests/test_anomaly_models.py
"""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from counterpoise.exporting import estimators
from counterpoise.methods.models._anomalies import Detector
from counterpoise.registry import build

NAMES = ("isolation_forest", "local_outlier_factor")
each = pytest.mark.parametrize("name", NAMES)


def table(rows=300, anomalies=15, seed=0):
    random = np.random.default_rng(seed)
    y = (np.arange(rows) < anomalies).astype(int)
    return random.normal(size=(rows, 3)) + 4 * y[:, None] * random.choice([-1, 1], (rows, 3)), y


def fit(name, x, y, **options):
    return build("models", {"name": name, **options}).fit(x, y, 3)


def test_the_threshold_and_the_shares_by_hand():
    given = np.array([1.0, 2, 3, 4, 5, 6, 7, 8])  # the two greatest of eight are called: the quantile .75 is 6.25
    first = SimpleNamespace(score_samples=lambda x: -x[:, 0])
    detector = Detector(first, -given, np.array([4, 4, 4, 4, 4, 2, 7, 7]))
    assert detector.classes_.tolist() == [2, 4, 7]
    assert detector.rarest == 0
    detector = Detector(first, -given, np.array([4, 4, 4, 2, 2, 2, 7, 7]))
    assert detector.threshold == 6.25
    found = detector.predict_proba(np.array([[6.25], [6.25 + given.std() * np.log(3)]]))
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.5], [0.125, 0.125, 0.75]])


@each
def test_rows_are_ranked_as_the_library_ranks_them(name):
    x, y = table()
    fresh = table(seed=1)[0]
    theirs = {
        "isolation_forest": IsolationForest(max_samples=256, random_state=3),
        "local_outlier_factor": LocalOutlierFactor(novelty=True),
    }[name].fit(x)
    found = fit(name, x, y).predict_proba(fresh)[:, 1]
    np.testing.assert_array_equal(rankdata(found), rankdata(-theirs.score_samples(fresh)))


@each
def test_labels_are_seen_by_their_shares_alone(name):
    x, y = table()
    shuffled = np.random.default_rng(2).permutation(y)
    np.testing.assert_array_equal(fit(name, x, y).predict_proba(x), fit(name, x, shuffled).predict_proba(x))


@each
def test_as_many_training_rows_are_called_as_are_anomalies_and_they_are_the_strange_ones(name):
    x, y = table()
    called = fit(name, x, y).predict_proba(table(seed=1)[0])[:, 1] > 0.5
    assert called[:15].mean() > 0.7
    assert called[15:].mean() < 0.05


def test_of_the_training_rows_the_share_of_anomalies_is_called():
    x, y = table()
    assert (fit("isolation_forest", x, y).predict_proba(x)[:, 1] > 0.5).sum() == y.sum()


@pytest.mark.parametrize("name", [*NAMES, "presto", "proportional_odds", "boundary_logistic"])
def test_a_fitted_model_is_written_without_pickled_code(name, tmp_path):
    x, y = table()
    fitted = fit(name, x, y)
    again = estimators.load(tmp_path, estimators.save(tmp_path, fitted), [0, 1])
    np.testing.assert_array_equal(again.predict_proba(x), fitted.predict_proba(x))
