"""The teacher and its rows: sides, counts, and the distribution given the side.

.venv/bin/python -m pytest -n 0 tests/test_teacher_student.py
"""

import numpy as np
import pytest
from scipy.stats import kstest, norm

from counterpoise import streams
from counterpoise.errors import UserError
from counterpoise.registry import build


def made(**options):
    return build("datasets", {"name": "teacher_student", **options})


@pytest.mark.parametrize(("intrinsic", "share"), [(0.05, 0.5), (0.5, 0.2), (0.01, 0.8)])
def test_rows_are_on_the_side_that_their_label_says_as_often_as_asked(intrinsic, share):
    method = made(intrinsic=intrinsic, share=share, rows=600, width=12, draw=2)
    x, y, tests, test_y = method.read(None)
    teacher = streams.numpy("preprocess", "teacher_student", 2).normal(size=12)
    teacher /= np.linalg.norm(teacher)
    edge = norm.isf(intrinsic)
    for rows, labels, counts in ((x, y, method.train_counts), (tests, test_y, (500, 500))):
        assert tuple(np.bincount(labels)) == counts
        along = rows @ teacher
        assert ((along > edge - 1e-5) == (labels == 1)).all()
        assert kstest(norm.sf(along[labels == 1]) / intrinsic, "uniform").pvalue > 1e-3
        assert kstest(norm.cdf(along[labels == 0]) / (1 - intrinsic), "uniform").pvalue > 1e-3
        across = rows - np.outer(along, teacher)
        np.testing.assert_allclose(across.T @ across / len(rows), np.eye(12) - np.outer(teacher, teacher), atol=0.25)


def test_the_test_part_is_the_same_whatever_training_holds():
    few, many = made(rows=50), made(rows=500, share=0.1)
    np.testing.assert_array_equal(few.read(None)[2], many.read(None)[2])
    assert not np.array_equal(made(draw=1).read(None)[2], few.read(None)[2])


def test_a_class_without_rows_is_refused():
    with pytest.raises(UserError, match=r"share: 0.001 of 100 rows leaves a class without any"):
        made(rows=100, share=0.001)
