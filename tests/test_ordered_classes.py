"""Models of ordered classes: against plain optimisers and scikit-learn, and where boundaries cross.

.venv/bin/python -m pytest -n 0 tests/test_ordered_classes.py
"""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from counterpoise.methods.models._ordinal import Ordinal, Problem, Strict
from counterpoise.registry import build


def funnel(rows=600, draw=0, **options):
    x, y, *tests = build("datasets", {"name": "funnel", "rows": rows, "draw": draw, **options}).read(None)
    return x.astype(float), y, tests


def fit(name, x, y, weights=None, **options):
    return build("models", {"name": name, **options}).fit(x, y, 0, weights)


def standardised(x, weights):
    mean = np.average(x, axis=0, weights=weights)
    return (x - mean) / np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))


def loss(x, y, weights, alpha, beta):
    """The negative log-likelihood of McCullagh's model in a plain loop."""
    total = 0.0
    for row, label, weight in zip(x, y, weights, strict=True):
        below = [0.0, *(1 / (1 + np.exp(-(a + row @ b))) for a, b in zip(alpha, beta, strict=True)), 1.0]
        total -= weight * np.log(max(below[label + 1] - below[label], 1e-300))
    return total / sum(weights)


def penalised(x, y, weights, alpha, beta, penalty):
    changes = abs(beta[0]).sum() + sum(abs(b - a).sum() for a, b in pairwise(beta))
    return loss(x, y, weights, alpha, beta) + penalty * changes


@pytest.mark.parametrize("penalty", [0.02, 0.004])
@pytest.mark.parametrize("weighted", [False, True])
def test_presto_is_the_least_of_the_objective_that_the_paper_states(penalty, weighted):
    x, y, _ = funnel(300, width=3)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
    model = fit("presto", x, y, weights if weighted else None, penalty=penalty)
    z = standardised(x, weights)
    own = penalised(z, y, weights, model.alpha_B, model.beta_BD, penalty)
    width = z.shape[1]

    def split(v):  # positive and negative parts make the penalty smooth
        changes = (v[3 : 3 + 3 * width] - v[3 + 3 * width :]).reshape(3, width)
        return v[:3], np.cumsum(changes, axis=0)

    def objective(v):
        return loss(z, y, weights, *split(v)) + penalty * v[3:].sum()

    changes = np.diff(model.beta_BD, axis=0, prepend=0).ravel()
    start = np.concatenate([model.alpha_B, changes.clip(0), (-changes).clip(0)])
    assert objective(start) == pytest.approx(own, abs=1e-12)
    bounds = [(None, None)] * 3 + [(0, None)] * (6 * width)
    from_here = minimize(objective, start, bounds=bounds, method="L-BFGS-B")
    assert own - from_here.fun < 1e-7
    random = np.random.default_rng(1)
    for _ in range(200):  # of a convex function nothing near a least value is less
        beta = np.cumsum(changes.reshape(3, width) + random.normal(0, 0.01, (3, width)), axis=0)
        assert penalised(z, y, weights, model.alpha_B + random.normal(0, 0.01, 3), beta, penalty) > own


def test_of_two_classes_presto_is_the_lasso():
    x, y, _ = funnel(400)
    y = (y > 0).astype(int)
    model, z = fit("presto", x, y, penalty=0.01), standardised(x, np.ones(len(y)))
    lasso = LogisticRegression(C=1 / (len(y) * 0.01), l1_ratio=1.0, solver="saga", tol=1e-8, max_iter=50_000)
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], lasso.fit(z, y).predict_proba(z)[:, 1], atol=1e-5)
    assert (model.beta_BD == 0).any()


def test_proportional_odds_against_a_plain_optimiser():
    x, y, _ = funnel(300, width=3)
    model, z, ones = fit("proportional_odds", x, y), standardised(x, np.ones(len(y))), np.ones(len(y))

    def objective(v):
        return loss(z, y, ones, np.cumsum([v[0], *np.exp(v[1:3])]), [v[3:]] * 3)

    found = minimize(objective, [0, 1, 1, 0, 0, 0], method="BFGS")
    np.testing.assert_allclose(model.alpha_B, np.cumsum([found.x[0], *np.exp(found.x[1:3])]), atol=1e-3)
    np.testing.assert_allclose(model.beta_BD, [found.x[3:]] * 3, atol=1e-3)
    assert loss(z, y, ones, model.alpha_B, model.beta_BD) <= found.fun + 1e-9


def test_each_boundary_alone_is_a_logistic_regression():
    x, y, _ = funnel(800, width=4)
    chances = fit("boundary_logistic", x, y).predict_proba(x)
    whole = (chances > 0).all(1)  # where no boundaries cross
    assert whole.mean() > 0.5
    for boundary in (1, 2, 3):
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(x, y >= boundary)
        expected = theirs.predict_proba(x)[whole, 1]
        np.testing.assert_allclose(chances[whole, boundary:].sum(1), expected, atol=1e-4)


def test_a_great_penalty_leaves_the_shares_and_the_order_of_classes_is_kept():
    x, y, _ = funnel(300)
    shares = np.bincount(y) / len(y)
    np.testing.assert_allclose(fit("presto", x, y, penalty=10.0).predict_proba(x), np.tile(shares, (300, 1)), atol=1e-6)
    model = fit("presto", x, np.array([2, 5, 6, 9])[y])
    assert model.classes_.tolist() == [2, 5, 6, 9]


def test_the_penalty_of_a_fold_search_finds_what_changes():
    # Few columns matter and none of them changes: weights are as good as those of proportional odds
    x, y, (tests, test_y) = funnel(1500, changing=0.4)
    x2 = np.column_stack([x, np.random.default_rng(0).uniform(-1, 1, (len(x), 10))])
    tests2 = np.column_stack([tests, np.random.default_rng(1).uniform(-1, 1, (len(tests), 10))])
    scores = {}
    for name in ("presto", "boundary_logistic"):
        chances = fit(name, x2, y).predict_proba(tests2)
        scores[name] = -np.log(chances[np.arange(len(test_y)), test_y].clip(1e-9)).mean()
    assert scores["presto"] < scores["boundary_logistic"]


def test_where_boundaries_cross_the_class_between_has_none():
    model = Ordinal(np.arange(3), np.zeros(1), np.ones(1), np.array([0.0, 1.0]), np.array([[1.0], [0.0]]))
    chances = model.predict_proba(np.array([[0.0], [5.0]]))
    np.testing.assert_allclose(chances[0], [0.5, expit(1) - 0.5, 1 - expit(1)])
    rest = np.array([expit(5), 1 - expit(1)])
    np.testing.assert_allclose(chances[1], [rest[0] / rest.sum(), 0, rest[1] / rest.sum()])


def test_a_lone_row_of_a_class_is_never_held_out():
    x, y, _ = funnel(200)
    y = np.where(y == 3, 2, y)
    y[7] = 3
    chances = fit("presto", x, y, points=3).predict_proba(x)
    assert np.isfinite(chances).all()
    assert chances[:, 3].mean() < 0.05


def test_the_funnel_narrows():
    x, _, (tests, test_y) = funnel(2500)
    counts = np.bincount(test_y, minlength=4)
    assert (np.diff(counts[1:]) < 0).all()
    assert 0.001 < counts[3] / len(test_y) < 0.02
    rarer = funnel(2500, rarity=1.0)[2][1]
    assert (rarer == 3).mean() < counts[3] / len(test_y)
    assert tests.shape == (10_000, 10)
    assert np.abs(x).max() <= 1


def test_the_expected_information_is_the_mean_of_the_observed_over_the_classes():
    x, y, _ = funnel(60, width=3)
    strict = Strict(x, y, None, np.tri(3))
    theta = strict.start() + np.random.default_rng(0).normal(0, 0.05, 12)
    shares = strict._shares(theta)[1]
    total = 0.0
    for row in range(60):
        for label in range(4):
            one = Problem(x, y, None, np.tri(3))
            one.code_N, one.weights_N = np.full(60, label), (np.arange(60) == row) / 60
            total = total + shares[row, label] * one.slope(theta)[1]
    np.testing.assert_allclose(strict.slope(theta)[1], total, atol=1e-12)
    np.testing.assert_allclose(strict.slope(theta)[0], Problem(x, y, None, np.tri(3)).slope(theta)[0], atol=1e-12)


def test_paper_and_code_agree_until_boundaries_cross_and_then_the_code_halts():
    x, y, _ = funnel(800, width=6)
    z, ones = standardised(x, np.ones(800)), np.ones(800)

    def both(penalty):
        models = [fit("presto", x, y, penalty=penalty, variant=v) for v in ("paper", "official_code")]
        crossing = [(np.diff(z @ m.beta_BD.T + m.alpha_B, axis=1) < 0).any() for m in models]
        return models, crossing, [penalised(z, y, ones, m.alpha_B, m.beta_BD, penalty) for m in models]

    (paper, code), crossing, _ = both(0.007)
    assert crossing == [False, False]
    np.testing.assert_allclose(paper.beta_BD, code.beta_BD, atol=2e-3)
    _, crossing, values = both(0.0005)
    assert crossing == [True, False]
    assert values[0] < values[1]
