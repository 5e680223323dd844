"""Nearest class mean: after training, an example goes to the class whose mean feature is nearest.

Source: Kang et al. 2020, "Decoupling representation and classifier", section 4 (NCM);
github.com/facebookresearch/classifier-balancing, models/KNNClassifier.py and `get_knncentroids` of run_networks.py;
Mensink et al. 2013.
Shapes: features_BD, means_CD -> similarities_BC.
Units: the outputs are similarities, for `l2` minus the squared distance; taken as logits they are those of equal
priors and round Gaussians of variance 1/2, which nothing calibrates.
Raises: ImpossibleCell for a class without a training example; UserError with an ensemble.
Differs from the source: means are taken in float64. The paper normalises the mean (`plain` features, `cosine`), the
official code the features (the default, `centred_unit` and `l2`; its `cos` is `dot` here). Centring uses the mean of
all training rows, which the large classes dominate, as in the official code. The history says nothing of validation
and no snapshots are kept: until the end the network has another head.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _features

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase

Features = Literal["plain", "unit", "centred_unit"]
Metric = Literal["l2", "cosine", "dot"]


class NearestMean(nn.Module):
    """Similarity to the mean feature of each class."""

    centre_D: Tensor
    means_CD: Tensor

    def __init__(self, features_ND: Tensor, labels_N: Tensor, classes: int, features: Features, metric: Metric) -> None:
        super().__init__()
        self.features, self.metric = features, metric
        self.register_buffer("centre_D", features_ND.double().mean(0).to(features_ND.dtype))
        means_CD = _features.class_means(self.transformed(features_ND), labels_N, classes)
        self.register_buffer("means_CD", means_CD.to(features_ND.dtype))

    def transformed(self, features_BD: Tensor) -> Tensor:
        """Return features as the means were taken of them."""
        if self.features == "centred_unit":
            features_BD = features_BD - self.centre_D
        return features_BD if self.features == "plain" else F.normalize(features_BD, dim=1)

    def forward(self, features_BD: Tensor) -> Tensor:
        """Return similarities_BC."""
        x_BD, means_CD = self.transformed(features_BD), self.means_CD
        if self.metric == "l2":
            return -torch.cdist(x_BD, means_CD, compute_mode="donot_use_mm_for_euclid_dist").square()
        if self.metric == "cosine":
            return F.linear(F.normalize(x_BD, dim=1), F.normalize(means_CD, dim=1))
        return F.linear(x_BD, means_CD) / x_BD.shape[1]


@dataclass(frozen=True)
class Method:
    """One phase as configured; then the means of the training rows, without augmentation, replace the head."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    features: Features = "centred_unit"
    """What means and distances are taken of: the features, those of norm 1, or centred first and then of norm 1."""
    metric: Metric = "l2"
    """Minus the squared distance, the cosine, or the dot product divided by the number of features."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase as configured, without looks at the head that the means will replace."""
        if phase.ensemble is not None:
            raise UserError("nearest_class_mean takes one network's features: leave `ensemble` at none")
        return [replace(phase, validates=False, snapshots=0)]

    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Replace the head by the means."""
        features_ND = _features.features(net, sample)
        net.head = NearestMean(features_ND, sample.labels.to(net.device), net.classes, self.features, self.metric)
