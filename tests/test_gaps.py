"""Missing values that stay missing: the pruned layer by hand, what reaches it, and which values were lost.

.venv/bin/python -m pytest -n 0 tests/test_gaps.py
"""

import numpy as np
import pytest
import torch

from counterpoise.data.columns import Column
from counterpoise.methods.models.promissing import Pruned
from counterpoise.registry import build

NAN = float("nan")


@pytest.mark.parametrize("compensate", [False, True])
def test_the_pruned_layer_by_hand(compensate):
    layer = Pruned(4, 1, compensate)
    with torch.no_grad():
        layer.weight[:] = torch.tensor([[1.0, 10, 100, 1000]])
        layer.bias[:] = 8.0
        if compensate:
            assert layer.compensation_U.item() == 0
            layer.compensation_U[:] = 40.0
    x = torch.tensor([[1.0, 2, 3, 4], [NAN, 2, NAN, 4], [NAN, 2, 3, 4], [NAN] * 4])
    # observed terms, plus the bias by the share observed, plus the compensation by the share missing
    plain = [4321 + 8, 4020 + 4, 4320 + 6, 0]
    extra = [0, 20, 10, 40] if compensate else [0] * 4
    assert layer(x)[:, 0].tolist() == [a + b for a, b in zip(plain, extra, strict=True)]


def test_without_gaps_it_is_the_perceptron():
    networks = []
    for name in ("mlp", "promissing"):
        torch.manual_seed(0)
        networks.append(build("models", {"name": name, "hidden": (7, 5, 3)}).encoder((4,)))
    (mlp, features), (pruned, width) = networks
    x = torch.randn(9, 4)
    assert features == width == 3
    torch.testing.assert_close(pruned(x), mlp(x))


def test_gaps_leave_gradients_finite_and_their_weights_alone():
    layer = Pruned(3, 2, True)
    layer(torch.tensor([[1.0, NAN, 2.0], [NAN, NAN, 5.0]])).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())
    assert (layer.weight.grad[:, 1] == 0).all()
    assert (layer.weight.grad[:, 2] != 0).all()


def test_inputs_keep_their_gaps_by_hand():
    columns = (Column("n"), Column("c", "categorical", ("a", "b")))
    fitted = build("preprocessing", {"name": "gaps_kept"}).fit(np.array([[1.0, 0], [3.0, 1], [NAN, 0]]), columns)
    assert [column.name for column in fitted.columns] == ["n", "c=a", "c=b"]
    deviation = np.std([1, 3, 2])
    found = fitted(np.array([[3.0, NAN], [NAN, 1]]))
    np.testing.assert_allclose(found, [[1 / deviation, NAN, NAN], [NAN, 0, 1]])


@pytest.mark.parametrize("table", ["breast_cancer", "digits"])
def test_values_are_lost_as_often_as_asked_and_only_those(table):
    whole = build("datasets", {"name": table}).read(None)
    lost = build("datasets", {"name": "with_gaps", "table": table, "share": 0.4}).read(None)
    for full, part in ((whole[0], lost[0]), (whole[2], lost[2])):
        full = full.reshape(len(full), -1)
        gone = np.isnan(part)
        assert gone.mean() == pytest.approx(0.4, abs=0.01)
        np.testing.assert_array_equal(part[~gone], full[~gone])
        assert np.abs(gone.mean(0) - 0.4).max() < 0.15
    np.testing.assert_array_equal(lost[1], whole[1])


def test_large_values_are_lost_where_it_is_not_at_random():
    full = build("datasets", {"name": "breast_cancer"}).read(None)[0]
    part = build("datasets", {"name": "with_gaps", "share": 0.3, "mechanism": "not_at_random"}).read(None)[0]
    gone, above = np.isnan(part), full > np.median(full, axis=0)
    assert not gone[~above].any()
    assert gone[above].mean() == pytest.approx(0.6, abs=0.02)
