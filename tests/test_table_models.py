"""Models of tables: what is wrapped equals the library, weights act, and small or odd data end well or in one line.

.venv/bin/python -m pytest -n 0 tests/test_table_models.py
"""

import warnings
from typing import get_args, get_type_hints

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.registry import build

CLASSICAL = [
    n
    for n in registry.names("models")
    if getattr(registry.method("models", n), "classical", False)
    and not hasattr(registry.method("models", n), "regressor")
]
ENSEMBLES = [n for n in CLASSICAL if "base" in registry.options("models", n)]
each = pytest.mark.parametrize("name", CLASSICAL)
ALONE = {"decision_tree", "random_forest", "extra_trees", "gaussian_nb", "knn"}  # right for rows of one class


def model(name, **options):
    few = {"n_estimators": 5} if "n_estimators" in registry.options("models", name) else {}
    return build("models", {"name": name, **few, **options})


def variants(name):
    if "variant" not in registry.options("models", name):
        return [{}]
    return [{"variant": v} for v in get_args(get_type_hints(registry.method("models", name))["variant"])]


def table(seed=0, rows=90, classes=(0, 2, 5)):
    random = np.random.default_rng(seed)
    y_N = np.array(classes)[np.searchsorted([0.7, 0.9][: len(classes) - 1], random.random(rows))]
    return random.normal(size=(rows, 4)) + y_N[:, None] * 0.4, y_N


def small(options):
    """Return options with few members, of a base too."""
    held = {k: small(v) if isinstance(v, dict) else v for k, v in options.items()}
    return held | ({"n_estimators": min(held["n_estimators"], 4)} if "n_estimators" in held else {})


# What is wrapped ---------------------------------------------------------------------------------------------

FOLDS = StratifiedKFold(5, shuffle=True, random_state=3)
GAMMA = 1 / (4 * table()[0].var())
SAME = {
    "decision_tree": DecisionTreeClassifier(random_state=3),
    "logistic_regression": LogisticRegression(max_iter=1000),
    "knn": KNeighborsClassifier(),
    "gaussian_nb": GaussianNB(),
    "random_forest": RandomForestClassifier(5, random_state=3),
    "extra_trees": ExtraTreesClassifier(5, random_state=3),
    "adaboost": AdaBoostClassifier(n_estimators=5, random_state=3),
    "gradient_boosting": HistGradientBoostingClassifier(max_iter=5, early_stopping=False, random_state=3),
    "lightgbm": LGBMClassifier(n_estimators=5, force_col_wise=True, deterministic=True, verbosity=-1, random_state=3),
    "xgboost": XGBClassifier(n_estimators=5, random_state=3),
    "svm": CalibratedClassifierCV(SVC(gamma=GAMMA, random_state=3), cv=FOLDS, ensemble=False),
}


WEIGHTED = [(n, w) for n in SAME for w in (False, True) if model(n).weighted or not w]


@pytest.mark.parametrize(("name", "weighted"), WEIGHTED)
def test_a_wrapped_model_is_the_librarys(name, weighted):
    x, y = table()
    fresh = table(1)[0]
    codes = np.searchsorted(np.unique(y), y)
    weights = np.random.default_rng(5).random(len(y)) + 0.1 if weighted else None
    ours = model(name).fit(x, y, 3, weights)
    given = {} if weights is None else {"sample_weight": weights}
    theirs = SAME[name].fit(x, codes, **given)
    assert ours.classes_.tolist() == [0, 2, 5]
    assert np.allclose(ours.predict_proba(fresh), theirs.predict_proba(fresh), rtol=1e-9, atol=1e-9)


def test_a_balanced_forests_trees_see_each_class_equally_often():
    x, y = table(rows=200)
    forest = model("balanced_random_forest").fit(x, y, 0)
    for tree in forest.estimators_:
        values = tree.tree_.value[0, 0] * tree.tree_.weighted_n_node_samples[0]
        assert np.allclose(values, np.bincount(y)[[0, 2, 5]].min())


# The contract ------------------------------------------------------------------------------------------------


@each
def test_a_model_says_what_a_search_tries_its_own_options_first(name):
    points = registry.method("models", name).search
    assert 8 <= len(points) <= 10
    assert points[0] == {}
    assert all(points.count(p) == 1 for p in points)
    x, y = table(rows=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        for point in points:
            assert model(name, **small(point)).fit(x, y, 0).predict_proba(x[:2]).shape == (2, 3)


@each
def test_a_model_gives_probabilities_of_the_classes_that_occur_and_leaves_its_data_alone(name):
    for classes in ((0, 2, 5), (1, 0), (4, 9)):
        x, y = table(classes=sorted(classes))
        kept = x.copy(), y.copy()
        fitted = model(name).fit(x, y, 0)
        assert fitted.classes_.tolist() == sorted(classes)
        probability = fitted.predict_proba(x)
        assert probability.shape == (len(x), len(classes))
        assert np.allclose(probability.sum(1), 1, atol=1e-6)
        assert (probability >= 0).all()
        assert np.array_equal(probability, model(name).fit(x, y, 0).predict_proba(x))
        assert np.array_equal(x, kept[0])
        assert np.array_equal(y, kept[1])


@pytest.mark.parametrize("name", [n for n in CLASSICAL if model(n).weighted])
def test_weights_of_rows_act_where_they_are_taken(name):
    random = np.random.default_rng(0)
    x = random.integers(0, 3, (120, 2)).astype(float)  # rows that tie, so that leaves are mixed
    y = (random.random(120) < 0.25).astype(np.int64)
    heavy = np.where(y == 1, 30.0, 1.0)
    options = {"base": {"name": "decision_tree", "max_depth": 2}} if name in ENSEMBLES else {}
    plain, weighted = (model(name, **options).fit(x, y, 0, w).predict_proba(x)[:, 1] for w in (None, heavy))
    again = model(name, **options).fit(x, y, 0, np.ones(len(y))).predict_proba(x)[:, 1]
    assert not np.allclose(weighted, plain)
    if name != "random_forest":  # the library draws its bootstrap by the weights, from other numbers
        assert np.allclose(again, plain, atol=1e-6)


@each
def test_missing_values_are_taken_where_the_model_says_so(name):
    x, y = table()
    x[::5, 1] = np.nan
    if model(name).missing:
        assert np.isfinite(model(name).fit(x, y, 0).predict_proba(x)).all()
    else:
        with pytest.raises(ValueError, match=r"NaN|gamma"):
            model(name).fit(x, y, 0)


@each
def test_rows_of_one_class_are_a_certainty_or_one_line(name):
    x, y = np.arange(12.0).reshape(6, 2), np.full(6, 3)
    if name in ALONE:
        assert model(name).fit(x, y, 0).predict_proba(x[:2]).tolist() == [[1.0], [1.0]]
    else:
        with pytest.raises(ImpossibleCell, match=rf"^{name} needs rows of two classes, got only class 3$"):
            model(name).fit(x, y, 0)


@each
def test_a_class_with_one_row_is_learned_or_one_line(name):
    x, y = table(rows=40, classes=(0, 1))
    y[:] = 0
    y[7] = 4
    if name == "svm":
        with pytest.raises(ImpossibleCell, match=r"^svm needs 2 rows of each class, got 1 of class 4$"):
            model(name).fit(x, y, 0)
        return
    for options in variants(name):
        probability = model(name, **options).fit(x, y, 0).predict_proba(x)
        assert probability.shape == (40, 2)
        assert np.isfinite(probability).all()


@pytest.mark.parametrize("name", ["knn", "gaussian_nb", "svm", "logistic_regression", "decision_tree"])
def test_constant_columns_and_few_rows_do_no_harm(name):
    x, y = np.ones((4, 3)), np.array([0, 1, 0, 1])
    assert np.allclose(model(name).fit(x, y, 0).predict_proba(x), 0.5, atol=0.2)


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_names_a_base_that_it_cannot_use(name):
    x, y = table(classes=(0, 1))
    with pytest.raises(UserError, match=rf"^{name}: base 'mlp' is a network; name a classical model such as"):
        model(name, base={"name": "mlp"}).fit(x, y, 0)
    with pytest.raises(UserError, match=rf"^{name} weighs rows, which base 'knn' cannot; name another such as"):
        model(name, base={"name": "knn"}).fit(x, y, 0, np.ones(len(y)))
    assert not registry.build("models", {"name": name, "base": {"name": "knn"}}).missing
