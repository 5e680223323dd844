"""The residual network against its layers written out one by one.

.venv/bin/python -m pytest -n 0 tests/test_resnet32.py
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.methods.models.resnet32 import Method


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    module = Method().encoder((3, 32, 32))[0].double()
    for layer in module.modules():  # statistics and scales that are not those of a fresh network
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.running_mean, std=0.1)
    return module


def written_out(encoder, x, training):
    """The layers in the order of the paper; weights and statistics in the order of the state."""
    held = iter([v for k, v in encoder.state_dict().items() if not k.endswith("num_batches_tracked")])

    def convolved(x, stride):
        x = F.conv2d(x, next(held), stride=stride, padding=1)
        scale, shift, mean, variance = (next(held) for _ in range(4))
        if training:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        x = (x - mean[:, None, None]) / (variance[:, None, None] + 1e-5).sqrt()
        return x * scale[:, None, None] + shift[:, None, None]

    x = convolved(x, 1).relu()
    for filters in (16, 32, 64):
        for block in range(5):
            wider = filters > 16 and block == 0
            inner = convolved(x, 2 if wider else 1).relu()
            shortcut = x
            if wider:  # every second pixel; a quarter of the new channels is zero on either side
                shortcut = torch.zeros_like(inner)
                shortcut[:, filters // 4 : 3 * filters // 4] = x[:, :, ::2, ::2]
            x = (convolved(inner, 1) + shortcut).relu()
    return x.mean((2, 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 32, 32), (1, 3, 32, 32), (3, 3, 9, 14)])
def test_the_network_is_its_layers_one_after_the_other(encoder, training, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    expected = written_out(encoder, x, training)
    found = encoder.train(training)(x)
    encoder.load_state_dict(state)  # training moved the statistics
    assert found.shape == (len(x), 64)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_it_has_31_convolutions_and_as_many_parameters_as_published(encoder):
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 31
    assert sum(p.numel() for p in encoder.parameters()) + 65 * 10 == 464_154  # "0.46M" with the head


def test_convolutions_begin_at_kaimings_deviation():
    torch.manual_seed(0)
    module = Method().encoder((3, 32, 32))[0]
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            expected = (2 / (9 * layer.in_channels)) ** 0.5
            # five standard errors of a deviation that n weights show
            assert abs(layer.weight.std().item() / expected - 1) < 5 / (2 * layer.weight.numel()) ** 0.5


def test_the_experts_of_an_ensemble_share_the_first_convolution_and_stage(encoder):
    assert [len(list(part.modules())) for part in encoder[: Method.shared]] == [4, 26]
    assert encoder[Method.shared][0].conv1.stride == (2, 2)


@pytest.mark.parametrize("shape", [(30,), (3, 7, 32)])
def test_what_is_no_image_of_8x8_is_a_user_error(shape):
    with pytest.raises(UserError, match="resnet32 needs images of at least 8x8"):
        Method().encoder(shape)
