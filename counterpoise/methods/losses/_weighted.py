"""What losses that take class weights from a strategy share."""

from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    logits_BC: Tensor, labels_B: Tensor, class_weights_C: Tensor | None, reduction: str = "mean"
) -> Tensor:
    """Return the cross-entropy; a mean over the batch is divided by the sum of the weights in it, as torch does."""
    weights_C = None if class_weights_C is None else class_weights_C.to(logits_BC.dtype)
    return F.cross_entropy(logits_BC, labels_B, weight=weights_C, reduction=reduction)
