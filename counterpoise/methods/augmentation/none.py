"""No augmentation.

Source: none.
Shapes: images_BCHW -> the same.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


@dataclass(frozen=True)
class Method:
    """The identity."""

    version: ClassVar[int] = 1

    def __call__(self, images_BCHW: Tensor, generator: torch.Generator) -> Tensor:
        """Return the batch as it is."""
        return images_BCHW
