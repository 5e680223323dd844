"""BAGAN by the histogram that it leaves, the Gaussians that it draws from, and the layers of the source.

.venv/bin/python -m pytest -n 0 tests/test_bagan.py
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.samplers import _bagan_networks as networks
from counterpoise.methods.samplers import bagan

SMALL = {"steps_autoencoder": 3, "steps_gan": 3, "latent": 6, "width": 4, "batch_size": 16}


def images(counts, shape=(1, 8, 8), seed=0):
    """Return bars from 50 to 200, upright in even classes, at the height of the class in odd ones."""
    random, labels = np.random.default_rng(seed), np.repeat(np.arange(len(counts)), counts)
    x = random.uniform(50, 70, (len(labels), *shape))
    for c in range(len(counts)):
        where = (slice(None), slice(None), slice(c, c + 3)) if c % 2 else (..., slice(c, c + 3))
        own = x[labels == c]
        own[where] += 130
        x[labels == c] = own
    order = random.permutation(len(labels))
    return x[order], labels[order]


def resample(x, y, seed=0, **options):
    return bagan.Method(**{**SMALL, **options}).resample(x, y, (), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("counts", "shape"), [([20, 7, 1], (1, 8, 8)), ([9, 3], (1, 14, 14)), ([5, 5, 0, 2], (3, 9, 6))]
)
def test_every_class_is_filled_to_the_largest_behind_the_real_images(counts, shape):
    x, y = images(counts, shape)
    kept = x.copy(), y.copy()
    before = torch.random.get_rng_state(), str(np.random.get_state(legacy=False))
    made_x, made_y = resample(x, y)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert str(np.random.get_state(legacy=False)) == before[1]
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])
    assert np.bincount(made_y).tolist() == [max(counts) if n else 0 for n in counts]
    assert made_y.dtype == np.int64
    assert made_x.shape == (len(made_y), *shape)
    assert np.array_equal(made_x[: len(x)], x.astype(np.float32))
    assert np.array_equal(made_y[: len(y)], y)
    assert made_x.min() >= x.min() - 1e-3
    assert made_x.max() <= x.max() + 1e-3


def test_the_generator_given_decides_every_byte():
    x, y = images([12, 4, 2])
    first, again, other = resample(x, y), resample(x, y), resample(x, y, seed=1)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0][len(x) :], other[0][len(x) :])
    without = resample(x, y, steps_autoencoder=0)[0]
    assert not np.array_equal(first[0][len(x) :], without[len(x) :])


def test_balanced_images_are_left_alone():
    x, y = images([4, 4])
    made_x, made_y = resample(x, y)
    assert np.array_equal(made_x, x.astype(np.float32))
    assert np.array_equal(made_y, y)


def test_images_of_a_class_with_one_example_are_all_the_same_and_of_others_not():
    x, y = images([8, 1, 3])
    made_x, made_y = resample(x, y)
    new_x, new_y = made_x[len(x) :], made_y[len(x) :]
    assert np.ptp(new_x[new_y == 1], axis=0).max() < 1e-3
    assert np.ptp(new_x[new_y == 2], axis=0).max() > 1e-3


def test_images_constant_to_the_last_pixel_stay_finite():
    made_x, made_y = resample(np.full((5, 1, 8, 8), 7.0), np.array([0, 0, 0, 1, 1]))
    assert made_x.shape == (6, 1, 8, 8)
    assert np.allclose(made_x, 7.0)
    assert np.bincount(made_y).tolist() == [3, 3]


def test_what_is_generated_looks_like_its_class():
    x, y = images([40, 10], seed=3)
    made_x, made_y = resample(x, y, steps_autoencoder=80, steps_gan=10, lr_autoencoder=0.005, width=8)
    means = np.stack([x[y == c].mean(0) for c in range(2)])
    distance = ((made_x[:, None] - means) ** 2).sum((2, 3, 4))
    assert (distance.argmin(1) == made_y)[len(x) :].mean() > 0.9


def test_what_cannot_be_done_is_one_clear_line():
    with pytest.raises(UserError, match="bagan generates images"):
        resample(np.zeros((4, 3)), np.array([0, 0, 0, 1]))
    x, y = images([8, 2])
    with pytest.raises(ImpossibleCell, match="lr_autoencoder"):
        resample(x, y, lr_autoencoder=1e30)
    with pytest.raises(ImpossibleCell, match="lr_gan"):
        resample(x, y, lr_gan=1e38)


def test_the_gaussian_of_each_class_is_that_of_its_latents():
    # class 0: (0, 1), (2, 1), (4, 1) has mean (2, 1) and unbiased variances (4, 0); class 1 is the point (5, -3);
    # class 2: (1, 1), (-1, -1) has mean 0 and covariance 2 everywhere
    x = torch.tensor([[0.0, 1], [2, 1], [4, 1], [5, -3], [1, 1], [-1, -1]]).view(6, 1, 1, 2)
    draw = bagan._gaussians(nn.Flatten(), x, torch.tensor([0, 0, 0, 1, 2, 2]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = torch.stack([draw(torch.full((20_000,), c)) for c in range(3)])
    assert drawn[0].mean(0).tolist() == pytest.approx([2, 1], abs=0.05)
    assert drawn[0, :, 0].var().item() == pytest.approx(4, rel=0.05)
    assert (drawn[0, :, 1] - 1).abs().max() < 1e-4
    assert torch.equal(drawn[1], torch.tensor([5.0, -3]).expand(20_000, 2))
    assert drawn[2].T.cov().flatten().tolist() == pytest.approx([2] * 4, rel=0.05)


def test_an_epoch_holds_each_row_at_most_once_and_whole_batches_only():
    batches = [b.tolist() for b in bagan._batches(10, 4, 6)]
    assert [len(b) for b in batches] == [4] * 6
    for first, second in zip(batches[::2], batches[1::2], strict=True):
        assert len({*first, *second}) == 8
    assert [sorted(b.tolist()) for b in bagan._batches(3, 8, 2)] == [[0, 1, 2]] * 2


def weights(module):
    return [tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv2d)]


def test_at_the_source_s_width_the_layers_are_those_of_the_source():
    # balancing_gan.py at 28 x 28, where the smallest image is 7 x 7, and at 64 x 64, where it is 8 x 8
    assert weights(networks.generator(100, (1, 28, 28), 128)) == [
        (1024, 100), (6272, 1024), (256, 128, 5, 5), (128, 256, 5, 5), (1, 128, 2, 2),
    ]  # fmt: skip
    at_28, features = networks.convolutions((1, 28, 28), 128, 0.3)
    assert weights(at_28) == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 128, 3, 3)]
    assert features == 256 * 7 * 7
    at_64, features = networks.convolutions((3, 64, 64), 128, 0.3)
    assert weights(at_64)[4:] == [(256, 256, 3, 3)] * 2
    assert features == 256 * 8 * 8


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 14, 14), (3, 32, 32), (1, 9, 6), (1, 1, 1), (1, 17, 40)])
def test_images_of_any_shape_come_back_in_it(shape):
    generator, (convolutions, features) = networks.generator(5, shape, 4), networks.convolutions(shape, 4, 0.3)
    made = generator(torch.randn(3, 5))
    assert made.shape == (3, *shape)
    assert made.abs().max() <= 1
    assert convolutions(made).shape == (3, features)


def test_torch_is_imported_only_to_resample():
    code = "import sys; import counterpoise.methods.samplers.bagan as b; b.Method(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
