"""Every loss and correction at logits up to 1e3: float32 against float64, and a shift of all logits.

.venv/bin/python -m pytest -n 0 tests/test_saturation.py
"""

import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import torch
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import ImpossibleCell
from counterpoise.methods.ensembles import ride
from counterpoise.scoring.evidence import Evidence

EPS = torch.finfo(torch.float32).eps
LABELS = {2: [0, 0, 0, 0, 1], 5: [0, 0, 1, 2, 4]}
COUNTS = {2: [[1000.0, 1.0]], 5: [[1000.0, 100.0, 10.0, 3.0, 1.0], [1000.0, 100.0, 10.0, 0.0, 1.0]]}  # 3 is in no batch

# Losses that a shift of all logits changes, each for a reason of its own.
NOT_OF_A_SOFTMAX = {
    "cdt": "each logit has its own temperature",
    "vs_loss": "each logit has its own temperature",
    "class_balanced": "one sigmoid for each class (`base` sigmoid and focal)",
    "lade": "the regulariser is about the size of logits",
    "cisir": "the output is a value",
    "mse": "the output is a value",
    "weighted_mse": "the output is a value",
    "regression_plus_classification": "the first output is a value",
}
COSINES = {"gcl": 30.0, "ldam": 30.0}  # at most 1, and multiplied inside
ADDS_TO_LOGITS = ("balanced_softmax", "logit_adjustment", "neural_collapse_regulariser")  # a log prior
STEEP = {"influence_balanced": 1e6}  # alpha / .001 multiplies the loss of an example without influence


def variants(kind: str, name: str) -> list[dict[str, Any]]:
    """Return no options, and each value of each option that is a choice."""
    found: list[dict[str, Any]] = [{}]
    for option, hint in get_type_hints(registry.method(kind, name)).items():
        values = get_args(hint) if get_origin(hint) is Literal else (True, False) if hint is bool else ()
        found += [{option: value} for value in values if value != registry.options(kind, name)[option]]
    return found


LOSSES = [(name, options) for name in registry.names("losses") for options in variants("losses", name)]
every_loss = pytest.mark.parametrize(("name", "options"), LOSSES, ids=str)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def given(method: Any, labels: torch.Tensor, counts: torch.Tensor, dtype: torch.dtype) -> dict[str, Any]:
    """Return what a loss asks for besides logits, the same in every precision."""
    B, C = len(labels), len(counts)
    target = torch.randn(B, generator=seeded(4), dtype=torch.float64)
    makers = {
        "noise": lambda: method.draw(labels, counts, seeded(0)),
        "features_BD": lambda: torch.randn(B, 4, generator=seeded(3), dtype=torch.float64).to(dtype),
        "extra": lambda: centres(method, C, dtype),
        "target_B": lambda: target.to(dtype),
        "importance_BK": lambda: torch.from_numpy(method.importance(target.numpy())).to(dtype),
        "progress": lambda: 0.9,
    }
    return {key: makers[key]() for key in getattr(method, "uses", ()) if key in makers}


def centres(method: Any, classes: int, dtype: torch.dtype) -> torch.nn.Module:
    module = method.module(4, classes)
    module.means.data = torch.randn(classes, 4, generator=seeded(5), dtype=torch.float64).to(dtype)
    return module


def value_and_slope(
    name: str, options: dict[str, Any], logits: torch.Tensor, counts: list[float], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss and its gradient in float64."""
    method, labels = registry.build("losses", {"name": name, **options}), torch.tensor(LABELS[len(counts)])
    known, logits = torch.tensor(counts, dtype=dtype), logits.to(dtype).clone().requires_grad_()
    loss = method(logits, labels, known, **given(method, labels, known, dtype))
    (slope,) = torch.autograd.grad(loss, logits)
    assert loss.dtype == dtype
    return loss.detach().double(), slope.double()


def extremes(name: str, options: dict[str, Any], classes: int) -> list[torch.Tensor]:
    """Return float32 logits: drawn at several sizes, certain and right, certain and wrong, all alike."""
    method, labels = registry.build("losses", {"name": name, **options}), torch.tensor(LABELS[classes])
    outputs = method.outputs(classes) if hasattr(method, "outputs") else classes
    drawn = torch.randn(len(labels), outputs, generator=seeded(1))
    right = F.one_hot(labels.clamp(max=outputs - 1), outputs).float()
    sizes = (1.0, 30.0, 1e3)
    found = [part * size for size in sizes for part in (drawn.clamp(-1, 1), right, -right, torch.ones_like(right))]
    return [(logits / 1e3) if name in COSINES else logits for logits in found]


@every_loss
@pytest.mark.parametrize("classes", [2, 5])
def test_float32_says_of_large_logits_what_float64_says(name, options, classes):
    """The bound is what rounding the largest logit once does to a loss whose slope is at most 1, or the steepest."""
    for counts in COUNTS[classes]:
        for logits in extremes(name, options, classes):
            exact, exact_slope = value_and_slope(name, options, logits, counts, torch.float64)
            single, slope = value_and_slope(name, options, logits, counts, torch.float32)
            assert exact.isfinite()
            assert exact_slope.isfinite().all()
            reach = max(1.0, float(logits.abs().max())) * COSINES.get(name, 1.0) * STEEP.get(name, 1.0)
            assert abs(single - exact) <= 4 * EPS * (reach + abs(exact))
            assert (slope - exact_slope).abs().max() <= 4 * EPS * reach * max(1.0, float(exact_slope.abs().max()))


@every_loss
@pytest.mark.parametrize("classes", [2, 5])
def test_a_shift_of_all_logits_changes_no_loss_of_a_softmax(name, options, classes):
    is_blind = name not in NOT_OF_A_SOFTMAX or (
        name == "class_balanced" and options.get("base", "softmax") == "softmax"
    )
    changed = False
    for counts in COUNTS[classes]:
        for size in (1.0, 30.0):
            logits = extremes(name, options, classes)[0] * size
            logits = (logits * 64).round() / 64  # exact in float32 after the shift, too
            for shift, dtype in ((1e3, torch.float64), (1e5, torch.float32)):
                value, slope = value_and_slope(name, options, logits, counts, dtype)
                moved, moved_slope = value_and_slope(name, options, logits + shift, counts, dtype)
                if not is_blind:
                    changed |= bool(abs(moved - value) > 1e-3 * abs(value))
                    continue
                # Where a prior or a margin is added to a shifted logit, the sum is rounded as numbers of that size are.
                rounds = name in COSINES or name in ADDS_TO_LOGITS
                bound = 1e-12 + rounds * torch.finfo(dtype).eps * shift * COSINES.get(name, 1.0)
                assert abs(moved - value) <= bound * max(1.0, float(abs(value)))
                assert (moved_slope - slope).abs().max() <= bound * max(1.0, float(slope.abs().max()))
    assert is_blind or changed, f"{name} is listed as one that a shift changes: {NOT_OF_A_SOFTMAX[name]}"


def test_the_self_adjusting_dice_loss_has_no_slope_at_equal_logits_of_any_size():
    logits = torch.full((1, 2), 1e5, requires_grad=True)
    loss = registry.build("losses", {"name": "self_adjusting_dice"})(logits, torch.tensor([0]), torch.ones(2))
    loss.backward()
    q = 0.5**1.01  # (1 - p)^alpha p at p = 1/2
    assert loss.item() == pytest.approx((1 - (2 * q + 1) / (q**2 + 2)) + (1 - 1 / (q**2 + 1)), rel=1e-6)
    even = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    registry.build("losses", {"name": "self_adjusting_dice"})(even, torch.tensor([0]), torch.ones(2)).backward()
    assert torch.allclose(logits.grad.double(), even.grad, rtol=1e-6, atol=1e-9)


# Corrections and ensembles -----------------------------------------------------------------------------------

NOT_BLIND = {  # corrections that a shift of all logits changes
    "multiplicative_logit_adjustment": "it multiplies logits",
    "tau_norm": "it multiplies what the weights contribute",
}
CORRECTIONS = [(name, options) for name in registry.names("rebalancing") for options in variants("rebalancing", name)]


def known_of(logits_BC: torch.Tensor, labels_B: torch.Tensor, unique: list[int]) -> Evidence:
    """Return all that a correction may ask for, of three experts that say the same but for their size."""
    C, counts = len(unique), torch.tensor(unique)
    experts_BEC = torch.stack([logits_BC, logits_BC / 2, -logits_BC], 1)
    return Evidence(
        counts, counts, logits_BC, labels_B, logits_BC, torch.arange(1.0, C + 1).double(), torch.ones(C).double(),
        torch.stack([experts_BEC, experts_BEC.flip(0) + torch.arange(C)]),
    )  # fmt: skip


@pytest.mark.parametrize(("name", "options"), CORRECTIONS, ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_a_correction_stays_finite_at_large_logits_and_is_blind_to_a_shift(name, options, classes):
    method = registry.build("rebalancing", {"name": name, **options})
    if getattr(method, "binary", False) and classes > 2:
        with pytest.raises(ImpossibleCell, match="two classes"):
            method.fit(known_of(torch.zeros(5, 5).double(), torch.tensor(LABELS[5]), [9, 5, 3, 2, 1]))
        return
    labels, unique = torch.tensor(LABELS[classes]), [1000, 1] if classes == 2 else [1000, 100, 10, 3, 1]
    drawn = torch.randn(len(labels), classes, generator=seeded(1)).clamp(-1, 1).double()
    right = F.one_hot(labels, classes).double()
    for logits in (drawn * 1e3, right * 1e3, right * -1e3, drawn * 0 + 1e3, drawn):

        def seen(shift: float, logits: torch.Tensor = logits) -> Any:
            rule = method.fit(known_of(logits + shift, labels, unique))
            has_experts = getattr(method, "needs_experts", False)
            return rule(torch.stack([logits + shift] * 3, 1) if has_experts else logits + shift)

        found, moved = seen(0.0), seen(512.0)
        for view in (found.decision_BC, found.ranking_BC, found.log_prob_BC):
            assert view.isfinite().all()
        assert torch.allclose(found.log_prob_BC.exp().sum(1), torch.ones(len(labels)).double(), rtol=1e-12)
        if name in NOT_BLIND:
            continue
        assert torch.equal(found.decision_BC.argmax(1), moved.decision_BC.argmax(1))
        assert torch.allclose(found.log_prob_BC, moved.log_prob_BC, rtol=1e-9, atol=1e-9)
    if name in NOT_BLIND:
        assert not torch.allclose(found.log_prob_BC, moved.log_prob_BC, rtol=1e-3)


@pytest.mark.parametrize("apart", [ride.divergence_from_mean, ride.divergence_of_pairs])
@pytest.mark.parametrize("size", [1.0, 1e3])
def test_the_divergence_of_experts_is_the_same_in_float32_and_after_a_shift(apart, size):
    logits = (torch.randn(4, 3, 5, generator=seeded(2)).clamp(-1, 1) * size * 64).round() / 64
    warm = torch.full((5,), 2.0)
    exact = apart(logits.double(), warm.double())
    assert abs(apart(logits, warm).double() - exact) <= 4 * EPS * (size + exact)
    most = 4 * EPS * (512 + size)  # the mean of three experts is rounded where its size is
    assert apart(logits + 512, warm).item() == pytest.approx(apart(logits, warm).item(), rel=1e-6, abs=most)


def test_logit_adjustment_differs_from_the_code_by_what_its_docstring_says():
    """The code's `main.py` subtracts log(prior ** tau + 1e-12)."""
    for tau, prior, most in ((1.0, 1 / 8157, 1e-8), (2.0, 1 / 8157, 7e-5)):
        method = registry.build("rebalancing", {"name": "logit_adjustment", "tau": tau})
        counts = torch.tensor([8156, 1])
        own = -method.fit(Evidence(counts, counts))(torch.zeros(1, 2).double()).decision_BC[0, 1].item()
        code = math.log(prior**tau + 1e-12)
        assert own == pytest.approx(tau * math.log(prior), rel=1e-12)
        assert most / 2 < code - own < most
