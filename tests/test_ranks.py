"""Ranks of classical models: log-probabilities that do not saturate, and what a library raises on some data.

.venv/bin/python -m pytest -n 0 tests/test_ranks.py
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from counterpoise import errors, records, registry
from counterpoise.data.inputs import Inputs
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.exporting.exported import Model, threshold_of
from counterpoise.methods.models._boosting import Vote
from counterpoise.methods.models._ordinal import Ordinal
from counterpoise.registry import build
from counterpoise.scoring.evidence import log_odds
from counterpoise.scoring.log_probabilities import SMALLEST, log_probability
from counterpoise.training import classical as fitting
from tests.test_tables_core import recipe
from tests.test_tables_core import table as tabled

CLASSICAL = [
    n
    for n in registry.names("models")
    if getattr(registry.method("models", n), "classical", False)
    and not hasattr(registry.method("models", n), "regressor")
]


def model(name, **options):
    few = {"n_estimators": 5} if "n_estimators" in registry.options("models", name) else {}
    return build("models", {"name": name, **few, **options})


def table(seed=0, classes=2, rows=120):
    random = np.random.default_rng(seed)
    y_N = random.integers(classes, size=rows) ** 2 % classes if classes == 2 else np.arange(rows) % classes
    return random.normal(size=(rows, 4)) + y_N[:, None] * 0.7, y_N


def odds(logits_NC, c=1):
    """What predictions keep, and metrics make of it."""
    return log_odds(torch.from_numpy(logits_NC.astype(np.float32)).double())[:, c].numpy()


def ranked(fitted, x_ND, c=1):
    return odds(fitting.logits_of(fitted, x_ND, len(fitted.classes_), SMALLEST), c)


def test_naive_bayes_on_digits_ranks_as_its_own_log_probabilities_do():
    x_ND, digit_N = load_digits(return_X_y=True)
    found = []
    for seed in range(5):
        halves = train_test_split(x_ND, digit_N == 8, test_size=0.5, stratify=digit_N == 8, random_state=seed)
        train, test, train_y, test_y = halves
        spread = np.where(train.std(0) > 0, train.std(0), 1)
        fitted = model("gaussian_nb").fit((train - train.mean(0)) / spread, train_y.astype(int), 0)
        odds_N = ranked(fitted, (test - train.mean(0)) / spread)
        found.append([average_precision_score(test_y, odds_N), roc_auc_score(test_y, odds_N)])
    assert np.mean(found, axis=0) == pytest.approx([0.696, 0.924], abs=0.05)  # halves differ; clipped: .17 and .75


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("classes", [2, 3])
def test_log_probabilities_are_the_logarithms_of_probabilities(name, classes):
    x_ND, y_N = table(classes=classes)
    fitted = model(name).fit(x_ND, y_N, 0)
    fresh = table(1, classes)[0]
    probability_NC, log_NC = fitted.predict_proba(fresh), log_probability(fitted, fresh)
    sure = probability_NC > 1e-9
    assert np.allclose(log_NC[sure], np.log(probability_NC[sure]), atol=2e-6)
    assert (np.exp(log_NC[~sure]) < 2e-9).all()


MARGINS = {
    "logistic_regression": lambda e, x: e.decision_function(x),
    "gradient_boosting": lambda e, x: e.decision_function(x),
    "lightgbm": lambda e, x: e.predict(x, raw_score=True),
    "xgboost": lambda e, x: e.estimator.predict(x, output_margin=True),
    "svm": lambda e, x: e.calibrated_classifiers_[0].estimator.decision_function(x),
    "gaussian_nb": lambda e, x: np.diff(e._joint_log_likelihood(x))[:, 0],
    "local_outlier_factor": lambda e, x: np.log(-e.estimator.score_samples(x)),
}


@pytest.mark.parametrize("name", MARGINS)
def test_rows_are_ranked_as_the_librarys_margin_ranks_them(name):
    random = np.random.default_rng(0)
    y_N = (np.arange(400) % 4 == 0).astype(int)
    x_ND = random.normal(size=(400, 2)) * 0.1 + y_N[:, None] * np.array([3.0, -2.0])
    long = {"learning_rate": 1.0, "n_estimators": 60} if "learning_rate" in registry.options("models", name) else {}
    fitted = build("models", {"name": name, **long}).fit(x_ND, y_N, 0)
    fresh = random.normal(size=(300, 2)) * (2.0 if name == "svm" else 30.0)
    margin_N, odds_N = MARGINS[name](fitted, fresh).astype(float), ranked(fitted, fresh)
    if name == "local_outlier_factor":
        assert abs(odds_N).max() > 37  # a probability would have been 1
    order_N = margin_N.argsort(kind="stable")
    assert (np.diff(odds_N[order_N]) >= -1e-6 * abs(odds_N).max()).all()
    assert len(np.unique(odds_N)) > 0.9 * len(np.unique(margin_N.astype(np.float32)))


def test_a_bag_of_saturated_members_has_the_log_of_the_mean_probability():
    x_ND, y_N = table()
    fitted = model("bagging", base={"name": "gaussian_nb"}).fit(x_ND * 30, y_N, 0)
    fresh = table(2)[0] * 3000
    logs = np.stack([e.predict_log_proba(fresh) for e in fitted.estimators_])
    assert np.allclose(log_probability(fitted, fresh), logsumexp(logs, axis=0) - np.log(5), rtol=1e-9)
    agreed_N = np.ptp(logs.argmax(2), axis=0) == 0  # where members disagree, the mean is a whole number of fifths
    assert len(np.unique(ranked(fitted, fresh)[agreed_N])) == agreed_N.sum() > 30


def test_ordered_classes_far_out_are_told_apart():
    held = Ordinal(np.arange(3), np.zeros(1), np.ones(1), np.array([-1.0, 1.0]), np.full((2, 1), 1.0))
    far = np.array([[-900.0], [-60.0], [50.0], [700.0]])
    found = log_probability(held, far)
    last = -(far[:, 0] + 1)  # log-odds of the last class against the others
    assert odds(found, 2) == pytest.approx(last, rel=1e-6)
    assert found[:, 1] == pytest.approx(-abs(far[:, 0]) + 1 + np.log1p(-np.exp(-2)), abs=1e-6)


def test_a_true_zero_and_a_class_never_seen_stand_at_the_floor():
    x_ND, y_N = table()
    logits_NC = fitting.logits_of(model("decision_tree").fit(x_ND, y_N, 0), x_ND, 3, SMALLEST)
    assert np.unique(logits_NC).tolist() == pytest.approx([np.log(SMALLEST), 0])
    assert (logits_NC[:, 2] == np.float32(np.log(SMALLEST))).all()


def test_the_search_ranks_several_classes_by_their_odds():
    y_N = np.array([0, 0, 1, 2])
    logits_NC = np.array([[0, -60, -90], [0, -50, -90], [0, -70, -90], [-90, -90, 0]], np.float32)
    inputs = SimpleNamespace(train=(np.arange(4), y_N), counts=torch.tensor([2, 1, 1]))
    # by odds class 0 has the rows 2, 0, 1, by its log-probability it has three equal rows; class 1 has 1, 0, 2
    expected = np.mean([(1 / 2 + 2 / 3) / 2, 1 / 3, 1])
    assert fitting.score("average_precision", logits_NC, np.zeros_like(logits_NC), inputs) == pytest.approx(expected)


# What is raised -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["adaboost", "easy_ensemble"])
def test_boosting_on_rows_without_signal_gives_no_vote(name):
    x_ND, y_N = np.zeros((8, 2)), np.arange(8) % 2  # an error of exactly a half
    assert model(name).fit(x_ND, y_N, 0).predict_proba(x_ND[:3]) == pytest.approx(np.full((3, 2), 0.5))


def test_boosting_where_one_subset_has_no_signal_takes_the_others():
    x_ND = np.repeat([0.0, 0.0, 1.0], [4, 16, 4])[:, None]
    y_N = np.repeat([1, 0], [4, 20])
    fitted = model("easy_ensemble", n_estimators=12).fit(x_ND, y_N, 0)
    without = [isinstance(e, Vote) for e in fitted.estimators_]  # four of either class, all alike
    assert 0 < sum(without) < 12
    assert ranked(fitted, np.array([[0.0], [1.0]]))[0] > 0 > ranked(fitted, np.array([[0.0], [1.0]]))[1]


class Raises:
    weighted = missing = False
    classical = True

    def __init__(self, reason):
        self.reason = reason

    def fit(self, x_ND, y_N, seed):
        raise self.reason


@pytest.mark.parametrize(
    "reason",
    [ValueError("more\nthan one line"), np.linalg.LinAlgError("singular"), RuntimeError("no"), ZeroDivisionError("0")],
)
def test_what_a_library_raises_is_a_result_with_its_reason(reason, capsys):
    with pytest.raises(ImpossibleCell) as found, errors.recorded("model odd"):
        Raises(reason).fit(None, None, 0)
    assert str(found.value) == f"model odd: {type(reason).__name__}: {' '.join(str(reason).split())}"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "reason",
    [MemoryError(), OSError(28, "full"), KeyboardInterrupt(), RuntimeError("std::bad_alloc"), UserError("wrong"),
     NameError("x")],
)  # fmt: skip
def test_failures_of_the_machine_and_of_the_code_pass(reason):
    with pytest.raises(type(reason)) as found, errors.recorded("model odd"):
        Raises(reason).fit(None, None, 0)
    assert found.value is reason


@pytest.mark.parametrize(
    ("kind", "name", "method"), [("models", "gaussian_nb", "fit"), ("samplers", "smote", "resample")]
)
def test_a_cell_whose_library_raises_is_recorded_as_failed(kind, name, method, tmp_path, monkeypatch):
    data, sample, _ = tabled(tmp_path, seeds=1)

    def broken(*_):
        raise np.linalg.LinAlgError("SVD did not\nconverge")

    monkeypatch.setattr(registry.method(kind, name), method, broken)
    cfg = recipe(model={"name": "gaussian_nb"}, sample={"name": "smote"}, preprocessing={"name": "typed_columns"})
    with records.job(tmp_path / "out", {"seeds": [0]}, {}):
        fitting.fit(cfg, Inputs(cfg, data, sample, 0))
    run = records.read_json(tmp_path / "out" / "run.json")
    assert run["status"] == "failed"
    assert run["error"] == f"{kind[:-1]} {name}: LinAlgError: SVD did not converge"


def test_what_an_exported_model_cannot_take_is_one_line(tmp_path):
    x_ND, y_N = table()
    held = SimpleNamespace(
        transform=lambda x: x,
        is_network=False,
        estimator=model("gaussian_nb").fit(x_ND, y_N, 0),
        classes=["a", "b"],
        about={"floor": SMALLEST},
    )
    with pytest.raises(UserError, match="prediction of GaussianNB: ValueError: Input X contains NaN"):
        Model.logits(held, np.full((2, 4), np.nan))


def test_a_threshold_beyond_the_floor_is_found():
    logits = torch.tensor([[0, -500.0], [0, -300.0], [0, -90.0], [0, -80.0]], dtype=torch.float64)
    about = {"rebalancing": {"name": "tuned_threshold"}}
    evidence = {"unique": torch.tensor([3, 2]), "seen": torch.tensor([3, 2])}
    evidence |= {"val_logits": logits, "val_labels": torch.tensor([0, 0, 1, 1])}
    assert np.log(threshold_of(about, evidence, 1)) == pytest.approx(-195, abs=1e-9)
