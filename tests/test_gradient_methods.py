"""Optimisers with a gradient or a result of their own, against hand arithmetic, torch.func and torch's averages.

.venv/bin/python -m pytest -n 0 tests/test_gradient_methods.py
"""

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad
from torch.nn import functional as F
from torch.optim import swa_utils

from counterpoise import registry
from counterpoise.errors import UserError

OWN_GRADIENT = ["sam", "imbsam", "per_class_normalised_gd"]
COUNTS = torch.tensor([90.0, 30, 10, 4, 0])


def build(name, **options):
    return registry.build("optimizers", {"name": name, **options})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def weights(*values, dtype=torch.float64):
    return nn.Parameter(torch.tensor(values, dtype=dtype))


def by_class(losses, labels):
    """Return an objective: the mean over rows of each row's own class's loss; class 0 is always right."""

    def objective(rows=None):
        mine = labels if rows is None else labels[rows]
        return torch.stack([losses[c]() for c in mine.tolist()]).mean(), (mine == 0).sum()

    return objective


def left(method, w, losses, labels, counts=COUNTS):
    """Return the gradient that a method leaves, the loss and the hits."""
    labels = torch.tensor(labels)
    loss, hits = method.gradients(by_class(losses, labels), [w], labels, counts)
    return w.grad.tolist(), float(loss), int(hits)


# Two parameters, by hand -------------------------------------------------------------------------------------


def test_sam_by_hand_and_its_step():
    # the gradient of |w|^2 / 2 at (3, 4) is (3, 4), its norm 5: a distance of .5 uphill is (3.3, 4.4)
    w = weights(3.0, 4.0)
    method = build("sam", lr=0.1, momentum=0.9, weight_decay=0.01, rho=0.5)
    optimizer = method.build([w])
    gradient, loss, hits = left(method, w, [lambda: w.square().sum() / 2], [0, 0])
    assert gradient == pytest.approx([3.3, 4.4], rel=1e-11)
    assert (loss, hits) == (12.5, 2)
    assert w.tolist() == [3, 4]
    optimizer.step()  # decay at the weights themselves: .1 * (3.3 + .03), .1 * (4.4 + .04)
    assert w.tolist() == pytest.approx([2.667, 3.556], rel=1e-11)
    w.grad = torch.zeros_like(w)
    optimizer.step()  # velocity .9 * 3.33 + .02667
    assert w[0].item() == pytest.approx(2.667 - 0.1 * (0.9 * 3.33 + 0.02667), rel=1e-11)


def test_adaptive_sam_by_hand():
    # |w| * gradient is (9, 16), of norm sqrt(337); the step is w^2 * gradient = (27, 64) times .5 / sqrt(337)
    w = weights(3.0, 4.0)
    gradient, *_ = left(build("sam", rho=0.5, adaptive=True), w, [lambda: w.square().sum() / 2], [0])
    assert gradient == pytest.approx([3 + 13.5 / 337**0.5, 4 + 32 / 337**0.5], rel=1e-11)


@pytest.mark.parametrize(
    ("variant", "labels", "expected", "value"),
    [
        # three quarters of (1, 0), and twice or once a quarter of (3.3, 4.4)
        ("official_code", [0, 0, 3, 0], [0.75 + 1.65, 2.2], 0.75 * 3 + 0.25 * 12.5),
        ("paper", [0, 0, 3, 0], [0.75 + 0.825, 1.1], 0.75 * 3 + 0.25 * 12.5),
        ("official_code", [0, 0], [1, 0], 3.0),
        ("official_code", [3], [6.6, 8.8], 12.5),
        ("paper", [3], [3.3, 4.4], 12.5),
    ],
)
def test_imbsam_by_hand(variant, labels, expected, value):
    w = weights(3.0, 4.0)
    losses = {0: lambda: w[0], 3: lambda: w.square().sum() / 2}  # 90 and 4 training examples
    gradient, loss, hits = left(build("imbsam", variant=variant, rho=0.5), w, losses, labels)
    assert gradient == pytest.approx(expected, rel=1e-11)
    assert loss == pytest.approx(value, rel=1e-14)
    assert hits == labels.count(0)


@pytest.mark.parametrize(
    ("options", "counts", "expected"),
    [
        ({}, [90, 20, 19, 1, 0], [2, 3, 4]),  # fewer than 20
        ({"eta": 10}, [90, 20, 19, 1], [3]),
        ({}, [5000, 500, 50], []),
        ({"tail": "share"}, [50, 9, 80, 7, 6, 30, 20, 10, 100, 60], [1, 3, 4]),  # three of ten
        ({"tail": "share"}, [90, 10], [1]),  # .6 of a class is one
        ({"tail": "share"}, [0, 90, 5, 60, 0], [2]),  # .9 of the three that occur is one
        ({"tail": "share", "share": 0.5}, [7, 7, 7, 7], [2, 3]),
    ],
)
def test_the_tail_is_counted_or_the_smallest_classes(options, counts, expected):
    assert build("imbsam", **options).in_tail(torch.tensor(counts).float()).nonzero().flatten().tolist() == expected


@pytest.mark.parametrize(
    ("variant", "labels", "expected"),
    [
        ("paper", [0, 0, 1, 0], [0.6, 1.8]),  # (3, 4) / 5 and (0, 5) / 5
        ("paper", [1], [0, 1]),
        ("official_code", [0, 0, 1], [6 / (10 + 1e-6), 8 / (10 + 1e-6) + 5 / (5 + 1e-6)]),  # of the summed loss
    ],
)
def test_per_class_normalised_gd_by_hand(variant, labels, expected):
    w = weights(1.0, 1.0)
    losses = [lambda: 3 * w[0] + 4 * w[1], lambda: 5 * w[1]]
    gradient, loss, hits = left(build("per_class_normalised_gd", variant=variant), w, losses, labels)
    assert gradient == pytest.approx(expected, rel=1e-14)
    assert loss == pytest.approx((7 * labels.count(0) + 5 * labels.count(1)) / len(labels), rel=1e-14)
    assert hits == labels.count(0)


# A network, against torch.func -------------------------------------------------------------------------------


def network(seed=0, dtype=torch.float64):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 5)).to(dtype)


def data(size, dtype=torch.float64):
    x = torch.randn(size, 6, generator=seeded(1), dtype=dtype)
    return x, torch.randint(4, (size,), generator=seeded(2))


def objective_of(net, x, y):
    def objective(rows=None):
        inputs, labels = (x, y) if rows is None else (x[rows], y[rows])
        logits = net(inputs)
        return F.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()

    return objective


def slope(net, x, y, scale=1.0, at=None):
    """Return the gradient of scale * summed cross-entropy by torch.func, as a dictionary."""
    held = {k: v.detach() for k, v in net.named_parameters()} if at is None else at
    return grad(lambda p: scale * F.cross_entropy(functional_call(net, p, (x,)), y, reduction="sum"))(held)


def norm_of(gradient):
    return torch.cat([g.flatten() for g in gradient.values()]).norm()


def perturbed(net, gradient, rho):
    return {k: p.detach() + rho * gradient[k] / norm_of(gradient) for k, p in net.named_parameters()}


def sam_again(net, x, y):
    return slope(net, x, y, 1 / len(y), perturbed(net, slope(net, x, y), 0.3))


def imbsam_again(net, x, y):
    tail = COUNTS[y] < 20
    total = slope(net, x[~tail], y[~tail], 1 / len(y))
    if tail.any():
        at = perturbed(net, slope(net, x[tail], y[tail]), 0.3)
        of_tail = slope(net, x[tail], y[tail], 2 / len(y), at)
        total = {k: total[k] + of_tail[k] for k in total}
    return total


def normalised_again(net, x, y):
    total = {k: torch.zeros_like(p) for k, p in net.named_parameters()}
    for c in set(y.tolist()):
        own = slope(net, x[y == c], y[y == c])
        total = {k: total[k] + own[k] / norm_of(own) for k in total}
    return total


@pytest.mark.parametrize(
    ("name", "options", "again"),
    [
        ("sam", {"rho": 0.3}, sam_again),
        ("imbsam", {"rho": 0.3}, imbsam_again),
        ("per_class_normalised_gd", {}, normalised_again),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 40])
def test_the_gradient_of_a_network_is_that_of_torch_func(name, options, again, size):
    net, (x, y) = network(), data(size)
    expected = again(net, x, y)
    loss, hits = build(name, **options).gradients(objective_of(net, x, y), list(net.parameters()), y, COUNTS)
    plain, right = objective_of(net, x, y)()
    assert loss.item() == pytest.approx(plain.item(), rel=1e-12)
    assert not loss.requires_grad
    assert int(hits) == int(right)
    for key, p in net.named_parameters():
        assert torch.allclose(p.grad, expected[key], rtol=1e-9, atol=1e-12), key


def test_without_a_perturbation_sam_is_sgd_and_with_one_it_is_not():
    net, (x, y) = network(), data(40)
    plain = slope(net, x, y, 1 / 40)
    for name, options in (("sam", {}), ("imbsam", {"variant": "paper"})):
        for rho, same in ((0.0, True), (0.5, False)):
            method = build(name, rho=rho, **options)
            method.gradients(objective_of(net, x, y), list(net.parameters()), y, COUNTS)
            assert same == all(torch.allclose(p.grad, plain[k], rtol=1e-9) for k, p in net.named_parameters())


# What holds for each -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN_GRADIENT)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_weights_are_put_back_to_the_byte_whatever_happens(name, dtype):
    net, (x, y) = network(dtype=dtype), data(40, dtype)
    parameters, calls = list(net.parameters()), []
    kept = [p.detach().clone() for p in parameters]
    plain = objective_of(net, x, y)

    def failing(rows=None):
        calls.append([p.detach().clone() for p in parameters])
        if len(calls) > limit:
            raise RuntimeError
        return plain(rows)

    limit = 99
    build(name).gradients(failing, parameters, y, COUNTS)
    assert all(map(torch.equal, parameters, kept))
    if name != "per_class_normalised_gd":
        away = torch.cat([(p - old).flatten() for p, old in zip(calls[-1], kept, strict=True)])
        assert away.double().norm().item() == pytest.approx(0.05, rel=1e-4)
    limit = len(calls) * 2 - 1
    with pytest.raises(RuntimeError):
        build(name).gradients(failing, parameters, y, COUNTS)
    assert all(map(torch.equal, parameters, kept))


@pytest.mark.parametrize("name", [*OWN_GRADIENT, "sam adaptive"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("start", [0.0, 2.0])
def test_a_gradient_of_zero_stays_zero(name, dtype, start):
    method = build(name.split()[0], **({"adaptive": True} if "adaptive" in name else {}))
    w = weights(start, start, dtype=dtype)
    assert left(method, w, [lambda: 0 * w.sum()] * 4, [0, 1, 3])[0] == [0, 0]
    # one class is fitted to the last bit, the other is not
    gradient, *_ = left(method, w, [lambda: w[0], None, None, lambda: 0 * w.sum()], [0, 3])
    assert gradient == [1.0 if name == "per_class_normalised_gd" else 0.5, 0.0]


def test_a_class_whose_gradient_cannot_be_squared_in_single_precision_counts_as_much_as_any():
    w = weights(0.0, 0.0, dtype=torch.float32)
    gradient, *_ = left(build("per_class_normalised_gd"), w, [lambda: 1e-30 * w[0], lambda: 1e3 * w[1]], [0, 1])
    assert gradient == pytest.approx([1, 1], rel=1e-6)


@pytest.mark.parametrize("name", OWN_GRADIENT)
def test_a_parameter_that_the_loss_does_not_know_is_left_alone(name):
    w, idle = weights(3.0, 4.0), weights(1.0)
    method, labels = build(name), torch.tensor([0, 3])
    optimizer = method.build([{"params": [w]}, {"params": [idle], "weight_decay": 0.0}])
    for _ in range(2):
        objective = by_class([lambda: w[0], None, None, lambda: w.square().sum()], labels)
        method.gradients(objective, [w, idle], labels, COUNTS)
        assert idle.grad is None
        optimizer.step()
    assert idle.tolist() == [1]
    assert w.tolist() != [3, 4]


@pytest.mark.parametrize("name", registry.names("optimizers"))
def test_the_step_is_torch_s_sgd_with_the_options_given(name):
    method = build(name, lr=0.2, momentum=0.7, weight_decay=0.03)
    mine, theirs = weights(3.0, 4.0), weights(3.0, 4.0)
    optimizers = method.build([mine]), torch.optim.SGD([theirs], lr=0.2, momentum=0.7, weight_decay=0.03)
    for step in range(4):
        for w, optimizer in zip((mine, theirs), optimizers, strict=True):
            w.grad = torch.tensor([1.0, -step], dtype=torch.float64)
            optimizer.step()
    assert torch.equal(mine, theirs)


# Averages ----------------------------------------------------------------------------------------------------


def descend(name, net, averaged, steps=20, interrupt=None, **options):
    """Train as the loop does, progress and resumption included, and return the averages' own verdict beside it."""
    method = build(name, lr=0.1, **options)
    optimizer, (x, y) = method.build(net.parameters()), data(30)
    for step in range(steps):
        if step == interrupt:
            held = [{k: v.clone() for k, v in optimizer.state[p].items()} for p in net.parameters()]
            optimizer = method.build(net.parameters())
            for p, state in zip(net.parameters(), held, strict=True):
                optimizer.state[p].update(state)
        for group in optimizer.param_groups:
            group["progress"] = step / steps
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
        averaged(step, net)
    method.finish(optimizer)
    return net


@pytest.mark.parametrize("interrupt", [None, 1, 13])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_the_moving_average_is_torch_s(decay, interrupt):
    net = network()
    theirs = swa_utils.AveragedModel(deepcopy(net), multi_avg_fn=swa_utils.get_ema_multi_avg_fn(decay))
    descend("sgd_ema", net, lambda step, now: theirs.update_parameters(now), interrupt=interrupt, decay=decay)
    for mine, other in zip(net.parameters(), theirs.module.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("interrupt", [None, 12, 13])
@pytest.mark.parametrize(
    ("start", "every", "taken"), [(0.5, 1, range(10, 20)), (0.5, 3, [10, 13, 16, 19]), (0.0, 50, [0]), (0.95, 1, [19])]
)
def test_stochastic_weight_averaging_is_torch_s(start, every, taken, interrupt):
    net = network()
    theirs = swa_utils.AveragedModel(deepcopy(net))
    descend(
        "sgd_swa", net, lambda step, now: theirs.update_parameters(now) if step in taken else None,
        interrupt=interrupt, start=start, every=every,
    )  # fmt: skip
    for mine, other in zip(net.parameters(), theirs.module.parameters(), strict=True):
        assert torch.allclose(mine, other, rtol=1e-12, atol=1e-14)


def test_averages_by_hand():
    # a constant gradient of -1 at rate 1: the weights are 1, 2, .. 8 after each step
    for name, options, expected in (
        ("sgd_swa", {"start": 0.5, "every": 2}, (5 + 7) / 2),
        ("sgd_ema", {"decay": 0.5}, 8 - sum(0.5**k for k in range(1, 8))),
    ):
        w, method = weights(0.0), build(name, lr=1.0, momentum=0.0, weight_decay=0.0, **options)
        optimizer = method.build([w])
        for step in range(8):
            optimizer.param_groups[0]["progress"] = step / 8
            w.grad = -torch.ones_like(w)
            optimizer.step()
        assert w.item() == 8
        method.finish(optimizer)
        assert w.item() == expected


def test_an_average_that_never_began_is_said():
    w = weights(1.0)
    method = build("sgd_swa")
    optimizer = method.build([w])
    w.grad = torch.ones_like(w)
    optimizer.step()
    with pytest.raises(UserError, match=r"sgd_swa: training never reached the share 0\.75 of its steps"):
        method.finish(optimizer)
