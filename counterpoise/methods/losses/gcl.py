"""Cross-entropy of scaled cosines, each lowered by the absolute value of a Gaussian whose size grows for rare classes.

Source: Li, Cheung and Lu 2022; github.com/Keke921/GCLLoss, losses.py, `GCLLoss`.
Shapes: cosines_BC of the head `cosine`, labels_B, counts_C, noise of shape BC -> scalar.
Units: noise and margin are cosines; nats.
Raises: nothing; a class without examples has the cloud of the rarest other, and equal counts have no clouds.
Differs from the source: nothing. Cloud sizes are log n_max - log n over their largest, as in the code. The defaults
are its first stage for CIFAR; its second, on class-balanced batches, has margin 0.1, scale 20, gamma 1, where the
focal factor is a constant to the gradient. Stage one also uses mixup. The angular form is not here.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Gaussian clouded logit adjustment."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("noise",)
    margin: Annotated[float, Ge(0)] = 0.0
    """Taken off the label's cosine besides."""
    scale: Annotated[float, Gt(0)] = 30.0
    """What the cosines are multiplied by."""
    cloud: Annotated[float, Ge(0)] = 0.5
    """What the noise of the rarest class is multiplied by; 0 is no noise."""
    gamma: Annotated[float, Ge(0)] = 0.0
    """Focus of the second stage; 0 is cross-entropy."""

    def draw(self, labels_B: Tensor, counts_C: Tensor, generator: torch.Generator) -> Tensor:
        """Return Gaussians of standard deviation 1/3, cut at -1 and 1."""
        noise_BC = torch.randn(len(labels_B), len(counts_C), generator=generator, device=generator.device) / 3
        return noise_BC.clamp(-1, 1).to(labels_B.device, non_blocking=True)

    def clouds(self, counts_C: Tensor) -> Tensor:
        """Return the size of each class's cloud: 0 for the largest class, 1 for the smallest."""
        counts_C = counts_C.double()
        rarest = torch.where(counts_C > 0, counts_C, torch.inf).min()
        size_C = counts_C.max().log() - torch.maximum(counts_C, rarest).log()
        return size_C / size_C.max().clamp(min=torch.finfo(size_C.dtype).tiny)

    def scores(self, outputs_BC: Tensor) -> Tensor:
        """Return the logits of the model: scaled cosines, without noise."""
        return self.scale * outputs_BC

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, noise: Tensor) -> Tensor:
        """Return the mean over the batch."""
        own_BC = labels_B[:, None] == torch.arange(logits_BC.shape[1], device=labels_B.device)
        lowered_BC = self.cloud * noise.abs().to(logits_BC.dtype) * self.clouds(counts_C).to(logits_BC.dtype)
        adjusted_BC = logits_BC - lowered_BC - self.margin * own_BC.to(logits_BC.dtype)
        loss_B = F.cross_entropy(self.scale * adjusted_BC, labels_B, reduction="none")
        return ((-torch.expm1(-loss_B.detach())) ** self.gamma * loss_B).mean()
