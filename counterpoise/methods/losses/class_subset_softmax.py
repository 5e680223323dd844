"""Cross-entropy over a random vocabulary of classes: those in the batch, and others drawn up to a fixed size.

Source: Wen et al. 2024; github.com/CVMI-Lab/clip-beyond-tail, `exps_sup/train_sup.py`, `sample_class_inds`: the
others are drawn without replacement, in proportion to a power of the training counts.
Shapes: logits_BC, labels_B, counts_C, noise (kept_C, what `draw` returned) -> scalar.
Units: nats.
Raises: nothing; a batch with more classes than the vocabulary keeps them all, and classes that cannot be drawn (or
are not there) leave it smaller, where the code fails.
Differs from the source: the paper's head is a frozen matrix of text embeddings with a learned scale; any head here.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F

POWERS = {"uniform": 0.0, "sqrt": 0.5, "linear": 1.0}


@dataclass(frozen=True)
class Method:
    """Classify within a subset of the classes."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("noise",)
    vocabulary: Annotated[int, Ge(2)] = 50
    """Classes of the softmax; with as many classes or fewer this is cross-entropy (the paper: 100 to 500 of 1,000)."""
    weighting: Literal["uniform", "linear", "sqrt"] = "linear"
    """The training counts' power by which the other classes are drawn: 0, 1 or 1/2."""

    def draw(self, labels_B: Tensor, counts_C: Tensor, generator: torch.Generator) -> Tensor:
        """Return which classes are kept, as booleans."""
        kept_C = torch.zeros(len(counts_C), dtype=torch.bool).index_fill_(0, labels_B.cpu(), True)
        weights_C = (counts_C.cpu().float() ** POWERS[self.weighting]).masked_fill(kept_C, 0)
        missing = min(self.vocabulary - int(kept_C.sum()), int((weights_C > 0).sum()))
        if missing > 0:
            kept_C[torch.multinomial(weights_C, missing, generator=generator)] = True
        return kept_C.to(labels_B.device)

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor, *, noise: Tensor) -> Tensor:
        """Return the mean over the batch."""
        return F.cross_entropy(logits_BC.masked_fill(noise == 0, float("-inf")), labels_B)
