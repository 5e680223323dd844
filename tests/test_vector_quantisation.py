"""Parallel vector quantisation: counts, where code vectors lie, and classes too small to have any.

.venv/bin/python -m pytest -n 0 tests/test_vector_quantisation.py
"""

import numpy as np
import pytest

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell
from counterpoise.registry import build


def quantise(x, y, columns=(), seed=0, **options):
    sampler = build("samplers", {"name": "parallel_vector_quantisation", **options})
    return sampler.resample(np.asarray(x, float), np.asarray(y), columns, np.random.default_rng(seed))


def blobs(counts, seed=0):
    random, y = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts)
    return random.normal(size=(len(y), 3)) + 5 * y[:, None], y


@pytest.mark.parametrize(
    ("counts", "codebook", "expected"),
    [([300, 40, 12], None, [12, 12, 12]), ([300, 40, 12], 50, [50, 40, 12]), ([30, 1], None, [1, 1])],
)
def test_a_class_is_held_to_its_codebook(counts, codebook, expected):
    x, y = quantise(*blobs(counts), codebook=codebook)
    assert np.bincount(y).tolist() == expected
    assert x.shape == (sum(expected), 3)


def test_code_vectors_are_the_centres_of_clusters_that_lie_apart():
    centres = np.array([[0.0, 0], [100, 0], [0, 100]])
    offsets = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    x = np.concatenate([centres[c] + offsets for c in range(3) for _ in range(25)])
    made, y = quantise(np.concatenate([x, x[:3] + 500]), np.repeat([0, 1], [len(x), 3]))
    codes = made[y == 0]
    np.testing.assert_allclose(codes[np.argsort(codes @ [1, 3])], centres, atol=0.5)


def test_code_vectors_stand_for_their_class_better_than_as_many_of_its_rows():
    x, y = blobs([2000, 40])
    made, labels = quantise(x, y)

    def error(codes):
        return ((x[y == 0][:, None] - codes) ** 2).sum(-1).min(1).mean()

    drawn = [error(np.random.default_rng(s).choice(x[y == 0], 40, replace=False)) for s in range(10)]
    assert error(made[labels == 0]) < 0.8 * min(drawn)


def test_a_small_class_stays_and_repeated_rows_count_once():
    few = np.array([[1.0, 2], [3, 4], [3, 4]])
    many = np.repeat([[7.0, 7], [8, 8]], 50, axis=0)
    x, y = quantise(np.concatenate([few, many]), np.repeat([0, 1], [3, 100]))
    np.testing.assert_array_equal(x[y == 0], few)
    np.testing.assert_array_equal(x[y == 1], [[7, 7], [8, 8]])


def test_categories_have_no_mean():
    columns = (Column("a"), Column("b", "categorical", ("u", "v")), Column("c"))
    with pytest.raises(ImpossibleCell, match="column 'b' holds categories"):
        quantise(*blobs([30, 4]), columns=columns)
