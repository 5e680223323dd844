"""SimCLR: two augmented views of an image are each other's nearest neighbour among all views of the batch.

Source: Chen et al. 2020, equation 1 (NT-Xent) and figure 2 (a two-layer projection head, thrown away afterwards).
Shapes: images_BCHW -> projections_VP with V = 2B, view i beside view i + B.
Units: nats; `temperature` divides the cosine similarity.
Raises: UserError when the augmentation is `none`: two equal views teach nothing.
Differs from the source: views suit small grey images (see `augmentation/affine_cutout.py`); SGD, not LARS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """Contrast views; the labels are ignored."""

    version: ClassVar[int] = 1
    transfers_head: ClassVar[bool] = False
    temperature: Annotated[float, Gt(0)] = 0.5
    """Divides the similarities before the softmax."""
    projection: Annotated[int, Ge(2)] = 32
    """Size of the projected vector."""

    def head(self, features: int, classes: int) -> nn.Module:
        """Return the projection head."""
        return nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, self.projection))

    def prepare(
        self, images_BCHW: Tensor, labels_B: Tensor, augment: Callable, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return both views, one after the other, and for each view the position of its partner."""
        first, second = augment(images_BCHW, generator), augment(images_BCHW, generator)
        if first is images_BCHW:
            raise UserError("simclr needs an augmentation: set pretrain.augmentation, e.g. affine_cutout")
        B = len(images_BCHW)
        return torch.cat([first, second]), torch.arange(2 * B, device=images_BCHW.device).roll(B)

    def loss(
        self, projections_VP: Tensor, partner_V: Tensor, criterion: Callable, counts_C: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return NT-Xent over all views; a hit is a view (two for an image, so halved) that finds its partner."""
        z_VP = F.normalize(projections_VP, dim=1)
        similarity_VV = (z_VP @ z_VP.T / self.temperature).fill_diagonal_(float("-inf"))
        hits = (similarity_VV.argmax(1) == partner_V).sum()
        return F.cross_entropy(similarity_VV, partner_V), hits // 2
