"""Features of the training part, as an encoder gives them without augmentation.

Legend: N training examples, C classes, D features.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from counterpoise.errors import ImpossibleCell

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net


@torch.no_grad()
def features(net: "Net", sample: "Sample", size: int = 2048) -> Tensor:
    """Return features_ND of all training rows, in their order; the network is left in evaluation mode."""
    net.eval()
    rows = torch.arange(len(sample.labels)).split(size)
    return torch.cat([net.encoder(sample.standardise(sample.batch(part)[0])) for part in rows])


def class_means(features_ND: Tensor, labels_N: Tensor, classes: int) -> Tensor:
    """Return means_CD in float64; ImpossibleCell for a class without an example."""
    counts_C = labels_N.bincount(minlength=classes)
    if absent := [c for c, n in enumerate(counts_C.tolist()) if n == 0]:
        raise ImpossibleCell(f"class {', '.join(map(str, absent))} has no example to take the mean of")
    sums_CD = features_ND.new_zeros(classes, features_ND.shape[1], dtype=torch.float64)
    return sums_CD.index_add_(0, labels_N, features_ND.double()) / counts_C[:, None]
