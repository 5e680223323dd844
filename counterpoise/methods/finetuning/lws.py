"""Learnable weight scaling: one factor for each class's logit is trained, class-balanced, with all else frozen.

Source: Kang et al. 2020, "Decoupling representation and classifier", section 4 (LWS);
github.com/facebookresearch/classifier-balancing, models/TauNormClassifier.py and config/ImageNet_LT/cls_lws.yaml.
Shapes: outputs_BC * scale_C.
Units: none.
Raises: nothing.
Differs from the source: as `crt` does. The paper scales the weight vectors; the official code scales the whole logit,
its bias too, and so does this.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from counterpoise import registry

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase


class Scaled(nn.Module):
    """A frozen head whose outputs are multiplied by a learned factor of each class, from 1."""

    def __init__(self, head: nn.Module, classes: int) -> None:
        super().__init__()
        self.head = head.requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(classes, device=next(head.parameters()).device))

    def forward(self, features: Tensor) -> Tensor:
        """Return the scaled outputs."""
        return self.head(features) * self.scale


@dataclass(frozen=True)
class Method:
    """One phase over the scales, class-balanced."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head and with its sampler replaced."""
        return [replace(phase, head_only=True, sampler=registry.build("samplers", {"name": "class_balanced"}))]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Put the scales behind the head."""
        net.head = Scaled(net.head, net.classes)
