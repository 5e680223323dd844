"""Prototypical network: in each episode, queries go to the class whose mean support feature is nearest.

Source: Snell, Swersky and Zemel 2017, "Prototypical networks for few-shot learning", algorithm 1 (squared Euclidean
distance) and section 2.4 (the equivalent linear classifier); "Few-shot learning approach on tuberculosis classification
based on chest X-ray images", 2024, which trains features of residual networks so.
Shapes: features_ESD of supports and features_EQD of queries, E episodes -> logits_EQC.
Units: nats; squared distances.
Raises: UserError for another `loss` than cross_entropy, mixing, an ensemble, an optimiser that splits the batch, or a
batch that does not hold whole episodes; ImpossibleCell for a class without a training example.
Differs from the source: classes are the same in training and test, as in the study of X-rays, and afterwards the
prototypes are the means of all training rows, without augmentation, kept as the linear head that section 2.4 derives.
Logits leave out the squared norm of the query, which the softmax does not see. A batch may hold several episodes.
Until the end the head is untrained: no snapshots are kept, no validation. Squared distances make steep losses:
with SGD a rate of .01 or less trains where .05 diverges (the paper uses Adam at .001).
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _features, _own_loss

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step


@dataclass(frozen=True)
class Method:
    """One phase of episodes over the encoder; then the prototypes become the head."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = True
    ways: Annotated[int, Ge(2)] = 4
    """Classes of an episode."""
    supports: Annotated[int, Ge(1)] = 2
    """Examples of each class that its prototype is the mean of."""
    queries: Annotated[int, Ge(1)] = 2
    """Examples of each class that are told apart."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with episodes as its sampler and their loss as its task."""
        _own_loss.check("prototypical_network", phase)
        shots = self.supports + self.queries
        sampler = registry.build("samplers", {"name": "episodic_sampling", "ways": self.ways, "shots": shots})
        task = Episodes(self.ways, self.supports, self.queries)
        return [replace(phase, sampler=sampler, task=task, validates=False, snapshots=0)]

    @torch.no_grad()
    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Replace the head by the prototypes of the training rows."""
        features_ND = _features.features(net, sample)
        means_CD = _features.class_means(features_ND, sample.labels.to(net.device), net.classes)
        net.head = nn.Linear(net.features, net.classes, dtype=features_ND.dtype)
        net.head.weight.copy_(2 * means_CD)
        net.head.bias.copy_(-means_CD.square().sum(1))


@dataclass(frozen=True)
class Episodes:
    """Cross-entropy over minus the squared distances of queries to the prototypes of their episode."""

    ways: int
    supports: int
    queries: int

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean over all queries, and their right answers as a number of the whole batch."""
        if rows is not None:
            raise UserError("prototypical_network: name an optimiser that takes a batch whole")
        block = (-1, self.ways, self.supports + self.queries)
        features_EWSD = step.net.encoder(step.inputs_B).view(*block, step.net.features)
        labels_EWS = step.labels_B.view(block)
        support_ESD, query_EQD = (part.flatten(1, 2) for part in features_EWSD.tensor_split([self.supports], 2))
        support_ES, query_EQ = (part.flatten(1) for part in labels_EWS.tensor_split([self.supports], 2))
        logits_EQC = distances(support_ESD, support_ES, query_EQD, step.net.classes)
        loss = F.cross_entropy(logits_EQC.flatten(0, 1), query_EQ.flatten())
        right = (logits_EQC.argmax(2) == query_EQ).sum()
        return loss, right * len(step.labels_B) // query_EQ.numel()


def distances(support_ESD: Tensor, labels_ES: Tensor, query_EQD: Tensor, classes: int) -> Tensor:
    """Return 2 q c - c c for each query q and prototype c, and -inf for a class that is not in the episode."""
    member_ESC = F.one_hot(labels_ES, classes).to(support_ESD.dtype)
    count_EC = member_ESC.sum(1)
    prototypes_ECD = member_ESC.mT @ support_ESD / count_EC.clamp(min=1)[:, :, None]
    logits_EQC = 2 * query_EQD @ prototypes_ECD.mT - prototypes_ECD.square().sum(2)[:, None]
    return logits_EQC.masked_fill(count_EC[:, None] == 0, -torch.inf)
