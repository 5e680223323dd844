"""Counts of every imbalance: published values, rounding, nesting, and what is impossible."""

import numpy as np
import pytest

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError

TEN = np.full(10, 6000)


def counts(name, available=TEN, order=None, **options):
    order = np.arange(len(available)) if order is None else np.asarray(order)
    method = registry.build("imbalance", {"name": name, **options})
    return method.counts(np.asarray(available), order).tolist()


def test_natural_keeps_everything_and_caps():
    assert counts("natural", [5, 1, 9]) == [5, 1, 9]
    assert counts("natural", [5, 1, 9], per_class=4) == [4, 1, 4]


def test_step_as_buda_et_al_define_it():
    # 10 classes, 5,000 examples a majority class, as on MNIST
    assert counts("step", rho=10, mu=0.5, per_class=5000) == [500] * 5 + [5000] * 5
    assert counts("step", rho=2, mu=0.9, per_class=5000) == [2500] * 9 + [5000]
    assert counts("step", minority_count=100, mu=0.2, per_class=5000) == [100] * 2 + [5000] * 8


def test_step_takes_its_minority_from_the_front_of_the_order():
    assert counts("step", rho=10, mu=0.2, per_class=100, order=[7, 3, 0, 1, 2, 4, 5, 6, 8, 9]) == [
        10 if label in (7, 3) else 100 for label in range(10)
    ]


@pytest.mark.parametrize(("per_class", "rho", "minority"), [(100, 3, 33), (100, 40, 3), (100, 8, 13), (10, 20, 1)])
def test_step_rounds_the_minority_count_halves_up(per_class, rho, minority):
    assert counts("step", rho=rho, per_class=per_class)[0] == minority


def test_linear_falls_by_a_constant_to_the_largest_over_rho():
    assert counts("linear", rho=10, per_class=1000) == list(range(1000, 99, -100))
    assert counts("linear", [9, 9, 9], rho=3) == [9, 6, 3]
    assert counts("linear", rho=10, per_class=1000, order=range(9, -1, -1)) == list(range(100, 1001, 100))


@pytest.mark.parametrize(
    ("classes", "most", "factor", "expected"),
    [
        (10, 5000, 100, [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]),  # CIFAR-10-LT, 12,406 images
        (10, 5000, 50, [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100]),  # 13,996
        (10, 5000, 10, [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500]),  # 20,431
        (10, 1000, 100, [1000, 599, 359, 215, 129, 77, 46, 27, 16, 10]),
    ],
)
def test_long_tailed_counts_are_those_of_the_published_benchmarks(classes, most, factor, expected):
    assert counts("long_tailed", factor=factor, per_class=most) == expected
    assert counts("long_tailed", np.full(classes, most), factor=factor) == expected


def test_long_tailed_cifar_100_has_10847_images():
    assert sum(counts("long_tailed", np.full(100, 500), factor=100)) == 10847


def test_long_tailed_order_starts_with_the_most_frequent_class():
    assert counts("long_tailed", [100] * 3, factor=100, order=[2, 0, 1]) == [10, 1, 100]


@pytest.mark.parametrize(
    ("name", "options"),
    [("step", {"rho": 2}), ("linear", {"rho": 2}), ("long_tailed", {"factor": 2})],
)
def test_without_a_cap_the_largest_class_has_what_every_class_can_give(name, options):
    assert max(counts(name, [40, 30, 20, 50], **options)) == 20


@pytest.mark.parametrize(("name", "knob"), [("step", "rho"), ("linear", "rho"), ("long_tailed", "factor")])
def test_ratio_1_is_balanced_and_a_higher_ratio_never_has_more_of_a_class(name, knob):
    held = np.array(counts(name, **{knob: 1}, per_class=1000))
    assert set(held.tolist()) == {1000}
    for ratio in (1.5, 2, 10, 33.3, 100, 1000):
        lower = np.array(counts(name, **{knob: ratio}, per_class=1000))
        assert (lower <= held).all()
        assert lower.max() == 1000
        held = lower


def test_minority_classes_are_nested_in_mu():
    order = np.random.default_rng(0).permutation(10)
    held: set[int] = set()
    for mu in (0.1, 0.2, 0.5, 0.8, 0.9):
        minority = {c for c, n in enumerate(counts("step", rho=10, mu=mu, per_class=100, order=order)) if n == 10}
        assert held < minority
        assert len(minority) == round(mu * 10)
        held = minority


def test_two_classes():
    assert counts("step", [50, 50], rho=10, order=[1, 0]) == [50, 5]
    assert counts("linear", [50, 50], rho=10) == [50, 5]
    assert counts("long_tailed", [50, 50], factor=10) == [50, 5]


@pytest.mark.parametrize(
    ("name", "available", "options", "message"),
    [
        ("step", [9] * 4, {"rho": 100}, "class 0 is left empty"),
        ("linear", [9] * 4, {"rho": 100}, "class 3 is left empty"),
        ("long_tailed", [9] * 4, {"factor": 100}, "class 2 is left empty"),
        ("natural", [9, 0], {}, "class 1 is left empty"),
        ("step", [9, 9, 9, 5], {"rho": 2, "per_class": 9}, "class 3 has 5 examples available for training, 9 are"),
        ("linear", [9, 5, 9], {"rho": 2, "per_class": 9}, "class 1 has 5 examples available for training, 7 are"),
        ("step", [9] * 4, {"rho": 2, "mu": 0.1}, "makes 0 of 4 classes minority"),
        ("step", [9] * 4, {"rho": 2, "mu": 0.9}, "makes 4 of 4 classes minority"),
        ("step", [9] * 4, {"minority_count": 10}, "minority_count=10 exceeds the 9"),
    ],
)
def test_what_the_data_cannot_give_is_said_with_class_and_count(name, available, options, message):
    with pytest.raises(ImpossibleCell, match=message):
        counts(name, available, **options)


@pytest.mark.parametrize("options", [{}, {"rho": 10, "minority_count": 5}])
def test_step_wants_exactly_one_of_rho_and_minority_count(options):
    with pytest.raises(UserError, match="exactly one of rho and minority_count"):
        registry.build("imbalance", {"name": "step", **options})
