"""Cross-entropy with the training prior in the softmax, and a regulariser that drives each logit towards log p(x|y).

Source: Hong, Han, Choi, Seo, Kim and Chang 2021, equations 16, 19 and 20; github.com/hyperconnect/LADE,
loss/PriorCELoss.py + `regularizer` * loss/LADELoss.py, summed as run_networks.py does.
Shapes: logits_BC, labels_B, counts_C -> scalar.
Units: nats.
Raises: nothing; a class without examples has weight 0 in the regulariser and 1e-9 for a prior in the softmax.
Differs from the source: nothing in `official_code`, whose epsilons (1e-9 at priors, 1e-8 at batch counts) are kept;
classes that a batch lacks have 0 for the mean of their own logits, as there. The code corrects class c's
log-mean-exp over the batch by p_u(c) / p_s(c), a constant of the class; what the paper approximates, a mean over
x from the uniform distribution, needs p_u(y_i) / p_s(y_i) of each example's own label: `variant: paper` (derived
from that definition and [recalled], equation 12). Uniform test priors are assumed, so logits stay as they are.
The regulariser is not a function of probabilities: it grows with the square of the logits, 1e5 at logits of 1e3, where
float32 has two digits behind the point.
"""

from dataclasses import dataclass
from math import log
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Method:
    """Label distribution disentangling loss."""

    version: ClassVar[int] = 1
    regularizer: Annotated[float, Ge(0)] = 0.1
    """Weight of the regulariser (the code's alpha); 0 leaves the cross-entropy alone."""
    remine: Annotated[float, Ge(0)] = 0.1
    """Weight of the squared log-mean-exp in it (lambda); for CIFAR-100-LT at factor 100 the authors ran 0.01."""
    variant: Literal["paper", "official_code"] = "official_code"
    """Whose prior corrects the log-mean-exp: the class's own (code) or that of each example's label."""

    def __call__(self, logits_BC: Tensor, labels_B: Tensor, counts_C: Tensor) -> Tensor:
        """Return the sum of both parts."""
        size, classes = logits_BC.shape
        prior_C = counts_C.double() / counts_C.sum()
        log_prior_C = (prior_C + 1e-9).log().to(logits_BC.dtype)
        own_BC = labels_B[:, None] == torch.arange(classes, device=labels_B.device)
        own_mean_C = torch.where(own_BC, logits_BC, 0.0).sum(0) / (own_BC.sum(0) + 1e-8)
        log_ratio_C = log(1 / classes + 1e-9) - log_prior_C
        log_ratio = log_ratio_C if self.variant == "official_code" else log_ratio_C[labels_B][:, None]
        log_mean_C = (logits_BC + log_ratio).logsumexp(0) - log(size)
        bound_C = own_mean_C - log_mean_C - self.remine * log_mean_C**2
        return (
            F.cross_entropy(logits_BC + log_prior_C, labels_B)
            - self.regularizer * (prior_C.to(logits_BC.dtype) * bound_C).sum()
        )
