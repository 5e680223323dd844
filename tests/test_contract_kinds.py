"""What a method of each kind must do, held for every file of that kind that is found.

.venv/bin/python -m pytest -n 0 tests/test_contract_kinds.py
"""

import random
import re
from contextlib import contextmanager

import numpy as np
import pytest
import sklearn.ensemble  # noqa: F401  its first import moves Python's own random state
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from counterpoise import registry
from counterpoise.data import targets
from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.scoring.evidence import Evidence, Scores
from counterpoise.training import loop
from counterpoise.training.network import build as build_network
from counterpoise.training.phases import Phase, Step

# What a method cannot do without; whatever is not here must work at its defaults.
NEEDED = {
    "step": {"minority_count": 3},
    "table": {
        "path": "own.csv",
        "target": "y",
        "kinds": {"x": "numeric"},
        "classes": ["no", "yes"],
        "counts": [3, 2],
        "sha256": "0" * 64,
    },
    "image_folder": {"path": "photos", "classes": ["a", "b"], "counts": [3, 2], "sha256": "0" * 64},
    "bagan": {"steps_autoencoder": 3, "steps_gan": 3},
}


def each(kind):
    return pytest.mark.parametrize("name", registry.names(kind))


def build(kind, name):
    return registry.build(kind, {"name": name, **NEEDED.get(name, {})})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@contextmanager
def global_randomness_untouched():
    before = torch.random.get_rng_state(), str(np.random.get_state(legacy=False)), random.getstate()
    yield
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert str(np.random.get_state(legacy=False)) == before[1]
    assert random.getstate() == before[2]


# Data sets ---------------------------------------------------------------------------------------------------

OWN = [n for n in registry.names("datasets") if "path" in registry.options("datasets", n)]  # files of the user's


@each("datasets")
def test_a_data_set_says_what_it_is(name):
    data = build("datasets", name)
    assert data.kind in ("image", "table")
    assert len(data.shape) == {"image": 3, "table": 1}[data.kind]
    assert all(type(side) is int and side > 0 for side in data.shape)
    assert len(set(data.classes)) == len(data.classes) == len(data.train_counts) > 1
    assert all(type(c) is str and c for c in data.classes)
    assert all(type(n) is int and n > 0 for n in data.train_counts)
    assert re.fullmatch("[0-9a-f]{64}", data.data_hash)
    for url, checksum in data.files.values():
        assert re.match("file://" if name in OWN else "https?://", url)
        assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", checksum)
    assert ("pool" in registry.options("datasets", name)) == (data.kind == "image")


PACKAGED = [n for n in registry.names("datasets") if not build("datasets", n).files]


@pytest.mark.parametrize("name", PACKAGED)
def test_a_data_set_that_comes_in_a_package_is_what_it_says(name):
    data = build("datasets", name)
    train_x, train_y, test_x, test_y = data.read(None)
    assert train_x.shape[1:] == test_x.shape[1:] == data.shape
    assert train_x.dtype == test_x.dtype
    assert train_x.dtype in ((np.float64,) if hasattr(data, "columns") else (np.uint8, np.float32))
    if hasattr(data, "quantity"):
        assert train_y.dtype == test_y.dtype == np.float64
        edges = targets.edges(train_y, len(data.classes))
        train_y, test_y = targets.bins(train_y, edges), targets.bins(test_y, edges)
    assert train_y.dtype == test_y.dtype == np.int64
    assert np.bincount(train_y).tolist() == list(data.train_counts)
    if len(test_y) or not hasattr(data, "columns"):
        assert set(test_y.tolist()) == set(range(len(data.classes)))


# Imbalance ---------------------------------------------------------------------------------------------------


@each("imbalance")
def test_an_imbalance_counts_real_examples(name):
    method, available = build("imbalance", name), np.array([400, 500, 450, 300, 420])
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(5)
        kept = available.copy(), order.copy()
        with global_randomness_untouched():
            counts = method.counts(available, order)
        assert counts.dtype == np.int64
        assert (counts >= 1).all()
        assert (counts <= available).all()
        assert np.array_equal(counts, method.counts(available, order))
        assert np.array_equal(available, kept[0])
        assert np.array_equal(order, kept[1])


@each("imbalance")
def test_an_imbalance_follows_the_order_not_the_class_ids(name):
    method, available, order = build("imbalance", name), np.full(5, 400), np.arange(5)
    reference = method.counts(available, order)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5)
        assert np.array_equal(method.counts(available, order)[order], reference)


@each("imbalance")
def test_an_imbalance_caps_the_largest_class_and_refuses_what_is_not_there(name):
    options = {"name": name, **NEEDED.get(name, {})}
    capped = registry.build("imbalance", {**options, "per_class": 200})
    assert capped.counts(np.full(4, 400), np.arange(4)).max() == 200
    for available in ([0, 500, 500, 500], [500, 500, 500, 0]):
        with pytest.raises(ImpossibleCell, match="class"):
            capped.counts(np.array(available), np.arange(4))


# Samplers ----------------------------------------------------------------------------------------------------


def epoch_of(name, labels, epoch=0, seed=0):
    return build("samplers", name).draw(
        labels, epoch=epoch, epochs=3.5, fixed=seeded(seed), shuffle=seeded(100 + 10 * seed + epoch)
    )


DRAWING = [n for n in registry.names("samplers") if hasattr(registry.method("samplers", n), "draw")]
MAKING = [n for n in registry.names("samplers") if n not in DRAWING]


@pytest.mark.parametrize("name", MAKING)
@pytest.mark.parametrize("counts", [[60, 20, 7, 2], [25, 6], [12, 1], [5]])
def test_a_sampler_makes_rows_of_the_same_kind_or_says_why_not(name, counts):
    y = np.random.default_rng(0).permutation(np.arange(len(counts)).repeat(counts))
    x = np.random.default_rng(1).normal(size=(len(y), 4)) + y[:, None]
    columns = tuple(Column(f"x{d}") for d in range(4))
    if name == "smote_nc":
        x[:, 3], columns = y % 2, (*columns[:3], Column("c", "categorical", ("a", "b")))
    if name in ("bagan",):
        x, columns = np.random.default_rng(1).uniform(0, 255, (len(y), 1, 8, 8)), ()
    kept = x.copy(), y.copy()
    sampler = build("samplers", name)
    assert hasattr(sampler, "resample")
    try:
        with global_randomness_untouched():
            made = [sampler.resample(x, y, columns, np.random.default_rng(5)) for _ in range(2)]
    except ImpossibleCell:
        assert min(counts) < 7 or len(counts) == 1, "classes of seven examples are enough for anything"
        return
    (made_x, made_y), again = made
    assert made_x.shape[1:] == x.shape[1:]
    assert np.isfinite(made_x).all()
    assert made_y.dtype == np.int64
    assert len(made_x) == len(made_y) > 0
    assert set(made_y.tolist()) <= set(y.tolist())
    assert np.array_equal(made_x, again[0])
    assert np.array_equal(made_y, again[1])
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("counts", [[60, 20, 7, 1], [30, 0, 4], [0, 9, 2], [12, 3], [1, 1], [5]])
def test_a_sampler_gives_valid_positions_from_its_generators_alone(name, counts):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=seeded(1))]
    kept = labels.clone()
    for epoch in range(5):
        with global_randomness_untouched():
            positions = epoch_of(name, labels, epoch)
        assert positions.dtype == torch.int64
        assert positions.ndim == 1
        assert len(positions) > 0
        assert positions.min() >= 0
        assert positions.max() < len(labels)
        assert torch.equal(positions, epoch_of(name, labels, epoch))
    assert torch.equal(labels, kept)


REDRAWING = [n for n in registry.names("samplers") if hasattr(registry.method("samplers", n), "redraw")]


@pytest.mark.parametrize("name", REDRAWING)
def test_a_sampler_redraws_within_what_is_there(name):
    redraw = build("samplers", name).redraw
    counts = redraw(np.array([90, 8, 4]), np.array([100, 100, 100]))
    assert counts.dtype == np.int64
    assert (counts >= 1).all()
    assert counts.sum() == 102, "another number of examples is another budget"
    with pytest.raises(ImpossibleCell, match="class 2"):
        redraw(np.array([90, 8, 4]), np.array([100, 100, 4]))


# Losses ------------------------------------------------------------------------------------------------------

COUNTS = {  # counts_C and a batch of labels that such a training part can give
    "three": ([80.0, 15.0, 5.0], [0, 0, 1, 2, 0, 1]),
    "two": ([90.0, 10.0], [0, 1, 0, 0, 1, 0]),
    "one example": ([50.0, 7.0, 1.0], [0, 0, 2, 0, 1, 0]),
    "an absent class": ([50.0, 0.0, 7.0], [0, 2, 2, 0, 0, 0]),
    "one class in the batch": ([50.0, 5.0, 7.0], [1, 1, 1, 1, 1, 1]),
}
every_count = pytest.mark.parametrize("case", COUNTS)


def batch(case, seed=0, scale=1.0, dtype=torch.float64):
    counts, labels = COUNTS[case]
    logits = normal(len(labels), len(counts), seed=seed, dtype=dtype) * scale
    return logits, torch.tensor(labels), torch.tensor(counts, dtype=dtype)


FEATURES = 6


def batch_of(name, case, seed=0, dtype=torch.float64):
    """Return a batch with as many outputs as the head of a loss has."""
    _, labels, counts = batch(case, seed, dtype=dtype)
    width = getattr(build("losses", name), "outputs", int)(len(counts))
    return normal(len(labels), width, seed=seed, dtype=dtype), labels, counts


def target_of(labels, dtype):
    return labels.to(dtype) + 0.3 * normal(len(labels), seed=9, dtype=dtype)


def scored(name, case, seed=0, dtype=torch.float64):
    """Return logits, labels, counts and the loss as a function of these three, given whatever else it asks for."""
    logits, labels, counts = batch_of(name, case, seed, dtype)
    loss = build("losses", name)
    given = {
        "class_weights_C": lambda: None,
        "features_BD": lambda: normal(len(labels), FEATURES, seed=seed + 7, dtype=dtype),
        "progress": lambda: 0.9,
        "noise": lambda: loss.draw(labels, counts, seeded(5)).to(dtype),
        "extra": lambda: extra_of(loss, len(counts)).to(dtype),
        "target_B": lambda: target_of(labels, dtype),
        "importance_BK": lambda: torch.from_numpy(loss.importance(target_of(labels, dtype).numpy())).to(dtype),
    }
    given = {key: given[key]() for key in getattr(loss, "uses", ())}
    return logits, labels, counts, lambda z, y, n, **changed: loss(z, y, n, **given | changed)


def extra_of(loss, classes):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return loss.module(FEATURES, classes)


def of_target(name, labels):
    """Return what a loss of a regression is given beside the outputs."""
    loss, target = build("losses", name), target_of(labels, torch.float64)
    given = {"target_B": target} if hasattr(loss, "outputs") else {}
    return given | (
        {"importance_BK": torch.from_numpy(loss.importance(target.numpy()))} if hasattr(loss, "importance") else {}
    )


@each("losses")
def test_a_loss_asks_for_what_there_is(name):
    loss = build("losses", name)
    uses = set(getattr(loss, "uses", ()))
    assert uses <= {"class_weights_C", "features_BD", "progress", "noise", "extra", "target_B", "importance_BK"}
    assert ("target_B" in uses) == hasattr(loss, "outputs")
    assert ("importance_BK" in uses) == hasattr(loss, "importance")
    assert ("noise" in uses) == hasattr(loss, "draw")
    assert ("extra" in uses) == hasattr(loss, "module")


WEIGHED = [n for n in registry.names("losses") if "class_weights_C" in getattr(build("losses", n), "uses", ())]


@pytest.mark.parametrize("name", WEIGHED)
@every_count
def test_a_loss_with_weights_of_one_is_the_loss_without(name, case):
    logits, labels, counts, loss = scored(name, case)
    ones = loss(logits, labels, counts, class_weights_C=torch.ones_like(counts))
    assert torch.allclose(ones, loss(logits, labels, counts), rtol=1e-12)
    assert loss(logits, labels, counts, class_weights_C=counts.clamp(min=1) ** -0.5).isfinite()


@each("losses")
@every_count
def test_a_loss_is_a_scalar_whose_gradient_is_the_central_difference(name, case):
    logits, labels, counts, loss = scored(name, case)
    kept = logits.clone(), counts.clone()
    with global_randomness_untouched():
        value = loss(logits, labels, counts)
    assert value.shape == ()
    assert value.dtype == torch.float64
    assert torch.equal(logits, kept[0])
    assert torch.equal(counts, kept[1])
    derivative = grad(lambda z: loss(z, labels, counts))(logits)
    numeric, h = torch.zeros_like(logits), 1e-5
    for index in np.ndindex(*logits.shape):
        step = torch.zeros_like(logits)
        step[index] = h
        numeric[index] = (loss(logits + step, labels, counts) - loss(logits - step, labels, counts)) / (2 * h)
    assert torch.allclose(derivative, numeric, rtol=1e-6, atol=1e-8)
    assert derivative.abs().max() > 1e-3, "nothing would be learned"


@each("losses")
@every_count
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_loss_stays_finite_at_extreme_logits(name, case, dtype):
    for scale in (1e4, -1e4):
        logits, labels, counts, loss = scored(name, case, dtype=dtype)
        logits = (logits.sign() * scale).requires_grad_()
        value = loss(logits, labels, counts)
        value.backward()
        assert value.isfinite()
        assert logits.grad.isfinite().all()


@each("losses")
def test_a_loss_says_when_it_is_not_a_number_and_takes_a_batch_of_one(name):
    logits, labels, counts, loss = scored(name, "three")
    assert not loss(torch.full_like(logits, torch.nan), labels, counts).isfinite(), "divergence would be hidden"
    alone = {"features_BD": normal(1, FEATURES)} if "features_BD" in getattr(build("losses", name), "uses", ()) else {}
    if hasattr(build("losses", name), "draw"):
        alone["noise"] = build("losses", name).draw(labels[3:4], counts, seeded(5))
    alone |= of_target(name, labels[3:4])
    assert loss(logits[3:4], labels[3:4], counts, **alone).isfinite()


@each("losses")
@every_count
def test_a_loss_can_be_mapped_over_networks(name, case):
    stacked = torch.stack([batch_of(name, case, seed=s)[0] for s in range(3)])
    _, labels, counts, loss = scored(name, case)
    for function in (loss, grad(loss)):
        together = vmap(function, in_dims=(0, None, None))(stacked, labels, counts)
        alone = torch.stack([function(logits, labels, counts) for logits in stacked])
        assert torch.allclose(together, alone, rtol=1e-12)
        per_network = vmap(function)(stacked, labels.expand(3, -1), counts.expand(3, -1))
        assert torch.allclose(per_network, alone, rtol=1e-12)


@each("losses")
def test_a_loss_neither_names_a_device_nor_looks_at_values(name):
    # tensors without data: whatever asks for a value, or mixes in a tensor of the CPU, fails here
    logits, labels, counts = (t.to("meta") for t in batch_of(name, "three"))
    uses = getattr(build("losses", name), "uses", ())
    features = {"features_BD": normal(6, FEATURES).to("meta")} if "features_BD" in uses else {}
    if "noise" in uses:
        features["noise"] = build("losses", name).draw(*batch("three")[1:], seeded()).to("meta")
    if "extra" in uses:
        features["extra"] = extra_of(build("losses", name), 3).to("meta")
    features |= {key: value.to("meta") for key, value in of_target(name, batch("three")[1]).items()}
    loss = scored(name, "three")[3]
    assert loss(logits, labels, counts, **features).device.type == "meta"


# Mixing and heads --------------------------------------------------------------------------------------------

MIXING = [n for n in registry.names("mixing") if n != "none"]


@pytest.mark.parametrize("name", MIXING)
def test_mixing_gives_inputs_and_shares_and_depends_on_its_generator_alone(name):
    method, images = build("mixing", name), torch.rand(24, 1, 8, 8, generator=seeded(1))
    labels = torch.tensor([0] * 14 + [1] * 7 + [2] * 3)
    order, counts = torch.randperm(24, generator=seeded(2)), torch.tensor([140.0, 70.0, 3.0])
    kept = images.clone()

    def mixed(seed):
        return method.mix(images, images[order], labels, labels[order], counts, seeded(seed))

    with global_randomness_untouched():
        found = [mixed(seed) for seed in range(8)]
    assert torch.equal(images, kept)
    for x, share in found:
        assert x.shape == images.shape
        assert share.shape == (24,)
        assert ((share >= 0) & (share <= 1)).all()
        assert x.isfinite().all()
    assert all(torch.equal(a, b) for a, b in zip(found[0], mixed(0), strict=True))
    assert not all(torch.equal(found[0][0], x) for x, _ in found[1:])
    x, share = method.mix(images[:1], images[:1], labels[:1], labels[:1], counts, seeded())
    assert torch.allclose(x, images[:1]), "an example mixed with itself is itself"


@each("heads")
@pytest.mark.parametrize("classes", [2, 7])
def test_a_head_gives_one_output_a_class_and_follows_from_the_seed(name, classes):
    def head():
        torch.manual_seed(3)
        return build("heads", name).head(9, classes)

    with torch.random.fork_rng(devices=[]):
        first, second = head(), head()
    x = normal(4, 9, dtype=torch.float32)
    assert first(x).shape == (4, classes)
    assert torch.equal(first(x), second(x))
    assert first(torch.zeros(1, 9)).isfinite().all()


# Augmentation ------------------------------------------------------------------------------------------------


@each("augmentation")
@pytest.mark.parametrize("shape", [(8, 1, 8, 8), (1, 1, 8, 8), (8, 3, 9, 6)])
def test_an_augmentation_keeps_shape_type_and_input_and_depends_on_its_generator_alone(name, shape):
    method = build("augmentation", name)
    images = torch.rand(shape, generator=seeded(1)) * 255
    kept = images.clone()
    with global_randomness_untouched():
        out = method(images, seeded())
    assert out.shape == images.shape
    assert out.dtype == images.dtype
    assert out.isfinite().all()
    assert torch.equal(images, kept)
    assert torch.equal(out, method(images, seeded()))
    others = [method(images, seeded(seed)) for seed in range(1, 9)]
    assert (name == "none") == all(torch.equal(out, other) for other in others)


@each("augmentation")
def test_an_augmentation_treats_each_image_by_itself_and_black_as_nothing(name):
    method = build("augmentation", name)
    same = torch.rand(1, 1, 8, 8, generator=seeded(1)).expand(16, 1, 8, 8)
    views = method(same, seeded())
    assert (name == "none") == bool((views == views[:1]).all())
    assert not method(torch.zeros(4, 1, 8, 8), seeded()).any()


@pytest.mark.parametrize("kind", ["augmentation", "mixing"])
def test_what_does_not_say_that_it_takes_images_takes_a_table(kind):
    rows, labels = normal(8, 5), torch.arange(8) % 3
    for name in (n for n in registry.names(kind) if n != "none"):
        method = build(kind, name)
        try:
            if kind == "mixing":
                method.mix(rows, rows.flip(0), labels, labels.flip(0), torch.tensor([9.0, 5.0, 2.0]), seeded())
            else:
                method(rows, seeded())
            taken = True
        except (ValueError, IndexError, UserError):
            taken = False
        assert taken != getattr(method, "images", False), name


# Models ------------------------------------------------------------------------------------------------------

SHAPES = [(1, 28, 28), (3, 32, 32), (1, 16, 16), (1, 14, 14), (1, 8, 8), (1, 4, 4), (1, 2, 2), (1, 1, 1), (30,), (1,)]
NEURAL = [n for n in registry.names("models") if not getattr(registry.method("models", n), "classical", False)]
REGRESSORS = [n for n in registry.names("models") if hasattr(registry.method("models", n), "regressor")]
CLASSICAL = [n for n in registry.names("models") if n not in (*NEURAL, *REGRESSORS)]


def net_of(name, shape, seed=0):
    return build_network(build("models", name), registry.build("heads", {"name": "linear"}), shape, 4, seed)


@pytest.mark.parametrize("name", NEURAL)
def test_a_model_takes_a_shape_or_says_which_it_takes(name):
    taken, model = 0, build("models", name)
    for shape in SHAPES:
        try:
            encoder, features = model.encoder(shape)
        except UserError:
            message = rf"^model {name} needs .+, got inputs of shape {re.escape(str(shape))}$"
            with pytest.raises(UserError, match=message):
                model.encoder(shape)
            continue
        taken += 1
        for size in (1, 5):
            out = encoder(normal(size, *shape, dtype=torch.float32))
            assert out.shape == (size, features)
            assert out.isfinite().all()
    assert taken, "no shape of this test suits it: add one"


@pytest.mark.parametrize("name", NEURAL)
def test_a_network_follows_from_the_seed_alone_and_can_be_stacked(name):
    shape = (1, 28, 28)
    with global_randomness_untouched():
        first, again, other = net_of(name, shape), net_of(name, shape), net_of(name, shape, seed=1)
    for mine, same, another in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, same)
        assert not torch.equal(mine, another) or mine.unique().numel() == 1
    x = normal(3, *shape, dtype=torch.float32)
    parameters, buffers = stack_module_state([first, other])
    together = vmap(lambda p, b: functional_call(first, (p, b), (x,)))(parameters, buffers)
    assert torch.allclose(together, torch.stack([first(x), other(x)]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_classical_model_gives_probabilities_that_follow_from_the_seed(name):
    model = build("models", name)
    classes = 2 if getattr(model, "binary", False) else 3
    x, y = normal(60, 5).numpy(), np.arange(60) % classes
    with global_randomness_untouched():
        given = [model.fit(x, y, seed).predict_proba(x[:7]) for seed in (0, 0)]
    assert given[0].shape == (7, classes)
    assert np.allclose(given[0].sum(1), 1)
    assert np.array_equal(given[0], given[1])


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regressor_gives_values_that_follow_from_the_seed_and_takes_weights_as_it_says(name):
    model = build("models", name)
    x = normal(60, 3).numpy()
    target = x @ [3.0, -1.0, 0.0] + 5
    with global_randomness_untouched():
        given = [model.fit(x, target, seed).predict(x[:50]) for seed in (0, 0)]
    assert given[0].shape == (50,)
    assert np.array_equal(given[0], given[1])
    assert np.corrcoef(given[0], target[:50])[0, 1] > 0.7
    weighted = model.fit(x, target, 0, np.where(target > 5, 100.0, 1e-3)).predict(x[:50])
    assert model.weighted != np.array_equal(weighted, given[0])
    if model.missing:
        x[3, 1] = np.nan
        assert np.isfinite(model.fit(x, target, 0).predict(x)).all()


# Optimisers and schedules ------------------------------------------------------------------------------------


@each("optimizers")
def test_an_optimiser_moves_its_parameters_at_the_rate_it_is_given_and_keeps_tensors(name):
    method = build("optimizers", name)
    net = nn.Linear(3, 2)
    optimizer = method.build(net.parameters())
    assert [group["lr"] for group in optimizer.param_groups] == [method.lr] * len(optimizer.param_groups)
    x = normal(8, 3, dtype=torch.float32)

    def step():
        before = [p.detach().clone() for p in net.parameters()]
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        return sum((p - b).abs().sum().item() for p, b in zip(net.parameters(), before, strict=True))

    first = net(x).square().mean()
    assert all(step() > 0 for _ in range(20))
    assert net(x).square().mean() < first
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    assert step() == 0, "the schedule must be able to stop it"
    for held in optimizer.state.values():
        assert all(isinstance(value, torch.Tensor) for value in held.values()), "a checkpoint keeps tensors only"


@each("schedules")
@pytest.mark.parametrize("steps", [1, 2, 20, 333, 3000])
def test_a_schedule_is_a_share_of_the_peak(name, steps):
    method = build("schedules", name)
    factors = [method.factor(step, steps) for step in range(steps)]
    assert all(type(f) is float and 0 <= f <= 1 for f in factors)
    assert max(factors) == 1 or steps < 20, "the peak learning rate is reached"
    assert factors == [method.factor(step, steps) for step in range(steps)]


# Pretraining tasks and fine-tuning strategies ----------------------------------------------------------------

TASKS = [n for n in registry.names("pretraining") if hasattr(registry.method("pretraining", n), "prepare")]
LEARNS_LABELS = {"supervised", "separate_corpora"}
STRATEGIES = [n for n in registry.names("finetuning") if hasattr(registry.method("finetuning", n), "phases")]


def prepared(name, seed=0):
    images, labels = torch.rand(8, 1, 8, 8, generator=seeded(3)) * 255, torch.arange(8) % 3
    return build("pretraining", name).prepare(images, labels, build("augmentation", "affine_cutout"), seeded(seed))


def test_what_neither_pretrains_nor_trains_is_known_by_name():
    assert set(registry.names("pretraining")) - set(TASKS) == {"none", "checkpoint"} | LEARNS_LABELS
    assert set(registry.names("finetuning")) - set(STRATEGIES) == {"fit"}, "`fit` is the strategy of classical models"


@pytest.mark.parametrize("name", TASKS)
def test_a_task_prepares_and_scores_a_batch(name):
    task, images = build("pretraining", name), torch.rand(8, 1, 8, 8, generator=seeded(3)) * 255
    kept = images.clone()
    with global_randomness_untouched():
        inputs, targets = task.prepare(images, torch.arange(8) % 3, build("augmentation", "affine_cutout"), seeded())
    assert torch.equal(images, kept)
    assert inputs.shape[1:] == images.shape[1:]
    assert len(inputs) == len(targets)
    assert len(inputs) % 8 == 0
    for mine, same in zip((inputs, targets), prepared(name), strict=True):
        assert torch.equal(mine, same)
    assert not torch.equal(inputs, prepared(name, seed=9)[0])
    assert type(task.transfers_head) is bool
    outputs = task.head(12, 3).double()(normal(len(inputs), 12))
    loss, hits = task.loss(outputs, targets, build("losses", "cross_entropy"), torch.tensor([5.0, 3.0, 2.0]))
    assert loss.shape == ()
    assert loss.isfinite()
    assert int(hits) == hits
    assert 0 <= int(hits) <= 8


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_of_a_task_flows_and_stays_finite(name):
    task, targets = build("pretraining", name), prepared(name)[1]
    counts, criterion = torch.tensor([5.0, 3.0, 2.0], dtype=torch.float64), build("losses", "cross_entropy")
    outputs = task.head(12, 3).double()(normal(len(targets), 12)).detach().requires_grad_()

    def score(z):
        return task.loss(z, targets, criterion, counts)[0]

    assert torch.autograd.gradcheck(score, outputs)
    for scale in (1e4, 0.0):
        extreme = (outputs.detach().sign() * scale).requires_grad_()
        value = score(extreme)
        value.backward()
        assert value.isfinite()
        assert extreme.grad.isfinite().all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_spends_the_steps_it_is_given(name):
    method = build("finetuning", name)
    kinds = {
        "task": ("pretraining", "supervised"),
        "sampler": ("samplers", "none"),
        "loss": ("losses", "cross_entropy"),
        "augmentation": ("augmentation", "none"),
        "optimizer": ("optimizers", "sgd"),
        "schedule": ("schedules", "constant"),
    }
    if name == "ride_router":
        kinds["ensemble"] = ("ensembles", "plain_average")
    given = Phase(steps=90, batch_size=16, **{role: build(*method) for role, method in kinds.items()})
    phases = method.phases(given)
    assert phases
    assert all(isinstance(phase, Phase) for phase in phases)
    assert sum(phase.steps for phase in phases) == 90, "equal gradient steps for every case"
    assert type(method.fresh_head) is bool
    assert phases == method.phases(given)


# Semi-supervised learning ------------------------------------------------------------------------------------

SEMI = [n for n in registry.names("semi_supervised") if n != "none"]
LABELLED = {  # training counts of each class and a batch that such a training part can give
    "three classes": ([80.0, 15.0, 5.0], [0, 1, 0, 2, 0, 0]),
    "two classes": ([90.0, 10.0], [0, 1, 0, 0]),
    "one example of a class": ([50.0, 7.0, 1.0], [0, 1, 2]),
    "an absent class": ([50.0, 0.0, 7.0], [0, 2, 0, 0]),
    "a batch of one": ([50.0, 7.0, 5.0], [1]),
}


def semi_step(name, case="three classes", number=50, brightness=255.0, **changed):
    """Return a step of 100 on bright labelled and unlabelled images, and the generators that it was asked for."""
    method, (counts, labels) = build("semi_supervised", name), LABELLED[case]
    phase = Phase(
        steps=100,
        batch_size=len(labels),
        task=method,
        sampler=build("samplers", "none"),
        loss=build("losses", "cross_entropy"),
        augmentation=build("augmentation", "shift"),
        optimizer=build("optimizers", "sgd"),
        schedule=build("schedules", "constant"),
    )
    net = build_network(build("models", "mlp"), build("heads", "linear"), (1, 8, 8), len(counts), 0)
    net.head.weight.data *= 30  # certain enough for its own labels to count
    loop.add_extra(net, [phase], "train", 0)
    images = torch.rand(len(labels) * (1 + method.unlabelled_ratio), 1, 8, 8, generator=seeded(3)) * brightness
    sample = loop.Sample(images.numpy(), np.arange(len(labels)), np.array(labels), [100.0], [50.0])
    seen = images.split([len(labels), len(labels) * method.unlabelled_ratio])
    given = {"unlabelled_B": seen[1], "stream": lambda purpose: seeded(sum(map(ord, purpose)))} | changed
    return Step(net, phase, sample, torch.tensor(counts), None, number, seen[0], torch.tensor(labels), **given)


@pytest.mark.parametrize("name", SEMI)
def test_what_learns_from_unlabelled_examples_says_how_many(name):
    method = build("semi_supervised", name)
    assert type(method.unlabelled_ratio) is int
    assert method.unlabelled_ratio >= 1
    with pytest.raises(UserError, match=f"^{name} needs unlabelled examples: set unlabelled.per_class$"):
        method.objective(semi_step(name, unlabelled_B=None))


@pytest.mark.parametrize("name", SEMI)
@pytest.mark.parametrize("case", LABELLED)
def test_unlabelled_examples_give_a_loss_that_flows_and_depends_on_the_step_alone(name, case):
    found = []
    for _ in range(2):
        step = semi_step(name, case)
        kept = step.images_B.clone(), step.unlabelled_B.clone()
        with global_randomness_untouched():
            loss, hits = step.phase.task.objective(step)
        assert torch.equal(step.images_B, kept[0])
        assert torch.equal(step.unlabelled_B, kept[1])
        assert loss.shape == ()
        assert loss.isfinite()
        assert 0 <= int(hits) <= len(step.labels_B)
        loss.backward()
        own = {**dict(step.net.encoder.named_parameters()), **dict(step.net.head.named_parameters())}
        assert all(p.grad is not None and p.grad.isfinite().all() for p in own.values())
        found.append([loss, *(p.grad for p in own.values())])
        assert not any(p.grad is not None for p in step.net.extra.parameters() if not p.requires_grad)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("name", SEMI)
def test_unlabelled_examples_matter_and_extreme_ones_leave_the_loss_finite(name):
    plain = semi_step(name)
    darker = semi_step(name, unlabelled_B=plain.unlabelled_B.flip(0) * 0.2)
    gradients = []
    for step in (plain, darker):
        step.phase.task.objective(step)[0].backward()
        gradients.append(next(step.net.encoder.parameters()).grad)
    assert not torch.equal(*gradients)
    for brightness in (0.0, 1e5):
        step = semi_step(name, brightness=brightness)
        loss, _ = step.phase.task.objective(step)
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad.isfinite().all() for p in step.net.head.parameters())


@pytest.mark.parametrize("name", SEMI)
def test_what_is_remembered_of_unlabelled_examples_is_in_the_checkpoint(name):
    first = semi_step(name, number=50)
    first.phase.task.objective(first)
    second = semi_step(name, number=50)
    second.net.load_state_dict(first.net.state_dict())
    results = []
    for net in (first.net, second.net):
        step = semi_step(name, number=51)
        step.net = net
        results.append(step.phase.task.objective(step)[0])
    assert torch.equal(*results)


# Rebalancing -------------------------------------------------------------------------------------------------


@each("rebalancing")
def test_a_correction_is_fitted_once_and_is_then_a_pure_function(name):
    method = build("rebalancing", name)
    classes = 2 if getattr(method, "binary", False) else 3
    logits, labels, counts = normal(40, classes), torch.arange(40) % classes, torch.tensor([50, 7, 1])[:classes]
    known = {
        "test_logits_BC": normal(30, 3, seed=1),
        "head_norm_C": torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64),
        "head_bias_C": torch.tensor([0.3, 0.0, -0.2], dtype=torch.float64),
        "expert_views_VBEC": normal(2, 30, 4, 3, seed=2),
    }
    if getattr(method, "needs_experts", False):
        logits = normal(40, 4, 3)
    val_logits = logits if logits.ndim == 2 else logits.mean(1)
    with global_randomness_untouched():
        rule = method.fit(Evidence(counts, counts, val_logits, labels, **known))
        scores = rule(logits[:9])
    assert isinstance(scores, Scores)
    assert type(method.needs_validation) is bool
    for role, view in vars(scores).items():
        assert view.shape == (9, classes)
        assert view.dtype == torch.float64
        assert view.isfinite().all()
        assert torch.equal(view, vars(rule(logits[:9]))[role])
        assert torch.allclose(view[4:5], vars(rule(logits[4:5]))[role], rtol=1e-14), "rows must not see each other"
    if method.needs_validation:
        with pytest.raises(ImpossibleCell, match="validation"):
            method.fit(Evidence(counts, counts, **known))
    else:
        again = method.fit(Evidence(counts, counts, **known))(logits[:9])
        assert torch.equal(again.decision_BC, scores.decision_BC)


TRANSDUCTIVE = [n for n in registry.names("rebalancing") if n in ("em_prior", "tau_norm", "sade_aggregation")]


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_a_correction_says_what_it_lacks(name):
    with pytest.raises(ImpossibleCell):
        build("rebalancing", name).fit(Evidence(torch.tensor([50, 7, 1]), torch.tensor([50, 7, 1])))
