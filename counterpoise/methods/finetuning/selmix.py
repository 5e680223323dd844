"""SelMix: features of two classes are mixed, and the pairs are drawn by how much they improve a metric on validation.

Source: Ramasubramanian et al. 2024, "Selective mixup fine-tuning for optimizing non-decomposable objectives";
github.com/val-iisc/SelMix: finetuning/selmix_ssl.py, MetricOptimisation/, dataloaders/sampler.py and the configs of
CIFAR-10 (all layers, from a trained network and its head; learning rate .0003, cosine schedule, 10,000 steps).
Shapes: gains and shares of pairs CC; features_BD.
Units: nats; `temperature` divides gains.
Raises: UserError without a validation part, for another `loss` than cross_entropy, mixing, or an ensemble, or an
optimiser that splits the batch; ImpossibleCell for a class that the validation part lacks.
Differs from the source: supervised, so both images are labelled ones (there the second is an unlabelled one with a
pseudo-label). Rows of the confusion matrix are scaled to sum to 1/K, the same for a balanced validation part, which
the formulas assume. The steps are those configured: the official code stops early once the largest gain settles.
Batch normalisation uses the batch and keeps its running statistics, as there. The official code adds 1/K^3 to each
pair's share, and its gain has the features of the label's class where the gradient has the mixture (`variant`, the
paper's form being the gradient [recalled]). The sampler of the phase is not used.
Where a class has recall 0 on the validation part, G-mean and H-mean and so all their gains are 0, here as in the code,
and every pair is mixed equally often (with coverage, by the gains of that alone). The history counts such looks as
`looks_without_gain`.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _features, _own_loss, _selmix

if TYPE_CHECKING:
    from counterpoise.training.loop import Sample
    from counterpoise.training.network import Net
    from counterpoise.training.phases import Phase, Step


class Policy(nn.Module):
    """How often each pair is mixed, the metric's multipliers, the last look at validation, and looks without a gain."""

    share_CC: Tensor
    multiplier_C: Tensor
    refreshed: Tensor
    gainless: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("share_CC", torch.full((classes, classes), 1 / classes**2, dtype=torch.float64))
        self.register_buffer("multiplier_C", torch.full((classes,), 1 / classes, dtype=torch.float64))
        self.register_buffer("refreshed", torch.tensor(-1))
        self.register_buffer("gainless", torch.tensor(0))

    def record(self) -> dict[str, int]:
        """Return what the history is to say: how often no pair had any gain, if that happened."""
        return {"looks_without_gain": int(self.gainless)} if self.gainless else {}


@dataclass(frozen=True)
class Method:
    """One phase over all parameters, of selective mixup."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    needs_validation: ClassVar[bool] = True
    evaluations: ClassVar[int] = 2
    objective: _selmix.Objective = "mean_recall"
    """The metric to improve; with coverage, each class is also to be predicted often enough."""
    temperature: Annotated[float, Gt(0)] = 0.1
    """Divides the gains before the softmax."""
    least_share: Annotated[float, Interval(ge=0, le=1)] = 0.6
    """The share of the image that gives the label is uniform between this and 1."""
    refresh: Annotated[int, Ge(1)] = 50
    """Steps between two looks at the validation part."""
    rate: Annotated[float, Ge(0)] = 50.0
    """Of the multipliers of `min_recall`: how strongly the worst recalls are favoured."""
    memory: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Exponent of the multipliers before, in those of `min_recall`."""
    coverage: Annotated[float, Interval(ge=0, le=1)] = 0.95
    """The share of 1/K that a class's predictions are to reach."""
    coverage_width: Annotated[float, Gt(0)] = 0.1
    """How far a coverage is short when its multiplier has come near the largest."""
    coverage_multiplier: Annotated[float, Ge(0)] = 100.0
    """The largest multiplier of a coverage."""
    variant: _selmix.Variant = "official_code"
    """Whose gain and whose shares."""

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with the task in place of its own."""
        _own_loss.check("selmix", phase)
        return [replace(phase, task=Task(self))]

    def open(self, net: "Net", sample: "Sample", counts_C: Tensor) -> None:
        """Hold what batch normalisation has learned of its inputs."""
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.momentum = 0.0


@dataclass(frozen=True)
class Task:
    """Cross-entropy of mixed features with the label of the larger part."""

    method: Method

    def module(self, features: int, classes: int) -> nn.Module:
        """Return the policy, which mixes all pairs alike until it has seen the validation part."""
        return Policy(classes)

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch drawn by the policy, and its right answers."""
        if rows is not None:
            raise UserError("selmix draws its own batch: name an optimiser that takes a batch whole")
        policy, method = cast(Policy, step.net.extra), self.method
        if step.number % method.refresh == 0 and int(policy.refreshed) != step.number:
            self._refresh(step, policy)
        share_CC, labels_N = policy.share_CC.cpu(), step.sample.labels.cpu()  # where random numbers are drawn
        first_B, second_B = pairs(share_CC, labels_N, len(step.labels_B), step.stream("selmix"))
        images_B, labels_B = step.sample.batch(first_B)
        others_B, _ = step.sample.batch(second_B)
        share_B1 = torch.rand(len(labels_B), 1, generator=step.stream("selmix-share"))
        share_B1 = (method.least_share + (1 - method.least_share) * share_B1).to(labels_B.device)
        features_BD = share_B1 * step.net.encoder(step.augmented(images_B))
        features_BD = features_BD + (1 - share_B1) * step.net.encoder(step.augmented(others_B, "augmentation-partners"))
        logits_BC = step.net.head(features_BD)
        return F.cross_entropy(logits_BC, labels_B), (logits_BC.argmax(1) == labels_B).sum()

    @torch.no_grad()
    def _refresh(self, step: "Step", policy: Policy) -> None:
        """Look at the validation part and set how often each pair is mixed."""
        if step.validation is None:
            raise UserError("selmix measures gains on a validation part: set `validation` or `validation_fraction`")
        method, net, (images_V, labels_V) = self.method, step.net, step.validation
        training = net.encoder.training
        net.eval()
        features_VD = torch.cat([net.encoder(step.sample.standardise(part)) for part in images_V.split(2048)])
        means_CD = _features.class_means(features_VD, labels_V, net.classes)
        mixtures_CCD = _selmix.mixed(means_CD, method.least_share)
        predicted_CCC = net.head(mixtures_CCD.flatten(0, 1).to(features_VD.dtype)).double().softmax(1)
        confusion_CC = _selmix.confusion(net.head(features_VD).argmax(1), labels_V, net.classes)
        net.train()
        net.encoder.train(training)
        if method.objective.endswith("coverage"):
            limits = method.coverage, method.coverage_width, method.coverage_multiplier
            policy.multiplier_C.copy_(_selmix.coverage_multipliers(confusion_CC, *limits))
        elif method.objective == "min_recall":
            before_C = policy.multiplier_C.clone()
            policy.multiplier_C.copy_(_selmix.recall_multipliers(confusion_CC, before_C, method.memory, method.rate))
        metric_CC = _selmix.metric_gain(method.objective, confusion_CC, policy.multiplier_C)
        predicted_CCC = predicted_CCC.view(*mixtures_CCD.shape[:2], -1)
        gain_CC = _selmix.mixup_gain(metric_CC, means_CD, mixtures_CCD, predicted_CCC, method.variant)
        policy.gainless += (gain_CC == 0).all()
        share_CC = _selmix.pair_shares(
            gain_CC, method.temperature, 1e-10 if method.objective == "mean_recall" else 1e-8
        )
        if method.variant == "official_code":
            share_CC = (share_CC + net.classes**-3) / (1 + 1 / net.classes)
        if share_CC.isfinite().all():  # else the loss is about to say that training diverged
            policy.share_CC.copy_(share_CC)
        policy.refreshed.fill_(step.number)


def pairs(share_CC: Tensor, labels_N: Tensor, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw positions of `size` pairs: the pair of classes by its share, then an example of each uniformly."""
    counts_C = labels_N.bincount(minlength=len(share_CC))
    present_C = (counts_C > 0).double()
    weights_CC = share_CC * present_C[:, None] * present_C
    drawn_B = torch.multinomial(weights_CC.flatten(), size, replacement=True, generator=generator)
    by_class_N, starts_C = labels_N.argsort(stable=True), counts_C.cumsum(0) - counts_C
    positions = []
    for class_B in (drawn_B // len(share_CC), drawn_B % len(share_CC)):
        within_B = torch.rand(size, generator=generator, dtype=torch.float64) * counts_C[class_B]
        positions.append(by_class_N[starts_C[class_B] + within_B.long()])
    return positions[0], positions[1]
