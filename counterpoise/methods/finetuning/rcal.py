"""RCAL: train on images and on features drawn from each class's Gaussian, fitted to contrastive features.

Source: Zhang et al. 2023, "When Noisy Labels Meet Long Tail Dilemmas", sections 3.1 to 3.3. Outliers by the local
outlier factor (Breunig et al. 2000), which wrong labels are taken for, leave a class before its Gaussian is fitted; a
tail class borrows from the `nearest` head classes, by the distance between means. Drawn features fill every class up to
the largest. Learned features stay near the contrastive ones, and images are mixed up. Pretraining has to be `simclr`.
Shapes: features_ND, labels_N -> means_CD, covariances_CDD; a batch of B images brings S drawn features, features_SD.
Units: nats; distances in features.
Raises: UserError for another `loss` than cross_entropy, `mixing` or an ensemble; ImpossibleCell for a class without an
example.
Differs from the source: no code is public and only its text, not its formulas, could be read. So these are ours: a
tail class has fewer examples than the average; head classes are weighed by their examples, and what is borrowed is the
Gaussian of `borrowed` times their weighed sum plus the rest times the own feature, all independent; features are drawn
anew at each step; the distance is the mean squared norm; the defaults. The source pretrains by MoCo.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn

from counterpoise import registry
from counterpoise.methods.finetuning import _features, _own_loss

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step

Gaussians = tuple[Tensor, Tensor]


def inliers(features_ND: Tensor, neighbours: int) -> Tensor:
    """Return which examples of a class have a local outlier factor of at most 1.5; of three or fewer, all."""
    from sklearn.neighbors import LocalOutlierFactor

    if len(features_ND) <= 3:
        return torch.ones(len(features_ND), dtype=torch.bool)
    found = LocalOutlierFactor(min(neighbours, len(features_ND) - 1)).fit(features_ND.numpy())
    return torch.from_numpy(found.negative_outlier_factor_ >= -1.5)


def fit(features_ND: Tensor, labels_N: Tensor, classes: int, neighbours: int) -> tuple[Tensor, Gaussians]:
    """Return how many examples of each class were kept, and the mean and covariance of these, in float64."""
    features_ND, kept_N = features_ND.double(), torch.zeros(len(labels_N), dtype=torch.bool)
    for c in range(classes):
        rows = (labels_N == c).nonzero().flatten()
        kept_N[rows] = inliers(features_ND[rows], neighbours)
    kept_C = labels_N[kept_N].bincount(minlength=classes)
    means_CD = _features.class_means(features_ND[kept_N], labels_N[kept_N], classes)
    covariances = []
    for c, mean_D in enumerate(means_CD):
        centred_ND = features_ND[kept_N & (labels_N == c)] - mean_D
        covariances.append(centred_ND.T @ centred_ND / max(len(centred_ND) - 1, 1))
    return kept_C, (means_CD, torch.stack(covariances))


def borrow(gaussians: Gaussians, counts_C: Tensor, kept_C: Tensor, nearest: int, borrowed: float) -> Gaussians:
    """Return the Gaussians with those of tail classes moved towards their nearest head classes."""
    means_CD, covariances_CDD = (t.clone() for t in gaussians)
    head = (counts_C >= counts_C.mean()).nonzero().flatten()
    for k in (counts_C < counts_C.mean()).nonzero().flatten().tolist():
        near = head[(gaussians[0][head] - gaussians[0][k]).norm(dim=1).argsort(stable=True)[:nearest]]
        share_Q = kept_C[near].double() / kept_C[near].sum()
        means_CD[k] = borrowed * share_Q @ gaussians[0][near] + (1 - borrowed) * gaussians[0][k]
        pooled_DD = torch.einsum("q,qde->de", share_Q.square(), gaussians[1][near])
        covariances_CDD[k] = borrowed**2 * pooled_DD + (1 - borrowed) ** 2 * gaussians[1][k]
    return means_CD, covariances_CDD


class Anchors(nn.Module):
    """The encoder as pretraining left it, and the Gaussian of each class under it."""

    means_CD: Tensor
    factors_CDD: Tensor

    def __init__(self, encoder: nn.Module, gaussians: Gaussians) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder).requires_grad_(False)
        values_CD, vectors_CDD = torch.linalg.eigh(gaussians[1])
        self.register_buffer("means_CD", gaussians[0].to(torch.get_default_dtype()))
        self.register_buffer(
            "factors_CDD", (vectors_CDD * values_CD.clamp(min=0).sqrt()[:, None]).to(torch.get_default_dtype())
        )

    def train(self, mode: bool = True) -> "Anchors":
        """Stay in evaluation mode."""
        return super().train(False)

    def draw(self, labels_S: Tensor, generator: torch.Generator) -> Tensor:
        """Return one feature for each label."""
        out_SD = self.means_CD[labels_S]
        noise_SD = torch.randn(out_SD.shape, generator=generator).to(out_SD.device)
        for c in labels_S.unique().tolist():
            out_SD[labels_S == c] += noise_SD[labels_S == c] @ self.factors_CDD[c].T
        return out_SD


@dataclass(frozen=True)
class Task:
    """Learn from mixed images and drawn features, near the contrastive features."""

    distance: float

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the criterion over images and drawn features plus the weighted distance, and the right answers."""
        anchors, net = cast(Anchors, step.net.extra), step.net
        supervised = registry.build("pretraining", {"name": "supervised"})
        loss, hits = supervised.objective(step, rows)
        x_B = step.inputs_B if rows is None else step.inputs_B[rows]
        missing_C = step.counts_C.max() - step.counts_C
        B, S = len(x_B), round(len(x_B) * float(missing_C.sum() / step.counts_C.sum()))
        if S:
            generator = step.stream("drawn")
            labels_S = torch.multinomial(missing_C.cpu(), S, replacement=True, generator=generator).to(x_B.device)
            drawn, _ = supervised.criterion(step, anchors.draw(labels_S, generator), labels_S)
            loss = (B * loss + S * drawn) / (B + S)
        with torch.no_grad():
            target_BD = anchors.encoder(x_B)
        return loss + self.distance * (net.encoder(x_B) - target_BD).square().sum(1).mean(), hits


@dataclass(frozen=True)
class Method:
    """One phase over all parameters, from contrastive features and a fresh head."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = True
    neighbours: Annotated[int, Ge(1)] = 20
    """Neighbours that the density of an example is compared with."""
    nearest: Annotated[int, Ge(1)] = 3
    """Head classes that a tail class borrows from."""
    borrowed: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Share of a tail class's mean that is theirs."""
    distance: Annotated[float, Ge(0)] = 0.01
    """Weight of the distance to the contrastive features."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with the task in place of its own."""
        _own_loss.check("rcal", phase)
        return [replace(phase, task=Task(self.distance), mixing=registry.build("mixing", {"name": "mixup"}))]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Fit the Gaussians to the features of the training part and keep them beside the network."""
        features_ND, labels_N = _features.features(net, sample).cpu(), sample.labels.cpu()  # where outliers are found
        kept_C, gaussians = fit(features_ND, labels_N, net.classes, self.neighbours)
        gaussians = borrow(gaussians, counts_C.cpu(), kept_C, self.nearest, self.borrowed)
        net.extra = Anchors(net.encoder, gaussians).to(net.device)
