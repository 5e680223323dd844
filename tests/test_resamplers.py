"""Samplers that make or select rows: against imbalanced-learn, plain loops, hand-worked cases, and at the edges.

.venv/bin/python -m pytest -n 0 tests/test_resamplers.py
"""

import json
import sys

import numpy as np
import pytest
from imblearn import over_sampling, under_sampling
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp

from counterpoise import registry
from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.samplers import _neighbours

OVER = ("smote", "smote_nc", "borderline_smote", "table_generator")  # reach their target exactly
CLEANING = ("edited_nearest_neighbours", "all_knn", "tomek_links", "neighbourhood_cleaning", "one_sided_selection")
NAMES = (*OVER, *CLEANING, "adasyn", "near_miss", "smote_enn", "smote_tomek", "smote_undersampling")
every = pytest.mark.parametrize("name", NAMES)


def blobs(counts=(150, 40, 12), width=4, seed=0, apart=0.7):
    random = np.random.default_rng(seed)
    y = random.permutation(np.repeat(np.arange(len(counts)), counts))
    return random.normal(size=(len(y), width)) + apart * y[:, None], y


def resample(name, x, y, columns=(), seed=1, **options):
    random = np.random.default_rng(seed)
    return registry.build("samplers", {"name": name, **options}).resample(x, y, columns, random)


def library(seed=1):
    return np.random.RandomState(np.random.PCG64(seed))


def as_set(x):
    return {row.tobytes() for row in np.asarray(x, np.float64)}


# What every one of them keeps ------------------------------------------------------------------------------------


@every
def test_rows_come_from_the_generator_alone_and_the_data_stay_as_they_are(name):
    x, y = blobs()
    kept = x.copy(), y.copy()
    before = str(np.random.get_state(legacy=False))
    first, again, other = (resample(name, x, y, seed=seed) for seed in (1, 1, 2))
    assert str(np.random.get_state(legacy=False)) == before
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert first[0].shape == (len(first[1]), 4)
    assert first[0].dtype == np.float64
    assert first[1].dtype == np.int64
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])
    fixed = name in ("edited_nearest_neighbours", "all_knn", "tomek_links", "neighbourhood_cleaning", "near_miss")
    assert np.array_equal(first[0], other[0]) == fixed


DRAWN = ("one_sided_selection", *OVER, "adasyn", "smote_enn", "smote_tomek", "smote_undersampling")


@pytest.mark.parametrize("name", sorted(set(DRAWN) & set(NAMES)))
def test_one_generator_used_twice_gives_other_rows(name):
    x, y = blobs()
    random, method = np.random.default_rng(1), registry.build("samplers", {"name": name})
    first, second = (method.resample(x, y, (), random) for _ in range(2))
    assert as_set(first[0]) != as_set(second[0])


@pytest.mark.parametrize("name", OVER)
@pytest.mark.parametrize(("ratio", "expected"), [(1.0, [150] * 3), (5.0, [150, 40, 30]), (20.0, [150, 40, 12])])
def test_oversamplers_reach_their_target_and_keep_every_row(name, ratio, expected):
    x, y = blobs()
    made_x, made_y = resample(name, x, y, ratio=ratio)
    assert np.bincount(made_y).tolist() == expected
    assert np.array_equal(made_x[: len(x)], x)
    assert np.array_equal(made_y[: len(x)], y)
    assert not as_set(made_x[len(x) :]) & as_set(x)


@pytest.mark.parametrize("name", [*CLEANING, "near_miss"])
def test_selecting_samplers_give_rows_that_were_there_and_keep_the_smallest_class(name):
    x, y = blobs((150, 30))
    made_x, made_y = resample(name, x, y)
    assert as_set(np.c_[made_x, made_y]) < as_set(np.c_[x, y])
    assert len(as_set(made_x)) == len(made_x)
    assert (made_y == 1).sum() == 30


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, [12] * 3), (3.0, [36, 36, 12]), (99.0, [150, 40, 12])])
def test_near_miss_reaches_its_target(ratio, expected):
    assert np.bincount(resample("near_miss", *blobs(), ratio=ratio)[1]).tolist() == expected


@every
def test_images_are_vectors(name):
    x, y = blobs((60, 20), width=12)
    flat, _ = resample(name, x, y)
    images, _ = resample(name, x.reshape(-1, 3, 2, 2), y)
    assert np.array_equal(images.reshape(len(images), -1), flat)


@every
def test_missing_values_are_refused_in_one_line(name):
    x, y = blobs()
    x[3, 1] = np.nan
    with pytest.raises(ImpossibleCell, match="column 'b' is missing or infinite in 1 rows; impute first"):
        resample(name, x, y, tuple(Column(c) for c in "abcd"))


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"smote_nc", "table_generator"}))
def test_raw_categories_are_refused_where_distances_count(name):
    x, y = blobs()
    with pytest.raises(ImpossibleCell, match="column 'b' holds categories"):
        resample(name, x, y, (Column("a"), Column("b", "categorical", ("p", "q")), Column("c"), Column("d")))


@pytest.mark.parametrize("name", ["smote", "smote_nc", "adasyn", "borderline_smote", "table_generator"])
def test_a_class_smaller_than_k_and_a_lone_example(name):
    x, y = blobs((30, 3, 1), apart=0.1)
    made_x, made_y = resample(name, x, y, **({} if name == "table_generator" else {"k": 10}))
    of_lone = made_x[len(x) :][made_y[len(x) :] == 2]
    assert np.allclose(of_lone, x[y == 2])
    assert len(of_lone) == 29
    pairs = made_x[len(x) :][made_y[len(x) :] == 1]
    assert (pairs >= x[y == 1].min(0) - 1e-9).all()
    assert (pairs <= x[y == 1].max(0) + 1e-9).all()


@pytest.mark.parametrize("name", [*CLEANING, "smote_enn", "smote_tomek"])
def test_a_class_that_would_vanish_is_said(name):
    x, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    if name == "one_sided_selection":
        assert resample(name, x, y)[1].tolist() == [0, 1]  # nothing to select from: stays whole
        x, y = np.array([[0.0], [10.0], [0.1], [10.1], [3.0]]), np.array([0, 0, 1, 1, 1])
    with pytest.raises(ImpossibleCell, match=r"of class \d would be left"):
        resample(name, x, y, seed=3)


# Nearest neighbours ----------------------------------------------------------------------------------------------

TABLES = {
    "normal": lambda r, n, d: r.normal(size=(n, d)),
    "heavy tails": lambda r, n, d: r.standard_t(1.5, size=(n, d)),
    "far from 0": lambda r, n, d: r.normal(size=(n, d)) + 1e5,
    "two far clusters": lambda r, n, d: r.normal(size=(n, d)) + 1e4 * r.integers(0, 2, n)[:, None],
    "copies": lambda r, n, d: r.normal(size=(n // 3, d))[r.integers(0, n // 3, n)],
    "ties": lambda r, n, d: (r.random((n, d)) < 0.3).astype(float),
    "all equal": lambda r, n, d: np.ones((n, d)),
    "a scale": lambda r, n, d: r.normal(size=(n, d)) * np.geomspace(1e-6, 1e6, d),
}


@pytest.mark.parametrize("k", [1, 5, 40])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("rows", "width"), [(1700, 20), (1300, 7), (60, 30), (300, 3)])
def test_neighbours_are_those_of_a_plain_search(table, rows, width, k):
    check_neighbours(TABLES[table](np.random.default_rng(4), rows, width), k)


@pytest.mark.parametrize("table", ["normal", "copies"])
def test_neighbours_in_more_rows_than_are_grouped_at_once(table):
    check_neighbours(TABLES[table](np.random.default_rng(4), 8800, 16), 5)


def check_neighbours(x, k):
    rows, found = len(x), _neighbours.nearest(x, k)
    assert not (found == np.arange(rows)[:, None]).any(), "a row is not its own neighbour"
    assert (np.diff(np.sort(found, 1), axis=1) > 0).all(), "a neighbour counts once"
    for start in range(0, rows, 1000):
        part = np.arange(start, min(start + 1000, rows))
        distance = cdist(x[part], x)
        distance[np.arange(len(part)), part] = np.inf
        expected = np.sort(np.partition(distance, k, axis=1)[:, :k], 1)
        got = np.take_along_axis(distance, found[part], 1)
        assert np.allclose(np.sort(got, 1), expected, rtol=1e-7, atol=1e-9 * np.abs(x).max())


# SMOTE -----------------------------------------------------------------------------------------------------------


def on_a_segment(point, x, k):
    """Return whether a point lies between a row and one of its k nearest others, found by brute force."""
    distance = cdist(x, x) + np.diag(np.full(len(x), np.inf))
    for i in range(len(x)):
        for j in distance[i].argsort()[:k]:
            along = x[j] - x[i]
            step = (point - x[i]) @ along / (along @ along)
            if 0 <= step <= 1 and np.allclose(x[i] + step * along, point, atol=1e-9):
                return True
    return False


@pytest.mark.parametrize("variant", ["official_code", "paper"])
@pytest.mark.parametrize("k", [1, 5])
def test_every_point_lies_between_a_row_and_one_of_its_neighbours(variant, k):
    x, y = blobs((60, 15), width=3)
    made = resample("smote", x, y, k=k, variant=variant)[0][75:]
    assert len(made) == 45
    assert all(on_a_segment(point, x[y == 1], k) for point in made)
    assert not all(on_a_segment(point, x[y == 1], 1) for point in resample("smote", x, y, k=5)[0][75:])


def test_in_the_papers_variant_every_row_is_the_start_of_equally_many_points():
    x, y = np.r_[np.zeros((10, 1)), 10.0 ** np.arange(4)[:, None]], np.repeat([0, 1], [10, 4])
    made = resample("smote", x, y, k=1, variant="paper")[0][14:, 0]  # 6 points: one or two from each of four rows
    gaps = np.searchsorted([1.0, 10.0, 100.0], made, side="right")  # 1 -> 10, 10 -> 1, 100 -> 10, 1000 -> 100
    assert np.bincount(gaps, minlength=4)[[1, 2, 3]].tolist() in ([2, 2, 2], [3, 1, 2], [3, 2, 1], [4, 1, 1])
    big = resample("smote", x, np.repeat([0, 1], [10, 4]), k=1, variant="paper", ratio=10 / 8)[0][14:, 0]
    assert np.bincount(np.searchsorted([1.0, 10.0, 100.0], big, side="right"))[1:].tolist() == [2, 1, 1]


def described(made, x):
    """Return numbers that tell one way of making points from another: how far from a row, and where."""
    distance = np.sort(cdist(made, x), 1)
    return [distance[:, 0], distance[:, 1] - distance[:, 0], *made.T]


@pytest.mark.parametrize("variant", ["official_code", "paper"])
def test_points_are_distributed_as_those_of_imbalanced_learn(variant):
    x, y = blobs((5000, 120), width=3)
    own = x[y == 1]
    theirs = over_sampling.SMOTE(random_state=0).fit_resample(x, y)[0][len(x) :]

    def least_p(made):
        pairs = zip(described(made, own), described(theirs, own), strict=True)
        return min(ks_2samp(a, b).pvalue for a, b in pairs)

    assert least_p(resample("smote", x, y, variant=variant)[0][len(x) :]) > 1e-3
    wrong_k = resample("smote", x, y, k=10)[0][len(x) :]
    box = theirs[::2] + np.random.default_rng(0).random((len(theirs[::2]), 3)) * (theirs[1::2] - theirs[::2])
    for wrong in (wrong_k, box, own[np.random.default_rng(0).integers(120, size=4880)]):
        assert least_p(wrong) < 1e-6, "the test would not notice"


@pytest.mark.parametrize(
    ("over", "under", "expected"), [(0, 200, [25, 50]), (200, 100, [150, 150]), (100, 25, [200, 100])]
)
def test_smote_with_undersampling_by_the_papers_arithmetic(over, under, expected):
    x, y = blobs((200, 50))
    made_x, made_y = resample("smote_undersampling", x, y, oversampling=over, undersampling=under)
    assert np.bincount(made_y).tolist() == expected
    assert as_set(x[y == 1]) <= as_set(made_x)
    assert as_set(made_x[made_y == 0]) <= as_set(x[y == 0])


# Cleaning --------------------------------------------------------------------------------------------------------

LINE = np.array([0.0, 1.0, 2.1, 5.0, 5.4, 9.0, 9.2, 9.3])[:, None]
CLASSES = np.array([0, 0, 1, 0, 1, 0, 0, 0])


def test_tomek_links_by_hand():
    """Nearest: 0-1, 1-0, 2.1->1, 5-5.4 (a link), 9->9.2, 9.2-9.3."""
    assert resample("tomek_links", LINE, CLASSES)[0][:, 0].tolist() == [0.0, 1.0, 2.1, 5.4, 9.0, 9.2, 9.3]
    assert resample("tomek_links", LINE, CLASSES, classes="all")[0][:, 0].tolist() == [0.0, 1.0, 2.1, 9.0, 9.2, 9.3]


def test_edited_nearest_neighbours_by_hand():
    """Two nearest of 0: 1, 2.1; of 1: 0, 2.1; of 5: 5.4, 2.1; of 9: 9.2, 9.3; of 9.2: 9.3, 9; of 9.3: 9.2, 9."""
    name = "edited_nearest_neighbours"
    assert resample(name, LINE, CLASSES, k=2)[0][:, 0].tolist() == [2.1, 5.4, 9.0, 9.2, 9.3]
    kept = resample(name, LINE, CLASSES, k=2, agreement="mode")[0][:, 0]  # of 0 and 1 alike, the first: 0
    assert kept.tolist() == [0.0, 1.0, 2.1, 5.4, 9.0, 9.2, 9.3]


def test_equal_rows_of_two_classes_are_a_tomek_link_and_contradict_each_other():
    x, y = np.array([[0.0], [0.0], [5.0], [6.0], [9.0], [20.0]]), np.array([0, 1, 0, 0, 0, 1])
    for order in (np.arange(6), np.arange(6)[::-1]):
        assert resample("tomek_links", x[order], y[order])[0].ravel().tolist().count(0.0) == 1
        assert resample("edited_nearest_neighbours", x[order], y[order], k=1)[0].ravel().tolist().count(0.0) == 1


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("edited_nearest_neighbours", {}, under_sampling.EditedNearestNeighbours()),
        ("edited_nearest_neighbours", {"agreement": "mode", "k": 5},
         under_sampling.EditedNearestNeighbours(kind_sel="mode", n_neighbors=5)),
        ("edited_nearest_neighbours", {"classes": "all"},
         under_sampling.EditedNearestNeighbours(sampling_strategy="all")),
        ("all_knn", {}, under_sampling.AllKNN()),
        ("all_knn", {"agreement": "mode", "allow_minority": True},
         under_sampling.AllKNN(kind_sel="mode", allow_minority=True)),
        ("tomek_links", {}, under_sampling.TomekLinks()),
        ("tomek_links", {"classes": "all"}, under_sampling.TomekLinks(sampling_strategy="all")),
        ("neighbourhood_cleaning", {}, under_sampling.NeighbourhoodCleaningRule()),
        ("near_miss", {}, under_sampling.NearMiss()),
        ("near_miss", {"rule": 2}, under_sampling.NearMiss(version=2)),
        ("near_miss", {"rule": 3, "preselected": 9}, under_sampling.NearMiss(version=3, n_neighbors_ver3=9)),
    ],
)  # fmt: skip
def test_selected_rows_are_those_of_imbalanced_learn(name, options, theirs, seed):
    x, y = blobs((300, 90, 80), seed=seed, apart=1.2)
    theirs.fit_resample(x, y)
    kept = np.sort(theirs.sample_indices_)
    assert len(kept) < len(x)
    made = resample(name, x, y, **options)
    assert np.array_equal(made[0], x[kept])
    assert np.array_equal(made[1], y[kept])


def test_one_sided_selection_is_that_of_imbalanced_learn():
    x, y = blobs((300, 90, 80), apart=1.2)
    theirs = under_sampling.OneSidedSelection(random_state=library(), n_seeds_S=3)
    theirs.fit_resample(x, y)
    assert np.array_equal(resample("one_sided_selection", x, y, seeds=3)[0], x[np.sort(theirs.sample_indices_)])


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("smote_enn", under_sampling.EditedNearestNeighbours), ("smote_tomek", under_sampling.TomekLinks)],
)
def test_smote_and_then_cleaning_of_all_classes(name, theirs):
    x, y = blobs((150, 40))
    cleaning = theirs(sampling_strategy="all")
    whole_x, whole_y = resample("smote", x, y)
    cleaning.fit_resample(whole_x, whole_y)
    kept = np.sort(cleaning.sample_indices_)
    assert 0 < len(kept) < len(whole_x)
    assert np.array_equal(resample(name, x, y)[0], whole_x[kept])


# Wrapped oversamplers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "theirs"),
    [
        ("borderline_smote", {}, over_sampling.BorderlineSMOTE),
        ("borderline_smote", {"kind": "borderline-2"},
         lambda **o: over_sampling.BorderlineSMOTE(kind="borderline-2", **o)),
        ("adasyn", {}, over_sampling.ADASYN),
    ],
)  # fmt: skip
def test_wrapped_oversamplers_give_the_bytes_of_imbalanced_learn(name, options, theirs):
    x, y = blobs((150, 40, 22))
    theirs_x, theirs_y = theirs(random_state=library()).fit_resample(x, y)
    made_x, made_y = resample(name, x, y, **options)
    assert made_x.tobytes() == theirs_x.tobytes()
    assert np.array_equal(made_y, theirs_y)


def mixed(seed=0, counts=(120, 30)):
    """Two numbers, a raw category of three, and one-hot indicators of four."""
    x, y = blobs(counts, width=2, seed=seed)
    random = np.random.default_rng(seed)
    colour = (random.integers(0, 3, len(y)) + y) % 3
    job = np.where(random.random(len(y)) < 0.6, y, random.integers(0, 4, len(y)))
    columns = (
        Column("a"),
        Column("colour", "categorical", ("red", "green", "blue")),
        Column("b"),
        *(Column(f"job={j}", "indicator", source="job") for j in "pqrs"),
    )
    return np.column_stack([x[:, 0], colour, x[:, 1], np.eye(4)[job]]), y, columns, colour, job


def test_smote_nc_gives_the_bytes_of_imbalanced_learn_and_only_values_that_occur():
    x, y, columns, colour, job = mixed()
    coded = np.column_stack([x[:, 0], x[:, 2], colour, 3 - job])  # the last indicator sorts first
    theirs = over_sampling.SMOTENC([2, 3], random_state=library()).fit_resample(coded, y)[0]
    made = resample("smote_nc", x, y, columns)[0]
    assert made[:, [0, 2]].tobytes() == theirs[:, :2].astype(float).tobytes()
    assert np.array_equal(made[:, 1], theirs[:, 2].astype(float))
    assert np.array_equal(made[:, 3:], np.eye(4)[3 - theirs[:, 3].astype(int)])


def test_smote_nc_of_nominal_columns_alone():
    x, y, columns, *_ = mixed()
    made = resample("smote_nc", x[:, 3:], y, columns[3:])[0]
    assert len(made) == 240
    assert set(map(tuple, made)) <= set(map(tuple, np.eye(4)))


def test_adasyn_without_a_border_and_with_shares_that_round_to_nothing():
    x, y = blobs((40, 20), apart=100)
    with pytest.raises(ImpossibleCell, match="no example of class 1 has a neighbour of another class; use smote"):
        resample("adasyn", x, y)
    x, y = blobs((60, 59), apart=0)
    assert np.bincount(resample("adasyn", x, y)[1]).tolist() == [60, 59]


# Table generator -------------------------------------------------------------------------------------------------


def test_the_copula_keeps_what_columns_are_and_how_they_go_together():
    x, y, columns, *_ = mixed(counts=(3000, 600))
    random = np.random.default_rng(5)
    own = y == 1
    x[own, 2] = np.exp(x[own, 0]) + 0.3 * random.random(own.sum())  # skewed, and monotone in the first
    made = resample("table_generator", x, y, columns)[0][len(x) :]
    assert len(made) == 2400
    for d in (0, 2):
        assert ks_2samp(made[:, d], x[own, d]).pvalue > 1e-3
        assert ks_2samp(made[:, d], x[~own, d]).pvalue < 1e-3
        assert x[own, d].min() <= made[:, d].min() <= made[:, d].max() <= x[own, d].max()
    assert np.corrcoef(made[:, [0, 2]].argsort(0).argsort(0).T)[0, 1] > 0.95
    assert set(made[:, 1]) == {0.0, 1.0, 2.0}
    assert set(map(tuple, made[:, 3:])) == set(map(tuple, np.eye(4)))
    shares = [np.bincount(part[:, 3:].argmax(1), minlength=4) / len(part) for part in (made, x[own])]
    assert np.abs(shares[0] - shares[1]).max() < 0.05


GENERATOR = """
import csv, json, sys
asked = json.load(sys.stdin)
open(sys.argv[1], "a").write(json.dumps(asked) + chr(10))
names = [c["name"] for c in asked["columns"]]
out = csv.writer(sys.stdout)
out.writerow([asked["target"], *names])
for label, count in asked["wanted"].items():
    group = next(g for g in asked["sets"][0] if g["class"] == label)
    for i in range(min(count, 7)):
        out.writerow([label, *group["rows"][i]])
    out.writerow([label, *["?" for _ in names]])
    out.writerow(["nonsense", *group["rows"][0]])
"""


def command(tmp_path, code=GENERATOR):
    (tmp_path / "make.py").write_text(code)
    return f"{sys.executable} {tmp_path / 'make.py'} {tmp_path / 'log'}"


def test_a_command_is_asked_until_there_are_enough_usable_rows(tmp_path):
    x, y, columns, *_ = mixed(counts=(40, 20))
    made_x, made_y = resample(
        "table_generator", x, y, columns, generator="command", command=command(tmp_path), shots=8, sets=2
    )
    assert np.bincount(made_y).tolist() == [40, 40]
    assert as_set(made_x[60:]) <= as_set(x[y == 1]), "the words were not turned back into what they stand for"
    asked = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [list(a["wanted"].values()) for a in asked] == [[20], [13], [6]]
    assert [c["kind"] for c in asked[0]["columns"]] == ["numeric", "numeric", "nominal", "nominal"]
    assert [c["name"] for c in asked[0]["columns"]] == ["a", "b", "colour", "job"]
    assert [[len(group["rows"]) for group in groups] for groups in asked[0]["sets"]] == [[8, 8], [8, 8]]
    assert "red" not in json.dumps(asked)
    assert len({a["seed"] for a in asked}) == 3
    plain = resample(
        "table_generator", x, y, columns, generator="command", command=command(tmp_path), unique_words=False
    )
    assert np.bincount(plain[1]).tolist() == [40, 40]
    assert "red" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("import sys; sys.exit('out of credit')", ImpossibleCell, "ended with code 1: out of credit"),
        ("import os; os.kill(os.getpid(), 9)", OSError, "ended by signal 9"),  # not recorded, so it is asked again
        ("print('class,a')", ImpossibleCell, "no column 'b', only"),
        ("print('class,a,b,colour,job')", ImpossibleCell, "0 of 20 rows of class 1 after 2 requests"),
        (None, UserError, "needs a command"),
    ],
)
def test_a_command_that_fails_is_said_in_one_line(tmp_path, code, error, match):
    x, y, columns, *_ = mixed(counts=(40, 20))
    line = command(tmp_path, code) if code else ""
    with pytest.raises(error, match=match):
        resample("table_generator", x, y, columns, generator="command", command=line, attempts=2)


def test_a_command_that_is_not_there_is_the_users_fault():
    x, y, columns, *_ = mixed(counts=(4, 2))
    with pytest.raises(UserError, match="'no-such-thing' cannot be run"):
        resample("table_generator", x, y, columns, generator="command", command="no-such-thing")
