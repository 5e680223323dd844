"""Ensembles for imbalanced tables: updates by hand, bins and shares, and the rows that each member really saw.

.venv/bin/python -m pytest -n 0 tests/test_table_ensembles.py
"""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import AdaBoostClassifier
from sklearn.tree import DecisionTreeClassifier

from counterpoise import registry
from counterpoise.methods.models import (
    _boosting,
    _costs,
    _ensemble,
    _subsets,
    _synthetic,
    adacost,
    balance_cascade,
    over_boost,
    rus_boost,
    self_paced_ensemble,
    smote_boost,
)
from counterpoise.registry import build

ENSEMBLES = [n for n in registry.names("models") if "base" in registry.options("models", n)]
COUNTS = (60, 20, 7)
STUMP = {"name": "decision_tree", "max_depth": 1}


def table(counts=COUNTS, seed=0):
    random = np.random.default_rng(seed)
    y_N = random.permutation(np.repeat(np.arange(len(counts)), counts))
    return random.normal(size=(len(y_N), 3)) + y_N[:, None], y_N


def fitted(name, seed=0, counts=COUNTS, weights=None, **options):
    return build("models", {"name": name, "n_estimators": 12, **options}).fit(*table(counts), seed, weights)


# Rows that members see ---------------------------------------------------------------------------------------

LEVEL_LOW, LEVEL_HIGH = [7, 7, 7], [60, 60, 60]
SEEN = {
    ("under_bagging", "paper"): LEVEL_LOW,
    ("over_bagging", "paper"): LEVEL_HIGH,
    ("smote_bagging", "paper"): LEVEL_HIGH,
    ("easy_ensemble", "paper"): LEVEL_LOW,
    ("balance_cascade", "paper"): LEVEL_LOW,
    ("balance_cascade", "first_release"): LEVEL_LOW,
    ("balance_cascade", "official_code"): LEVEL_LOW,
    ("self_paced_ensemble", "official_code"): LEVEL_LOW,
    ("rus_boost", "paper"): LEVEL_LOW,
    ("rus_boost", "first_release"): LEVEL_LOW,
    ("rus_boost", "official_code"): LEVEL_LOW,
    ("smote_boost", "paper"): LEVEL_HIGH,
    ("smote_boost", "official_code"): LEVEL_HIGH,
    ("over_boost", "paper"): LEVEL_HIGH,
    ("over_boost", "official_code"): LEVEL_HIGH,
    ("adacost", "official_code"): [60, 20, 7],
    ("asymboost", "paper"): [60, 20, 7],
}


@pytest.mark.parametrize(("name", "variant"), SEEN)
def test_members_see_as_many_rows_of_each_class_as_is_said(name, variant):
    seen_TC = fitted(name, variant=variant).seen_TC
    assert len(seen_TC) == (11 if (name, variant) == ("balance_cascade", "first_release") else 12)
    assert (seen_TC == SEEN[name, variant]).all()


@pytest.mark.parametrize("name", ["under_bagging", "over_bagging", "easy_ensemble", "smote_bagging"])
def test_the_official_code_of_bagging_levels_a_bootstrap_sample(name):
    seen_TC = fitted(name, variant="official_code").seen_TC
    assert (seen_TC == seen_TC[:, :1]).all(), "level"
    assert len(set(seen_TC[:, 0])) > 1, "another size in each sample"


def test_bagging_sees_bootstrap_samples():
    seen_TC = fitted("bagging").seen_TC
    assert (seen_TC.sum(1) == sum(COUNTS)).all()
    assert abs(seen_TC.mean(0) - COUNTS).max() < 6


@pytest.mark.parametrize("variant", ["paper", "first_release"])
def test_a_self_paced_ensemble_sees_all_of_the_smallest_class_and_about_as_many_of_others(variant):
    seen_TC = fitted("self_paced_ensemble", variant=variant, bins=3).seen_TC
    assert (seen_TC[:, 2] == 7).all()
    assert (seen_TC[:, :2] >= 1).all()
    assert (seen_TC[:, :2] <= (7 if variant == "paper" else 10)).all()
    assert len(seen_TC) == 12 + (variant == "paper"), "the first member of the paper has no vote"


def test_positions_are_of_the_classes_that_they_are_for():
    codes_N = np.array([1, 0, 0, 1, 0, 2, 0, 0])
    groups = _subsets.by_class(codes_N)
    assert [g.tolist() for g in groups] == [[1, 2, 4, 6, 7], [0, 3], [5]]
    random = np.random.default_rng(0)
    assert np.bincount(codes_N[_subsets.undersampled(groups, random)]).tolist() == [1, 1, 1]
    over_M = _subsets.oversampled(groups, random)
    assert np.bincount(codes_N[over_M]).tolist() == [5, 5, 5]
    assert set(over_M) == set(range(8)), "copies come on top of all rows"
    assert np.bincount(codes_N[_subsets.level_bootstrapped(groups, random)]).tolist() == [5, 5, 5]
    pair_N = np.array([0] * 30 + [1])
    assert all(1 in pair_N[_subsets.bootstrapped(pair_N, random)] for _ in range(40)), "drawn again until both occur"


def test_every_row_of_a_class_is_drawn_equally_often():
    groups = [np.arange(6), np.arange(6, 8)]
    random = np.random.default_rng(3)
    drawn = np.concatenate([_subsets.undersampled(groups, random) for _ in range(3000)])
    assert abs(np.bincount(drawn)[:6] / 1000 - 1).max() < 0.12
    assert np.bincount(drawn)[6:].tolist() == [3000, 3000]


# Synthetic rows ----------------------------------------------------------------------------------------------


def test_synthetic_rows_lie_between_a_row_and_one_of_its_neighbours():
    x_KD = np.array([[0.0, 0.0], [1.0, 0.0], [10.0, 0.0], [11.0, 0.0]])
    near_KJ = _synthetic.neighbours(x_KD, 1)
    assert near_KJ.ravel().tolist() == [1, 0, 3, 2]
    new_MD = _synthetic.between(x_KD, near_KJ, 500, np.random.default_rng(0))
    assert (new_MD[:, 1] == 0).all()
    at_M = new_MD[:, 0]
    assert (((at_M >= 0) & (at_M <= 1)) | ((at_M >= 10) & (at_M <= 11))).all()
    assert abs(np.mean(at_M < 5) - 0.5) < 0.1
    assert abs(np.mean(at_M[at_M < 5]) - 0.5) < 0.05
    alone_MD = _synthetic.between(x_KD[:1], _synthetic.neighbours(x_KD[:1], 5), 3, np.random.default_rng(0))
    assert (alone_MD == 0).all()
    assert _synthetic.neighbours(x_KD[:3], 5).shape == (3, 2)


def test_smote_boost_adds_synthetic_rows_of_the_mean_weight_anew_in_each_round():
    x_ND, y_N = table((12, 4))
    draw = smote_boost.enlarged(x_ND, y_N, np.array([0, 1]), None, 5)
    random, weights_N = np.random.default_rng(0), np.arange(16.0)
    first, second = draw(weights_N, random), draw(weights_N, random)
    assert np.array_equal(first[0][:16], x_ND)
    assert first[1].tolist() == [*y_N, *[1] * 8]
    assert first[2].tolist() == [*weights_N, *[7.5] * 8]
    assert not np.array_equal(first[0][16:], second[0][16:])
    low, high = x_ND[y_N == 1].min(0), x_ND[y_N == 1].max(0)
    assert ((first[0][16:] >= low) & (first[0][16:] <= high)).all()
    assert len(smote_boost.enlarged(x_ND, y_N, np.array([0, 1]), 0.5, 5)(weights_N, random)[1]) == 18


def test_copies_of_over_boost_have_the_mean_weight_and_rows_of_rus_boost_their_own():
    x_ND, y_N = table((12, 4))
    weights_N = np.arange(16.0)
    x_MD, y_M, weights_M = over_boost.copied(x_ND, y_N, np.array([0, 1]))(weights_N, np.random.default_rng(0))
    assert np.bincount(y_M).tolist() == [12, 12]
    assert_allclose(weights_M.sum(), weights_N.sum() + 8 * 7.5)
    draw = rus_boost.reduced(x_ND, y_N, np.array([0, 1]), replacement=False)
    x_MD, y_M, weights_M = draw(weights_N, np.random.default_rng(0))
    assert np.bincount(y_M).tolist() == [4, 4]
    assert all(np.array_equal(x_ND[int(w)], x) for x, w in zip(x_MD, weights_M, strict=True))


def test_smote_bagging_has_a_growing_share_of_copies():
    x_ND, y_N = table((40, 10))
    random = np.random.default_rng(0)
    method = build("models", {"name": "smote_bagging", "n_estimators": 11})
    old = {tuple(row) for row in x_ND}
    copies = [
        sum(tuple(row) in old for row in x_MD[y_M == 1])
        for x_MD, y_M, _ in method.subsets((x_ND, y_N, None), y_N, random)
    ]
    assert copies == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 4]


# Boosting by hand --------------------------------------------------------------------------------------------


def test_the_update_of_samme_by_hand():
    weights_N, codes_N, given_N = np.array([0.2, 0.2, 0.3, 0.3]), np.array([0, 1, 2, 0]), np.array([0, 1, 1, 0])
    inside_CC = np.arange(1.0, 10).reshape(3, 3)
    outside_CC = inside_CC / 10
    next_N, vote, error = _boosting.reweighted(weights_N, codes_N, given_N, inside_CC, outside_CC)
    assert_allclose(error, 0.3)
    assert_allclose(vote, math.log(0.7 / 0.3) + math.log(2))
    by_hand = np.array([0.2 * 0.1, 0.2 * 0.5, 0.3 * math.exp(vote * 6) * 0.6, 0.3 * 0.1])
    assert_allclose(next_N, by_hand / by_hand.sum(), rtol=1e-12)
    next_N, vote, error = _boosting.reweighted(2 * weights_N, codes_N, codes_N, inside_CC, outside_CC)
    assert_allclose(next_N, weights_N)
    assert (vote, error) == (1.0, 0.0)
    assert math.isfinite(_boosting.reweighted(weights_N, codes_N, (codes_N + 1) % 3, inside_CC, outside_CC)[1])


def test_boosting_without_costs_is_the_librarys_adaboost():
    x_ND, y_N = table()
    theirs = AdaBoostClassifier(DecisionTreeClassifier(max_depth=1, random_state=0), n_estimators=12).fit(x_ND, y_N)
    for name, options in (
        ("adacost", {"cost": "uniform", "variant": "official_code"}),
        ("adauboost", {"beta": "uniform"}),
        ("asymboost", {"cost": "uniform"}),
        ("asymboost", {"cost": "uniform", "variant": "official_code"}),
    ):
        ours = fitted(name, **options)
        assert_allclose(ours.estimator_weights_, theirs.estimator_weights_, rtol=1e-9)
        assert_allclose(ours.predict_proba(x_ND), theirs.predict_proba(x_ND), rtol=1e-9)


def test_costs_by_hand():
    counts_C = np.array([8, 2])
    assert _costs.matrix(counts_C, "inverse").tolist() == [[1, 4], [0.25, 1]]
    assert_allclose(_costs.matrix(counts_C, "log1p_inverse"), np.log([[2, 5], [1.25, 2]]))
    assert _costs.matrix(counts_C, "uniform").tolist() == [[1, 1], [1, 1]]
    assert _costs.vector(counts_C, "inverse").tolist() == [1, 4]


class Spy:
    """A base that gives class 0 for x < 0.5, and keeps the weights that it was given."""

    def __init__(self, log):
        self.log = log

    def __call__(self, x_ND, y_N, seed, weights_N):
        self.log.append(weights_N / weights_N.sum())
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, x_ND):
        return np.eye(2)[(x_ND[:, 0] >= 0.5).astype(int)]


@pytest.mark.parametrize(
    ("name", "options", "starts", "factors"),
    [  # rows: right majority x 3, wrong majority, right minority, wrong minority
        ("adacost", {"variant": "official_code"}, [1, 1], lambda v: [1, 1, 1, math.exp(v / 2), 1, math.exp(2 * v)]),
        ("adauboost", {}, [1, 2], lambda v: [1, 1, 1, math.exp(v), 1, math.exp(v * 0.5**0.5)]),
        ("asymboost", {}, [1, 2**0.5], lambda v: [1, 1, 1, math.exp(v), 2**0.5, math.exp(v) * 2**0.5]),
        (
            "asymboost",
            {"variant": "official_code"},
            [1, 1],
            lambda v: [1, 1, 1, math.exp(v) * 2**-0.25, 1, math.exp(v) * 2**0.25],
        ),
        ("adacost", {"variant": "paper"}, [0.5, 1], None),
    ],
)
def test_two_rounds_of_boosting_by_hand(monkeypatch, name, options, starts, factors):
    x_ND, y_N, log = np.array([[0.0], [0], [0], [1], [1], [0]]), np.array([0, 0, 0, 0, 1, 1]), []
    for module in ("adacost", "adauboost", "asymboost"):
        monkeypatch.setattr(f"counterpoise.methods.models.{module}.learner", lambda *a, **k: Spy(log))
    build("models", {"name": name, "n_estimators": 2, **options}).fit(x_ND, y_N, 0)
    start_N = np.array(starts)[y_N]
    start_N = start_N / start_N.sum()
    assert_allclose(log[0], start_N, rtol=1e-12)
    error = start_N[3] + start_N[5]
    if factors is None:  # edge (1 - c) / 2 of right rows less (1 + c) / 2 of wrong ones, c = 1/2 and 1: -0.25
        assert len(log) == 1, "boosting ends at a round no better than chance"
        return
    second_N = start_N * factors(math.log((1 - error) / error))
    assert_allclose(log[1], second_N / second_N.sum(), rtol=1e-12)


def test_adacost_of_the_paper_by_hand_and_its_end():
    weights_N, right_N = np.array([0.5, 0.3, 0.2]), np.array([True, True, False])
    cost_N = np.array([0.2, 0.2, 1.0])
    next_N, vote = adacost.adjusted(weights_N, right_N, cost_N)
    edge = 0.5 * 0.4 + 0.3 * 0.4 - 0.2 * 1.0
    assert_allclose(vote, 0.5 * math.log((1 + edge) / (1 - edge)))
    by_hand = np.array([0.5 * math.exp(-vote * 0.4), 0.3 * math.exp(-vote * 0.4), 0.2 * math.exp(vote)])
    assert_allclose(next_N, by_hand / by_hand.sum(), rtol=1e-12)
    assert len(fitted("adacost", base={"name": "decision_tree"}).estimators_) == 1, "without error it is over"


def test_the_pseudo_loss_by_hand():
    weights_NC = np.array([[0.0, 0.1, 0.2], [0.3, 0.0, 0.4]])
    codes_N, p_NC = np.array([0, 1]), np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
    next_NC, vote, loss = _boosting.pseudo_loss(weights_NC, codes_N, p_NC)
    by_hand = 0.5 * (0.1 * (1 - 0.3) + 0.2 * (1 - 0.5) + 0.3 * (1 + 0.2) + 0.4 * (1 - 0.1))
    assert_allclose(loss, by_hand)
    beta = loss / (1 - loss)
    assert_allclose(vote, math.log(1 / beta))
    raised = np.array(
        [
            [0, 0.1 * beta ** (1.3 / 2), 0.2 * beta ** (1.5 / 2)],
            [0.3 * beta ** (0.8 / 2), 0, 0.4 * beta ** (1.1 / 2)],
        ]
    )
    assert_allclose(next_NC, raised / raised.sum(), rtol=1e-12)
    chance_NC, vote, loss = _boosting.pseudo_loss(weights_NC, codes_N, np.full((2, 3), 1 / 3))
    assert (vote, loss) == (0.0, 0.5)
    assert np.array_equal(chance_NC, weights_NC)
    given_NC, vote, _ = _boosting.pseudo_loss(weights_NC, codes_N, p_NC, math.exp(-1))
    assert_allclose(vote, 1)
    assert_allclose(given_NC[0, 1] / given_NC[0, 2], 0.1 * math.exp(-0.65) / (0.2 * math.exp(-0.75)))


def test_votes_and_means_by_hand():
    class Sure:
        def __init__(self, classes, probability):
            self.classes_, self.probability = np.array(classes), np.array([probability])

        def predict_proba(self, x_ND):
            return self.probability

    classes_C, one = np.array([0, 3, 4]), np.zeros((1, 2))
    members = [Sure([0, 3, 4], [0.2, 0.5, 0.3]), Sure([0, 4], [0.1, 0.9])]
    mean = _ensemble.Mean(members, classes_C, [[1, 1, 1]] * 2, [1.0, 3.0])
    assert_allclose(mean.predict_proba(one), [[0.125, 0.125, 0.75]])
    assert_allclose(_ensemble.Mean(members, classes_C, [], [0.0, 0.0]).predict_proba(one), [[0.15, 0.25, 0.6]])
    vote = _boosting.Vote(members, classes_C, [], [1.0, 3.0], [0, 0])
    mean_vote = np.array([-0.5 * 1 - 0.5 * 3, 1 - 0.5 * 3, 3 - 0.5 * 1]) / 4 / 2
    assert_allclose(vote.predict_proba(one), [np.exp(mean_vote) / np.exp(mean_vote).sum()])


# Self-paced ensemble and cascade -----------------------------------------------------------------------------


def test_hardness_and_pace_by_hand():
    own_N = np.array([1.0, 0.75, 0.0])
    hardness = self_paced_ensemble.hardness
    assert hardness(own_N, "absolute_error").tolist() == [0, 0.25, 1]
    assert hardness(own_N, "squared_error").tolist() == [0, 0.0625, 1]
    assert_allclose(hardness(own_N, "cross_entropy")[1], -math.log(0.75))
    assert np.isfinite(hardness(own_N, "cross_entropy")).all()
    swapped = -0.75 * math.log(1 - 1e-4) - 0.25 * math.log(1e-4)
    assert_allclose(hardness(own_N, "mesa")[1], swapped)
    assert_allclose(self_paced_ensemble.pace(3, 12, "paper"), math.tan(math.pi * 3 / 24))
    assert_allclose(self_paced_ensemble.pace(3, 12, "official_code"), math.tan(math.pi * 3 / 22))
    assert self_paced_ensemble.pace(11, 12, "first_release") > 1e15
    assert self_paced_ensemble.pace(12, 12, "paper") > 1e15


@pytest.mark.parametrize("variant", ["paper", "first_release", "official_code"])
def test_bins_are_those_of_a_histogram(variant):
    for seed in range(40):
        random = np.random.default_rng(seed)
        hard_N = [random.random(200), random.integers(0, 11, 200) / 10, random.beta(0.3, 3, 200)][seed % 3]
        bins = int(random.integers(1, 25))
        bin_N, rows_B, mean_B = self_paced_ensemble.binned(hard_N, bins, variant)
        counts_B, edges_B = np.histogram(hard_N, bins, (0, 1) if variant == "paper" else None)
        assert rows_B.tolist() == counts_B.tolist()
        assert (hard_N >= edges_B[bin_N]).all()
        assert ((hard_N < edges_B[bin_N + 1]) | (bin_N == bins - 1)).all()
        for b in np.flatnonzero(rows_B):
            assert_allclose(mean_B[b], hard_N[bin_N == b].mean())


def test_shares_of_bins_by_hand():
    rows_B, mean_B = np.array([100, 0, 3, 50]), np.array([0.1, 0.0, 0.5, 0.9])
    weight_B = 1 / (np.array([0.1, 0.5, 0.9]) + 0.1)
    share_B = 40 * weight_B / weight_B.sum()
    shares = self_paced_ensemble.shares
    paper_B = shares(rows_B, mean_B, 0.1, 40, "paper")
    assert_allclose(share_B, [26.0869565, 8.6956522, 5.2173913])
    assert paper_B.tolist() == [26, 0, 3, 5], "26, 9 and 5, but a bin of 3 has 3"
    assert shares(rows_B, mean_B, 0.1, 40, "first_release").tolist() == [27, 0, 3, 6]
    official_B = shares(rows_B, mean_B, 0.1, 40, "official_code")
    assert official_B.tolist() == [27, 0, 8, 5], "26, 8 and 5; the one that is left goes to the fullest bin"
    for variant in ("paper", "official_code"):  # with a great alpha all bins are equal
        given = shares(np.array([100, 100, 0, 100]), mean_B, 1e16, 30, variant)
        assert given.tolist() == [10, 10, 0, 10]
    assert shares(np.array([9, 0]), np.array([0.0, 0.0]), 0.0, 5, "paper").tolist() == [5, 0]
    assert shares(np.array([50, 50]), np.array([0.2, 0.9]), 0.3, 1, "paper").sum() == 1, "a small class gets its row"


@pytest.mark.parametrize("variant", ["paper", "first_release", "official_code"])
def test_a_sample_has_of_each_bin_what_its_share_is(variant):
    hard_N = np.random.default_rng(1).beta(0.5, 2, 3000)
    bin_N, rows_B, mean_B = self_paced_ensemble.binned(hard_N, 5, variant)
    at_M = self_paced_ensemble.sample(hard_N, 5, 0.2, 150, variant, np.random.default_rng(2))
    expected_B = self_paced_ensemble.shares(rows_B, mean_B, 0.2, 150, variant)
    assert np.bincount(bin_N[at_M], minlength=5).tolist() == expected_B.tolist()
    assert (len(set(at_M)) == len(at_M)) == (variant != "official_code")
    same = self_paced_ensemble.sample(np.full(30, 0.4), 5, 0.2, 10, variant, np.random.default_rng(2))
    assert len(same) == 10


def test_hardness_is_of_the_running_mean_and_asked_of_the_larger_class_alone(monkeypatch):
    x_ND, y_N = table((40, 5))
    asked, paces = [], []
    plain = _ensemble.among

    def spy(estimator, x, classes):
        asked.append(x)
        return plain(estimator, x, classes)

    monkeypatch.setattr(self_paced_ensemble, "among", spy)
    monkeypatch.setattr(self_paced_ensemble, "hardness", lambda own_N, how: paces.append(own_N) or 1 - own_N)
    method = build("models", {"name": "self_paced_ensemble", "n_estimators": 4, "variant": "official_code"})
    estimators = method.fit(x_ND, y_N, 0).estimators_
    assert len(asked) == 3
    assert all(np.array_equal(x, x_ND[y_N == 0]) for x in asked)
    for done, own_N in enumerate(paces, 1):
        total = sum(e.predict_proba(x_ND[y_N == 0])[:, 0] for e in estimators[:done])
        assert_allclose(own_N, total / (done + 1), atol=1e-12)


def test_a_cascade_keeps_a_geometric_share_and_the_worst_learned():
    assert balance_cascade.sizes(np.array([1000, 10]), 3, "paper").tolist() == [[100, 10], [10, 10], [10, 10]]
    assert balance_cascade.sizes(np.array([1000, 1]), 3, "official_code").tolist() == [[100, 1], [10, 1], [1, 1]]
    random = np.random.default_rng(0)
    own_K = np.array([0.9, 0.1, 0.5, 0.2, 0.5])
    assert set(balance_cascade.hardest(own_K, 2, random)) == {1, 3}
    third = {int(balance_cascade.hardest(own_K, 3, random)[2]) for _ in range(40)}
    assert third == {2, 4}, "chance decides between equal rows"


# All of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENSEMBLES)
def test_an_ensemble_follows_from_its_seed_and_a_longer_one_starts_alike(name):
    x_ND, _ = table()
    base = {"name": "decision_tree", "max_depth": 3}
    probability = {seed: fitted(name, seed, base=base).predict_proba(x_ND) for seed in (0, 1)}
    assert np.array_equal(probability[0], fitted(name, 0, base=base).predict_proba(x_ND))
    if name not in ("adacost", "adauboost", "asymboost"):  # nothing is drawn there but ties of splits
        assert not np.array_equal(probability[0], probability[1])
    if name in ("bagging", "under_bagging", "over_bagging", "smote_bagging", "easy_ensemble", "rus_boost"):
        longer = build("models", {"name": name, "n_estimators": 20, "base": base}).fit(*table(), 0)
        shorter = fitted(name, 0, base=base)
        for ours, theirs in zip(shorter.estimators_, longer.estimators_, strict=False):
            assert np.array_equal(ours.predict_proba(x_ND), theirs.predict_proba(x_ND))


@pytest.mark.parametrize("name", ["under_bagging", "self_paced_ensemble", "balance_cascade", "easy_ensemble"])
def test_an_ensemble_takes_another_base(name):
    x_ND, y_N = table((80, 10))
    base = {"name": "logistic_regression"}
    fits = build("models", {"name": name, "n_estimators": 3, "base": base}).fit(x_ND, y_N, 0)
    assert {type(e).__name__ for e in fits.estimators_} == {"LogisticRegression"}
    mean = np.mean([e.predict_proba(x_ND) for e in fits.estimators_[-3:]], 0)
    assert_allclose(fits.predict_proba(x_ND), mean, atol=1e-12)
