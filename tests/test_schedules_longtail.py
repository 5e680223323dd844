"""Schedules of the long-tail literature against the code that they come from and against torch.

.venv/bin/python -m pytest -n 0 tests/test_schedules_longtail.py
"""

import pytest
import torch

from counterpoise import registry


def build(name, **options):
    return registry.build("schedules", {"name": name, **options})


def ldam_drw(epoch):
    """Return the multiple of the peak in an epoch of 200, counted from 0: LDAM-DRW's adjust_learning_rate."""
    if epoch < 5:
        return (epoch + 1) / 5
    return 1.0 if epoch < 160 else 0.01 if epoch < 180 else 0.0001


@pytest.mark.parametrize("per_epoch", [1, 3, 7, 24, 86, 97, 391])
def test_warmup_steps_is_that_of_ldam_drw_in_every_step_of_200_epochs(per_epoch):
    method, steps = build("warmup_steps"), 200 * per_epoch
    found = [method.factor(step, steps) for step in range(steps)]
    assert found == pytest.approx([ldam_drw(step // per_epoch) for step in range(steps)], rel=1e-12)


def test_warmup_steps_by_hand():
    method = build("warmup_steps", warmup=0.4, stairs=4, at=[0.5, 0.9], gamma=0.5)
    assert [method.factor(step, 10) for step in range(10)] == [0.25, 0.5, 0.75, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    # ten steps of which four rise in two stairs
    assert [build("warmup_steps", warmup=0.4, stairs=2).factor(step, 10) for step in range(4)] == [0.5, 0.5, 1, 1]


def test_warmup_steps_without_a_rise_or_a_drop():
    assert [build("warmup_steps", warmup=0.0, at=[]).factor(step, 20) for step in range(20)] == [1.0] * 20


@pytest.mark.parametrize("steps", [1, 2, 10, 333])
def test_cosine_is_torch_s(steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    for step in range(steps):
        assert build("cosine").factor(step, steps) == pytest.approx(theirs.get_last_lr()[0], rel=1e-9, abs=1e-12)
        optimizer.step()
        theirs.step()


def test_cosine_by_hand():
    assert [build("cosine").factor(step, 4) for step in range(4)] == pytest.approx(
        [1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2]
    )
