"""What is fitted before a split: the same step as inside a fold, on all rows, and nothing of it in the test part.

.venv/bin/python -m pytest -n 0 tests/test_outside_the_folds.py
"""

import numpy as np
import pytest

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.registry import build


def columns(width):
    return tuple(Column(f"x{d}") for d in range(width))


def wide(**options):
    return build("datasets", {"name": "wide_gaussian", "width": 60, **options})


def test_the_columns_that_vary_most_by_hand():
    x = np.array([[0.0, 5, 1, -9], [4, 5, 2, 9], [0, 5, 3, -9], [4, 5, 2, 9]])  # deviations 2, 0, 0.707, 9
    fitted = build("preprocessing", {"name": "variance_selection", "count": 2}).fit(x, columns(4))
    assert [column.name for column in fitted.columns] == ["x0", "x3"]
    np.testing.assert_allclose(fitted(x), [[-1, -1], [1, 1], [-1, -1], [1, 1]])
    np.testing.assert_allclose(fitted(np.array([[6.0, 0, 0, 0]])), [[2, 0]])
    every = build("preprocessing", {"name": "variance_selection", "count": 9, "scale": False}).fit(x, columns(4))
    np.testing.assert_array_equal(every(x), x)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [(Column("b", "categorical", ("u", "v")), 1.0, "holds categories"), (Column("b"), np.nan, "has missing values")],
)
def test_what_has_no_variance_is_one_clear_line(column, value, fault):
    x = np.array([[1.0, 0.0], [2.0, value]])
    with pytest.raises(ImpossibleCell, match=f"column 'b' {fault}; say preprocessing: typed_columns"):
        build("preprocessing", {"name": "variance_selection"}).fit(x, (Column("a"), column))


@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_a_selection_outside_is_that_of_the_preprocessing_on_all_training_rows(tails):
    x, y, tests, _ = wide(tails=tails).read(None)
    chosen = wide(tails=tails, outside="variance_selection")
    chosen_x, chosen_y, chosen_tests, _ = chosen.read(None)
    kept = np.sort(np.argsort(-x.astype(float).var(0))[:20])
    np.testing.assert_array_equal(chosen_x, x[:, kept])
    np.testing.assert_array_equal(chosen_tests, tests[:, kept])
    np.testing.assert_array_equal(chosen_y, y)
    assert chosen.shape == (20,)


def test_smote_outside_adds_rows_to_training_alone():
    x, y, tests, test_y = wide().read(None)
    method = wide(outside="smote")
    more_x, more_y, more_tests, more_test_y = method.read(None)
    np.testing.assert_array_equal(more_x[: len(x)], x)
    np.testing.assert_array_equal(more_y[: len(y)], y)
    assert tuple(np.bincount(more_y)) == method.train_counts == (80, 80)
    np.testing.assert_array_equal(more_tests, tests)
    np.testing.assert_array_equal(more_test_y, test_y)
    ends = x[y == 1].astype(float)
    for row in more_x[len(x) :][:5].astype(float):  # between two rows of the rare class
        a, b = ends[:, None], ends[None]
        share = np.einsum("abd,abd->ab", row - a, b - a) / np.maximum(((b - a) ** 2).sum(-1), 1e-9)
        off = ((a + share[..., None] * (b - a) - row) ** 2).sum(-1)
        assert off[(share >= 0) & (share <= 1)].min() < 1e-8


def test_the_distribution_is_the_one_said():
    x, y, tests, test_y = wide(informative=7, shift=2.0, share=0.25).read(None)
    assert np.bincount(y).tolist() == [75, 25]
    assert np.bincount(test_y).tolist() == [750, 250]
    gap = tests[test_y == 1].mean(0) - tests[test_y == 0].mean(0)
    np.testing.assert_allclose(gap[:7], 2.0, atol=0.3)
    np.testing.assert_allclose(gap[7:], 0.0, atol=0.3)
    np.testing.assert_allclose(tests[test_y == 0].std(0), 1.0, atol=0.12)
    heavy = wide(tails="heavy").read(None)[2]
    assert np.abs(heavy).max() > 2 * np.abs(tests).max()
    assert not np.array_equal(wide(draw=1).read(None)[0], x)


def test_a_class_without_rows_is_refused():
    with pytest.raises(UserError, match=r"share: 0.01 of 20 rows leaves a class without any"):
        wide(rows=20, share=0.01)
