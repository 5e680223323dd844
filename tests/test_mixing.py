"""Mixing against hand arithmetic, plain loops over the papers' formulas, and the distributions that it draws from.

.venv/bin/python -m pytest -n 0 tests/test_mixing.py
"""

import numpy as np
import pytest
import torch
from scipy.stats import beta, chisquare, kstest

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.methods.mixing.cmo import box

LINEAR = ["mixup", "manifold_mixup", "remix"]
COUNTS = torch.tensor([90.0, 30, 29, 10])


def build(name, **options):
    return registry.build("mixing", {"name": name, **options})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def mix(method, x, others, own=None, other=None, seed=0, counts=COUNTS):
    own = torch.zeros(len(x), dtype=torch.long) if own is None else own
    return method.mix(x, others, own, own if other is None else other, counts, seeded(seed))


def black_and_white(size=3, shape=(1, 8, 8)):
    return torch.zeros(size, *shape, dtype=torch.float64), torch.ones(size, *shape, dtype=torch.float64)


@pytest.mark.parametrize("name", [*LINEAR, "cmo"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mixing_follows_from_its_generator_and_leaves_the_batch_alone(name, dtype):
    x, others = torch.rand(2, 5, 2, 7, 6, generator=seeded(1), dtype=dtype)
    kept, before = (x.clone(), others.clone()), torch.random.get_rng_state()
    found = [mix(build(name), x, others, seed=seed) for seed in range(8)]
    again = mix(build(name), x, others, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(x, kept[0])
    assert torch.equal(others, kept[1])
    assert torch.equal(found[3][0], again[0])
    assert len({float(share[0]) for _, share in found}) > 2
    for mixed, share in found:
        assert mixed.shape == x.shape
        assert mixed.dtype == share.dtype == dtype
        assert share.shape == (5,)
        assert (share >= 0).all()
        assert (share <= 1).all()


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("shape", [(4,), (1, 8, 8), (6, 3, 3)])
@pytest.mark.parametrize("size", [1, 3])
def test_inputs_are_mixed_by_one_share_which_is_the_label_s_too(name, shape, size):
    zeros, ones = black_and_white(size, shape)
    mixed, share = mix(build(name), ones, zeros)
    assert (mixed == mixed.flatten()[0]).all()
    assert torch.equal(share, mixed.flatten(1)[:, 0])
    # by hand: 3 with the share s and 7 with 1 - s
    mixed, share = mix(build(name), 3 * ones, 7 * ones)
    assert mixed.flatten()[0].item() == pytest.approx(7 - 4 * share[0].item(), rel=1e-14)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("alpha", [0.3, 1.0, 4.0])
def test_the_share_has_the_beta_distribution(name, alpha):
    zeros, ones = black_and_white(1, (1,))
    drawn = [float(mix(build(name, alpha=alpha), ones, zeros, seed=seed)[0]) for seed in range(1500)]
    assert kstest(drawn, beta(alpha, alpha).cdf).pvalue > 1e-3


# Manifold mixup ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "depth", "expected"),
    [({}, 3, [0, 1, 2, 3]), ({"last": 2}, 5, [0, 1, 2]), ({"first": 4, "last": 4}, 5, [4]),
     ({"first": 1, "last": 9}, 3, [1, 2, 3]), ({"first": 7}, 2, [2]), ({}, 0, [0])],
)  # fmt: skip
def test_the_layer_is_drawn_uniformly(options, depth, expected):
    method, generator = build("manifold_mixup", **options), seeded()
    drawn = [method.layer(depth, generator) for _ in range(2000)]
    assert sorted(set(drawn)) == expected
    assert len(expected) == 1 or chisquare([drawn.count(layer) for layer in expected]).pvalue > 1e-3


# Remix -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_remix_gives_the_label_to_the_class_that_is_three_times_rarer(seed):
    # 90 against 30 and 29, 30 against 10, are three times as many; 30 against 29 and 29 against 10 are not
    pairs = torch.tensor([(0, 1), (1, 0), (0, 2), (1, 3), (3, 1), (1, 2), (2, 3), (3, 2), (0, 0)])
    ones = torch.ones(len(pairs), 2, dtype=torch.float64)
    mixed, share = mix(build("remix"), ones, 0 * ones, pairs[:, 0], pairs[:, 1], seed)
    s = mixed[0, 0].item()
    larger_first, smaller_first = (0.0, s) if s < 0.5 else (s, 1.0)
    assert share.tolist() == [larger_first, smaller_first, larger_first, larger_first, smaller_first, s, s, s, s]


def by_the_paper(s, own, other, kappa, tau):
    """Chou et al. 2020, equation 10."""
    if own / other >= kappa and s < tau:
        return 0.0
    return 1.0 if own / other <= 1 / kappa and 1 - s < tau else s


@pytest.mark.parametrize(("kappa", "tau"), [(3.0, 0.5), (1.5, 0.9), (2.0, 0.2), (1.0, 1.0), (3.0, 0.0)])
def test_remix_is_the_formula_of_the_paper(kappa, tau):
    for seed in range(20):
        counts = torch.randint(1, 50, (5,), generator=seeded(seed)).float()
        own, other = torch.randint(5, (2, 40), generator=seeded(seed + 1))
        ones = torch.ones(40, 1, dtype=torch.float64)
        mixed, share = mix(build("remix", kappa=kappa, tau=tau), ones, 0 * ones, own, other, seed, counts)
        s = mixed[0, 0].item()
        expected = [by_the_paper(s, *pair, kappa, tau) for pair in zip(counts[own], counts[other], strict=True)]
        assert share.tolist() == expected


# CMO ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "centre", "sides", "expected"),
    [
        (0.75, (4, 4), (8, 8), (2, 6, 2, 6)),  # a quarter of the area: half of each side
        (0.75, (0, 7), (8, 8), (0, 2, 5, 8)),  # cut at two borders
        (0.36, (4, 3), (9, 6), (1, 7, 1, 5)),  # .8 of 9 and 6 are 7 and 4 whole pixels, of which 7 // 2 = 3 a side
        (1.0, (4, 4), (8, 8), (4, 4, 4, 4)),
        (0.0, (4, 4), (8, 8), (0, 8, 0, 8)),
    ],
)
def test_the_box_by_hand(share, centre, sides, expected):
    rows, columns = box(share, centre, sides)
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 6), (1, 1, 1)])
def test_the_share_is_the_area_that_is_left_and_the_box_comes_from_the_partner(shape):
    method = build("cmo", probability=1.0)
    x, others = torch.rand(2, 4, *shape, generator=seeded(1), dtype=torch.float64)
    for seed in range(30):
        mixed, share = mix(method, x, others, seed=seed)
        pasted = mixed == others
        assert torch.equal(mixed, torch.where(pasted, others, x))
        assert torch.equal(pasted, pasted[:1, :1].expand_as(pasted)), "one box for all images and channels"
        rows, columns = pasted[0, 0].any(1), pasted[0, 0].any(0)
        assert pasted[0, 0].sum() == rows.sum() * columns.sum(), "a rectangle"
        assert share.tolist() == pytest.approx([1 - pasted[0, 0].double().mean().item()] * 4, abs=1e-15)


def test_centres_are_anywhere_and_half_of_the_batches_are_left_alone():
    zeros, ones = black_and_white(1)
    found = [mix(build("cmo"), zeros, ones, seed=seed)[0] for seed in range(2000)]
    assert 0.5 < sum(not mixed.any() for mixed in found) / 2000 < 0.62, "or the box is smaller than two pixels"
    touched = sum(found)[0, 0]
    assert touched.min() > 0
    assert torch.equal(mix(build("cmo", probability=0.0), zeros, ones)[1], torch.ones(1, dtype=torch.float64))


def test_cmo_needs_images():
    with pytest.raises(UserError, match=r"mixing cmo needs images, got inputs of shape \(30,\)"):
        mix(build("cmo"), torch.zeros(4, 30), torch.ones(4, 30))


@pytest.mark.parametrize(
    ("options", "power"),
    [({}, 0), ({"r": 0.5}, 0.5), ({"r": 2.0}, -1), ({"r": 0.0}, 1),
     ({"variant": "paper"}, -1), ({"variant": "paper", "r": 0.5}, -0.5), ({"variant": "paper", "r": 0.0}, 0)],
)  # fmt: skip
@pytest.mark.parametrize("counts", [[300, 40, 5], [60, 0, 1], [9, 3]])
def test_partners_are_drawn_by_a_power_of_the_count_and_uniformly_within_a_class(options, power, counts):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=seeded(5))]
    sampler, shuffle = build("cmo", **options).partners(), seeded(2)
    epochs = 4000 // len(labels) + 1
    drawn = torch.cat(
        [sampler.draw(labels, epoch=0, epochs=1.0, fixed=seeded(), shuffle=shuffle) for _ in range(epochs)]
    )
    weights = np.array([float(n) ** power if n else 0 for n in counts])
    found = labels[drawn].bincount(minlength=len(counts)).numpy()
    present = weights > 0
    assert found[~present].sum() == 0
    assert chisquare(found[present], (weights / weights.sum() * len(drawn))[present]).pvalue > 1e-3
    for label in np.flatnonzero((np.array(counts) > 1) & (found > 10 * np.array(counts))):
        assert chisquare(drawn.bincount(minlength=len(labels))[labels == label].numpy()).pvalue > 1e-3
