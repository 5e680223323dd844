"""The network: an encoder, a head, and whatever a loss or a task keeps beside them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from counterpoise import streams
from counterpoise.errors import UserError


class Net(nn.Module):
    """An encoder of `features` outputs and a head; `extra` holds what a loss or task learns or remembers."""

    def __init__(self, encoder: nn.Module, head: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        self.encoder, self.head, self.features, self.classes = encoder, head, features, classes
        self.extra: nn.Module = nn.Module()

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's outputs."""
        return self.head(self.encoder(x))


class Experts(nn.Module):
    """Several encoders on shared early layers: x_B... -> features_BED."""

    def __init__(self, trunk: nn.Module, branches: list[nn.Module]) -> None:
        super().__init__()
        self.trunk, self.branches = trunk, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of every expert."""
        shared = self.trunk(x)
        return torch.stack([branch(shared) for branch in self.branches], dim=1)


class Heads(nn.Module):
    """One head for each expert: features_BED -> outputs_BEC."""

    def __init__(self, heads: list[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, features_BED: Tensor) -> Tensor:
        """Return the outputs of every expert."""
        return torch.stack([head(features_BED[:, e]) for e, head in enumerate(self.heads)], dim=1)


def build(
    model: Any, head: Any, shape: tuple[int, ...], classes: int, seed: int, stage: str = "train", experts: int = 1
) -> Net:
    """Return the network, initialised from the seed alone: equal for every method that is compared.

    Several experts share the encoder's first `model.shared` children; the first is what it is alone.
    """
    encoders, heads = [], []
    with torch.random.fork_rng(devices=[]):
        for expert in range(experts):
            another = (expert,) if expert else ()
            torch.manual_seed(streams.key(stage, "encoder", seed, *another))
            encoder, features = model.encoder(shape)
            torch.manual_seed(streams.key(stage, "head", seed, *another))
            encoders.append(encoder)
            heads.append(head.head(features, classes))
    if experts == 1:
        return Net(encoders[0], heads[0], features, classes)
    if not hasattr(model, "shared"):
        raise UserError(f"model {type(model).__module__.rpartition('.')[2]} has no layers that experts could share")
    trunk, branches = encoders[0][: model.shared], [encoder[model.shared :] for encoder in encoders]
    return Net(Experts(trunk, branches), Heads(heads), features, classes)
