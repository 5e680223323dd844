"""Methods of training against hand arithmetic, their papers' numbers and independent implementations.

.venv/bin/python -m pytest -n 0 tests/test_methods.py
"""

from math import exp, log

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.training.network import build as build_network


def build(kind, name, **options):
    return registry.build(kind, {"name": name, **options})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def unchanged(images, generator):
    return images


# SimCLR ------------------------------------------------------------------------------------------------------


def nt_xent(first, second, temperature):
    """Chen et al. 2020, equation 1 and algorithm 1, term by term: views 2k - 1 and 2k belong together."""
    views = [row for pair in zip(first, second, strict=True) for row in pair]
    total = 0.0
    for i, z in enumerate(views):
        partner = i + 1 if i % 2 == 0 else i - 1
        similar = [float(z @ v / np.linalg.norm(z) / np.linalg.norm(v)) / temperature for v in views]
        total -= log(exp(similar[partner]) / sum(exp(s) for k, s in enumerate(similar) if k != i))
    return total / len(views)


def contrast(projections, temperature=0.5):
    partner = torch.arange(len(projections)).roll(len(projections) // 2)
    return build("pretraining", "simclr", temperature=temperature).loss(projections, partner, None, None)


def test_nt_xent_of_two_images_by_hand():
    # both views of an image agree and the images are orthogonal: each view sees e^2 once and e^0 twice
    apart = torch.tensor([[3.0, 0], [0, 2], [1, 0], [0, 5]], dtype=torch.float64)
    loss, hits = contrast(apart)
    assert loss.item() == pytest.approx(log(1 + 2 * exp(-2)), rel=1e-12)
    assert hits == 2
    # all views are equal: three choices, nothing to tell them apart
    loss, _ = contrast(torch.ones(4, 3, dtype=torch.float64))
    assert loss.item() == pytest.approx(log(3), rel=1e-12)
    # the partner is opposite, the other image's views are orthogonal
    crossed = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
    loss, hits = contrast(crossed)
    assert loss.item() == pytest.approx(log(1 + 2 * exp(2)), rel=1e-12)
    assert hits == 0


@pytest.mark.parametrize("size", [2, 3, 16])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_nt_xent_is_that_of_the_paper(size, temperature):
    first, second = torch.randn(2, size, 7, generator=seeded(size), dtype=torch.float64)
    loss, _ = contrast(torch.cat([first, second]), temperature)
    assert loss.item() == pytest.approx(nt_xent(first.numpy(), second.numpy(), temperature), rel=1e-10)


def test_simclr_prepares_two_views_and_knows_which_belong_together():
    images, task = torch.rand(6, 1, 8, 8, generator=seeded()), build("pretraining", "simclr")
    augment = build("augmentation", "shift", pixels=3)
    views, partner = task.prepare(images, torch.zeros(6), augment, seeded(4))
    generator = seeded(4)
    assert torch.equal(views[:6], augment(images, generator))
    assert torch.equal(views[6:], augment(images, generator))
    assert partner.tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    assert not torch.equal(views[:6], views[6:])


def test_simclr_without_augmentation_is_a_user_error():
    with pytest.raises(UserError, match=r"set pretrain\.augmentation"):
        build("pretraining", "simclr").prepare(torch.rand(4, 1, 8, 8), torch.zeros(4), unchanged, seeded())


# Rotation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 64, 10, 1])
def test_rotation_turns_each_image_as_rot90_does_the_four_equally_often(size):
    images, task = torch.rand(size, 2, 6, 6, generator=seeded()), build("pretraining", "rotation")
    drawn = set()
    for seed in range(10):
        rotated, turns = task.prepare(images, torch.zeros(size), unchanged, seeded(seed))
        frequency = turns.bincount(minlength=4)
        assert frequency.max() - frequency.min() <= (size % 4 > 0)
        for image, turn, original in zip(rotated, turns.tolist(), images, strict=True):
            assert torch.equal(image, torch.rot90(original, turn, (1, 2)))
        drawn.add(tuple(turns.tolist()))
    assert len(drawn) > 1 or size == 1, "which image gets which turn is drawn for each batch"


def test_one_turn_is_a_quarter_anticlockwise():
    image = torch.tensor([[1.0, 2], [3, 4]])
    rotated, turns = build("pretraining", "rotation").prepare(
        image.expand(4, 1, 2, 2), torch.zeros(4), unchanged, seeded()
    )
    by_turn = {turn: rotated[i, 0].tolist() for i, turn in enumerate(turns.tolist())}
    assert by_turn == {0: [[1, 2], [3, 4]], 1: [[2, 4], [1, 3]], 2: [[4, 3], [2, 1]], 3: [[3, 1], [4, 2]]}


def test_rotation_draws_every_turn_for_every_image():
    turns = [
        build("pretraining", "rotation").prepare(torch.zeros(8, 1, 2, 2), torch.zeros(8), unchanged, seeded(s))[1]
        for s in range(400)
    ]
    shares = torch.nn.functional.one_hot(torch.stack(turns), 4).double().mean(0)
    assert (shares - 0.25).abs().max() < 4.5 * (0.25 * 0.75 / 400) ** 0.5


@pytest.mark.parametrize("shape", [(30,), (1, 8, 6)])
def test_rotation_needs_square_images(shape):
    with pytest.raises(UserError, match="square images"):
        build("pretraining", "rotation").prepare(torch.zeros(4, *shape), torch.zeros(4), unchanged, seeded())


# Augmentation ------------------------------------------------------------------------------------------------


def shifted(image_CHW, dy, dx):
    """Move an image by whole pixels, by slices: down and to the right if positive; black moves in."""
    _, H, W = image_CHW.shape
    out = torch.zeros_like(image_CHW)
    to_y, to_x = slice(max(dy, 0), H + min(dy, 0)), slice(max(dx, 0), W + min(dx, 0))
    from_y, from_x = slice(max(-dy, 0), H + min(-dy, 0)), slice(max(-dx, 0), W + min(-dx, 0))
    out[:, to_y, to_x] = image_CHW[:, from_y, from_x]
    return out


@pytest.mark.parametrize("pixels", [1, 2])
def test_shift_draws_each_of_its_shifts_equally_often_and_moves_channels_together(pixels):
    image, size = torch.rand(2, 5, 7, generator=seeded()), 4000
    out = build("augmentation", "shift", pixels=pixels)(image.expand(size, -1, -1, -1), seeded(1))
    moves = range(-pixels, pixels + 1)
    frequency = [int((out == shifted(image, dy, dx)).all((1, 2, 3)).sum()) for dy in moves for dx in moves]
    assert sum(frequency) == size
    share = 1 / len(frequency)
    assert np.abs(np.array(frequency) / size - share).max() < 4.5 * (share * (1 - share) / size) ** 0.5


STILL = {"shift": 0.0, "scale": 0.0, "rotation": 0.0, "contrast": 0.0, "cutout": 0.0}


def views(count=300, side=9, **options):
    image = 0.5 + torch.rand(1, side, side, generator=seeded(), dtype=torch.float32)
    augment = build("augmentation", "affine_cutout", **{**STILL, **options})
    return image, augment(image.expand(count, -1, -1, -1), seeded(2))


def test_affine_cutout_with_everything_at_zero_is_the_identity():
    image, out = views()
    assert torch.allclose(out, image.expand_as(out), atol=1e-5)


def test_mirror_mirrors_every_second_image():
    image, out = views(mirror=True)
    as_it_was, mirrored = ((out - other).abs().amax((1, 2, 3)) < 1e-4 for other in (image, image.flip(2)))
    assert (as_it_was ^ mirrored).all()
    assert 0.4 < mirrored.double().mean() < 0.6


def test_contrast_multiplies_within_its_range():
    image, out = views(contrast=0.4)
    ratio = out / image
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio), atol=1e-4)
    assert 0.6 <= ratio.min() + 1e-4 < 0.63
    assert 1.37 < ratio.max() - 1e-4 <= 1.4


@pytest.mark.parametrize("side", [9, 14])
def test_cutout_blackens_one_square_of_its_size_and_nothing_else(side):
    image, out = views(side=side, cutout=0.34)
    black = out == 0
    assert torch.allclose(out[~black], image.expand_as(out)[~black], atol=1e-5)
    rows, columns = black.any(3).sum(2), black.any(2).sum(2)
    assert torch.equal(black.sum((1, 2, 3)), (rows * columns)[:, 0]), "a rectangle"
    assert rows.max() == columns.max() == round(0.34 * side + 0.49)
    inside = black[:, 0, side // 2].any(1) & black[:, 0, :, side // 2].any(1)
    assert (rows[inside] - columns[inside]).abs().max() <= 1


def spot(y, x, side=15):
    image = torch.zeros(400, 1, side, side)
    image[:, 0, y, x] = 1
    return image


def centre(out_BCHW):
    """Return the centre of mass of each image, (y, x) in pixels from the middle."""
    side, mass = out_BCHW.shape[-1], out_BCHW.sum((1, 2, 3))
    at = torch.arange(side) - (side - 1) / 2
    return torch.stack([(out_BCHW.sum((1, 3)) * at).sum(1), (out_BCHW.sum((1, 2)) * at).sum(1)], 1) / mass[:, None]


def test_shift_is_a_share_of_the_side_along_each_axis_by_itself():
    moved = centre(build("augmentation", "affine_cutout", **{**STILL, "shift": 0.2})(spot(7, 7), seeded(3)))
    for axis in (0, 1):
        assert 2.8 < moved[:, axis].max() <= 3.001  # a fifth of 15 pixels
        assert -3.001 <= moved[:, axis].min() < -2.8
    assert moved.T.corrcoef()[0, 1].abs() < 0.2


def test_rotation_and_scale_keep_their_units():
    turned = centre(build("augmentation", "affine_cutout", **{**STILL, "rotation": 30.0})(spot(7, 12), seeded(3)))
    angle = torch.atan2(turned[:, 0], turned[:, 1]).rad2deg()
    assert turned.norm(dim=1).sub(5).abs().max() < 0.3
    assert 28 < angle.max() < 32
    assert -32 < angle.min() < -28
    zoomed = centre(build("augmentation", "affine_cutout", **{**STILL, "scale": 0.25})(spot(7, 11), seeded(3)))
    assert 2.8 < zoomed[:, 1].min() < 3.3  # 4 pixels from the middle, times 0.75 to 1.25
    assert 4.7 < zoomed[:, 1].max() < 5.2


# Losses ------------------------------------------------------------------------------------------------------


def test_class_weights_are_scikit_learns_balanced():
    for counts in ([90, 10], [700, 30, 7, 1], [5, 5, 5]):
        labels = np.repeat(np.arange(len(counts)), counts)
        expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
        weights = build("losses", "class_weighted").weights(torch.tensor(counts, dtype=torch.float64))
        assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_an_absent_class_weighs_nothing_and_the_others_as_if_it_did_not_exist():
    weights = build("losses", "class_weighted").weights(torch.tensor([90.0, 0.0, 10.0], dtype=torch.float64))
    assert weights.tolist() == pytest.approx([100 / 180, 0, 100 / 20], rel=1e-12)


def test_class_weighted_loss_and_gradient_by_hand():
    # counts 6 and 2: weights 8 / (2 * 6) = 2/3 and 8 / (2 * 2) = 2; probabilities of class 1: 3/4 and 1/2
    logits = torch.tensor([[0.0, log(3)], [1.0, 1.0]], dtype=torch.float64, requires_grad=True)
    loss = build("losses", "class_weighted")(logits, torch.tensor([0, 1]), torch.tensor([6.0, 2.0]).double())
    assert loss.item() == pytest.approx((2 / 3 * log(4) + 2 * log(2)) / (8 / 3), rel=1e-12)
    loss.backward()
    first, second = (2 / 3) / (8 / 3), 2 / (8 / 3)  # shares of the sum of weights
    expected = [[-3 / 4 * first, 3 / 4 * first], [second / 2, -second / 2]]
    assert logits.grad is not None
    assert np.allclose(logits.grad.tolist(), expected, rtol=1e-12)


def test_equal_counts_make_class_weighted_cross_entropy_plain():
    logits, labels = torch.randn(9, 3, generator=seeded(), dtype=torch.float64), torch.arange(9) % 3
    counts = torch.tensor([20.0, 20.0, 20.0], dtype=torch.float64)
    weighted, plain = (build("losses", name)(logits, labels, counts) for name in ("class_weighted", "cross_entropy"))
    assert torch.allclose(weighted, plain, rtol=1e-12)


def test_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, log(3)], [2.0, 2.0]], dtype=torch.float64)
    loss = build("losses", "cross_entropy")(logits, torch.tensor([0, 1]), torch.tensor([9.0, 1.0]))
    assert loss.item() == pytest.approx((log(4) + log(2)) / 2, rel=1e-12)


# Optimiser and schedules -------------------------------------------------------------------------------------


def test_two_steps_of_sgd_by_hand():
    p = torch.nn.Parameter(torch.tensor([2.0, -1.0], dtype=torch.float64))
    optimizer = build("optimizers", "sgd", lr=0.1, momentum=0.5, weight_decay=0.01).build([p])
    for gradient in ([1.0, 0.0], [0.0, 3.0]):
        p.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
    # v1 = g1 + wd p0 = (1.02, -.01); p1 = p0 - .1 v1 = (1.898, -.999)
    # v2 = .5 v1 + g2 + wd p1 = (.52898, 2.98501); p2 = p1 - .1 v2
    assert p.tolist() == pytest.approx([1.845102, -1.297501], rel=1e-12)


def test_step_decay_drops_once_where_it_says():
    factors = [build("schedules", "step_decay").factor(step, 3000) for step in range(3000)]
    assert factors == [1.0] * 2400 + [0.1] * 600
    factors = [build("schedules", "step_decay", at=0.5, gamma=0.2).factor(step, 5) for step in range(5)]
    assert factors == [1.0, 1.0, 1.0, 0.2, 0.2]
    assert build("schedules", "step_decay").factor(0, 1) == 1.0


def test_constant_stays_at_the_peak_to_the_last_step():
    assert {build("schedules", "constant").factor(step, 7) for step in range(7)} == {1.0}


# Models ------------------------------------------------------------------------------------------------------


def parameters(name, shape, **options):
    net = build_network(build("models", name, **options), build("heads", "linear"), shape, 10, 0)
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "count"),
    [
        ("lenet5", (1, 28, 28), 431_080),  # 520 + 25,050 + 400,500 + 5,010, as Caffe's LeNet
        ("cnn", (1, 14, 14), 11_178),  # 80 + 1,168 + 16 * 3 * 3 * 64 + 64 + 650
        ("cnn", (1, 28, 28), 52_138),  # the hidden layer sees 7 x 7
        ("digits_cnn", (1, 8, 8), 9_802),  # 80 + 1,168 + 16 * 4 * 4 * 32 + 32 + 330
        ("mlp", (1, 14, 14), 17_418),  # 196 * 64 + 64 + 64 * 64 + 64 + 650
        ("mlp", (30,), 6_794),
    ],
)
def test_the_number_of_parameters_for_ten_classes(name, shape, count):
    assert parameters(name, shape) == count


def test_options_of_models_change_their_layers():
    assert parameters("mlp", (4,), hidden=(5,)) == 4 * 5 + 5 + 5 * 10 + 10
    assert parameters("cnn", (3, 4, 4), channels=(2, 3), hidden=5) == (3 * 2 * 9 + 2) + (2 * 3 * 9 + 3) + 20 + 60


def layers(name, shape):
    return [type(layer).__name__ for layer in build("models", name).encoder(shape)[0]]


def test_lenet_rectifies_after_the_hidden_layer_only_as_caffes_example_does():
    named = ["Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Flatten", "Linear", "ReLU"]
    assert layers("lenet5", (1, 28, 28)) == named
    encoder, _ = build("models", "lenet5").encoder((1, 28, 28))
    limit = (6 / (25 + 20 * 25)) ** 0.5  # Glorot: fan in 1 * 5 * 5, fan out 20 * 5 * 5
    assert 0.95 * limit < encoder[0].weight.abs().max() <= limit
    assert not encoder[0].bias.any()


def test_the_head_can_be_swapped_without_touching_the_encoder():
    supervised, rotation = (
        build_network(build("models", "cnn"), build(*task), (1, 14, 14), 10, 3)
        for task in (("heads", "linear"), ("pretraining", "rotation"))
    )
    assert rotation.head.out_features == 4
    for mine, other in zip(supervised.encoder.parameters(), rotation.encoder.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_decision_tree_follows_from_its_seed_and_keeps_its_leaves():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, (300, 6)).astype(np.float32), rng.integers(0, 3, 300)
    fresh = rng.integers(0, 4, (100, 6)).astype(np.float32)
    trees = [build("models", "decision_tree").fit(x, y, seed) for seed in (7, 7, 8)]
    same, again, other = (tree.predict_proba(fresh) for tree in trees)
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)
    bushy = build("models", "decision_tree", min_samples_leaf=20).fit(x, y, 7)
    assert np.bincount(bushy.apply(x))[np.unique(bushy.apply(x))].min() >= 20


def test_a_tree_is_grown_until_its_leaves_are_pure():
    x = np.random.default_rng(1).normal(size=(200, 3))
    y = np.arange(200) % 4
    assert (build("models", "decision_tree").fit(x, y, 0).predict(x) == y).all()
