"""A linear layer with a bias.

Source: the standard classifier.
Shapes: features_BD -> logits_BC.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn


@dataclass(frozen=True)
class Method:
    """A linear classifier."""

    version: ClassVar[int] = 1

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the layer."""
        return nn.Linear(features, classes)
