"""Post-training on unlabelled examples: a low-rank change of the head, made only where predictions waver and shift.

Source: Kim, Joe and Kwon 2025 (OASIS), of which only the abstract could be read; its post-training as the same authors
give it for network intrusion, "Evolving Intelligent Network Attack Classifier Under Label Distribution Shift" (IEEE
TNSE 13, 2026), equations 12 and 15 to 22 and algorithm 2. A batch is learned from where the cosine of its mean
prediction with that of the batch before falls below `similarity`, and of it the examples whose entropy is at least
`uncertain`. Their label is the predicted class where the entropy is below `certain`; else the class of least
Mahalanobis distance, if the next one is at least `gap` farther; else there is none. Pretraining has to be `supervised`.
Shapes: x_B, features_BD, means_CD -> distances_BC; head weights W_CD + (B_DR A_RC)^T.
Units: entropies in shares of log C, distances in standard deviations, loss in nats.
Raises: UserError without unlabelled examples, for a head that is not linear, another `loss` than cross_entropy,
`mixing` or an ensemble; ImpossibleCell for a class without an example.
Differs from the source: unlabelled examples are drawn from one fixed part, so a shift that stays is only seen against
the training part (`reference`, whose other value is the source's). Unknown classes have no output here. Ours as well:
all thresholds, the rank, and the shrunk covariance (the classes' own may be singular); one step a batch on the mean
loss, where the source steps by example. Momentum and weight decay also act on steps that learn nothing: set them to 0.
The history's accuracy is the share of the batch that was learned from.
"""

from copy import deepcopy
from dataclasses import dataclass, replace
from math import log
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, cast

import torch
from annotated_types import Ge, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _features, _own_loss

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step

Share = Annotated[float, Interval(ge=0, le=1)]


class LowRank(nn.Module):
    """A linear head that stays as it was, plus a product of two thin matrices that starts at zero."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = deepcopy(base).requires_grad_(False)
        drawn_RC = torch.randn(rank, base.out_features, generator=torch.Generator().manual_seed(0))
        self.a_RC, self.b_DR = nn.Parameter(drawn_RC / rank**0.5), nn.Parameter(torch.zeros(base.in_features, rank))

    def forward(self, features_BD: Tensor) -> Tensor:
        """Return logits_BC."""
        return self.base(features_BD) + features_BD @ self.b_DR @ self.a_RC

    def merged(self) -> nn.Linear:
        """Return the one linear layer that this amounts to."""
        head = deepcopy(self.base)
        head.weight += (self.b_DR.detach() @ self.a_RC.detach()).T
        return head.requires_grad_(True)


def whitenings(features_ND: Tensor, labels_N: Tensor, means_CD: Tensor, shrinkage: float) -> Tensor:
    """Return W_CDD with W W^T the inverse of each class's covariance, shrunk towards the mean within classes."""
    centred_ND = features_ND.double() - means_CD[labels_N]
    by_class, D = [centred_ND[labels_N == c] for c in range(len(means_CD))], centred_ND.shape[1]
    own_CDD = torch.stack([x_ND.T @ x_ND / len(x_ND) for x_ND in by_class])
    within_DD = centred_ND.T @ centred_ND / len(centred_ND)
    ridge_DD = (1e-3 * within_DD.trace() / D + 1e-12) * torch.eye(D, dtype=torch.float64, device=within_DD.device)
    values_CD, vectors_CDD = torch.linalg.eigh((1 - shrinkage) * own_CDD + shrinkage * within_DD + ridge_DD)
    return vectors_CDD * values_CD.rsqrt()[:, None]


class Reference(nn.Module):
    """Where each class lies in the training part, and the mean prediction that the next batch is compared with."""

    means_CD: Tensor
    whitenings_CDD: Tensor
    mean_C: Tensor
    next_C: Tensor
    last: Tensor

    def __init__(self, means_CD: Tensor, whitenings_CDD: Tensor, mean_C: Tensor) -> None:
        super().__init__()
        self.register_buffer("means_CD", means_CD.to(torch.get_default_dtype()))
        self.register_buffer("whitenings_CDD", whitenings_CDD.to(torch.get_default_dtype()))
        self.register_buffer("mean_C", mean_C)
        self.register_buffer("next_C", mean_C.clone())
        self.register_buffer("last", torch.tensor(-1))

    def distances(self, features_BD: Tensor) -> Tensor:
        """Return the Mahalanobis distance to each class."""
        away_CBD = features_BD - self.means_CD[:, None]
        return torch.bmm(away_CBD, self.whitenings_CDD).norm(dim=2).T

    def follow(self, number: int, mean_C: Tensor) -> None:
        """At the first evaluation of a step, compare it with the batch before, and keep its own mean for the next."""
        if int(self.last) != number:
            self.last.fill_(number)
            self.mean_C.copy_(self.next_C)
            self.next_C.copy_(mean_C)


def entropy(logits_BC: Tensor) -> Tensor:
    """Return the entropy of each prediction as a share of the largest possible."""
    return -(logits_BC.softmax(1) * logits_BC.log_softmax(1)).sum(1) / log(logits_BC.shape[1])


def pseudo_labels(logits_BC: Tensor, distances_BC: Tensor, certain: float, gap: float) -> tuple[Tensor, Tensor]:
    """Return a class for each example and whether it is reliable: predicted where certain, else clearly nearest."""
    certain_B = entropy(logits_BC) < certain
    nearest_B2 = distances_BC.topk(2, dim=1, largest=False).values
    clear_B = nearest_B2[:, 1] - nearest_B2[:, 0] >= gap
    return torch.where(certain_B, logits_BC.argmax(1), distances_BC.argmin(1)), certain_B | clear_B


@dataclass(frozen=True)
class Task:
    """Learn from the unlabelled batch, if anything calls for it."""

    unlabelled_ratio: ClassVar[int] = 1
    uncertain: float
    similarity: float
    certain: float
    gap: float
    follows: bool

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the pseudo-labels that are learned from and how many; `rows` are of labelled ones."""
        if step.unlabelled_B is None:
            raise UserError("oasis_post_training needs unlabelled examples: set unlabelled.per_class")
        reference = cast(Reference, step.net.extra)
        with torch.no_grad():
            features_BD = step.net.encoder(step.augmented(step.unlabelled_B))
        logits_BC = step.net.head(features_BD)
        with torch.no_grad():
            mean_C = logits_BC.softmax(1).mean(0)
            if self.follows:
                reference.follow(step.phase.first + step.number, mean_C)
            shifted = F.cosine_similarity(mean_C, reference.mean_C, dim=0) < self.similarity
            distances_BC = reference.distances(features_BD)
            labels_B, reliable_B = pseudo_labels(logits_BC, distances_BC, self.certain, self.gap)
            learned_B = shifted & (entropy(logits_BC) >= self.uncertain) & reliable_B
        losses_B = F.cross_entropy(logits_BC, labels_B, reduction="none") * learned_B
        return losses_B.sum() / learned_B.sum().clamp(min=1), learned_B.sum()


@dataclass(frozen=True)
class Method:
    """One phase over a low-rank change of the pretrained head, on unlabelled examples alone."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    rank: Annotated[int, Ge(1)] = 4
    """Rank of the change."""
    uncertain: Share = 0.05
    """An example is learned from where its entropy is at least this share of the largest possible."""
    similarity: Annotated[float, Interval(ge=0, le=2)] = 0.95
    """A batch is learned from where its mean prediction has less than this cosine; above 1 always, 0 never."""
    certain: Share = 0.3
    """Below this share of the largest entropy the prediction is the label."""
    gap: Annotated[float, Ge(0)] = 1.0
    """How much nearer than the next class the nearest must be, to be the label of an uncertain example."""
    reference: Literal["previous", "training"] = "training"
    """What a batch is compared with: the batch before (the first with the training part), or the training part."""
    shrinkage: Share = 0.5
    """Share of the mean covariance within classes in that of each."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase, restricted to the head, with the task in place of its own."""
        _own_loss.check("oasis_post_training", phase)
        follows = self.reference == "previous"
        task = Task(self.uncertain, self.similarity, self.certain, self.gap, follows)
        return [replace(phase, head_only=True, task=task)]

    @torch.no_grad()
    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Measure the training part and make room for the change."""
        if type(net.head) is not nn.Linear:
            raise UserError("oasis_post_training changes a linear head: leave `head` at linear")
        features_ND = _features.features(net, sample)
        labels_N = sample.labels.to(net.device)
        means_CD = _features.class_means(features_ND, labels_N, net.classes)
        spread_CDD = whitenings(features_ND, labels_N, means_CD, self.shrinkage)
        reference = Reference(means_CD, spread_CDD, net.head(features_ND).softmax(1).mean(0))
        net.extra, net.head = reference.to(net.device), LowRank(net.head, self.rank).to(net.device)

    def close(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Make the head one linear layer again."""
        net.head = cast(LowRank, net.head).merged()
