"""Experts that classify each by itself and are pushed apart, with class-wise temperatures late in training.

Source: Wang, Lian, Miao, Liu and Yu 2021, "Long-tailed recognition by routing diverse distribution-aware experts";
github.com/frank-xwang/RIDE-LongTailRecognition, model/loss.py, `RIDELoss`: over the experts, the sum of the base loss
plus a negative factor times mean(T)^2 KL(softmax(m / T), softmax(z / T)), m the experts' mean, held constant. From
`reweight_from` on T_c = b_c / max b, b_c = reweight_factor C n_c / N + 1 - reweight_factor, and LDAM is weighted.
Shapes: outputs_BEC, features_BED, labels_B, counts_C -> scalar; logits_BEC -> logits_BC.
Units: nats, summed over the experts.
Raises: UserError in planning, for a loss, class weights or a `scale` that would not act. In `paper` a temperature is
negative where C (n_max - n_c) / N exceeds 1 / reweight_factor.
Differs from the source: the official recipe is the head `cosine` with `base` ldam and `scale` 30, or with the loss
`ldam`, `scale` 30 and `drw`. Without reweighting the code does not run (an unset attribute); here it is plain. The
code's `reweight_epoch` 160 of 200 is the share .8. Distillation from a larger ensemble is left out. The `paper`
[recalled] has each expert against each other, KL(p_i, p_j) / (E - 1) with gradients through both, no mean(T)^2, and
T_c = temperature (b_c + 1 - max b).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.methods.ensembles import _scale

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase

Criterion = Callable[[Tensor, Tensor], Tensor]


def divergence_from_mean(logits_BEC: Tensor, temperatures_C: Tensor) -> Tensor:
    """Return the sum over experts of mean(T)^2 KL(mean, expert), without a gradient through the mean."""
    log_mean_BC = (logits_BEC.mean(1) / temperatures_C).log_softmax(1).detach()
    log_p_BEC = (logits_BEC / temperatures_C).log_softmax(2)
    kl = (log_mean_BC.exp()[:, None] * (log_mean_BC[:, None] - log_p_BEC)).sum((1, 2)).mean()
    return temperatures_C.mean() ** 2 * kl


def divergence_of_pairs(logits_BEC: Tensor, temperatures_C: Tensor) -> Tensor:
    """Return the sum over experts of the mean KL(expert, other)."""
    E, log_p_BEC = logits_BEC.shape[1], (logits_BEC / temperatures_C).log_softmax(2)
    difference_BEEC = log_p_BEC[:, :, None] - log_p_BEC[:, None]
    return (log_p_BEC.exp()[:, :, None] * difference_BEEC).sum((1, 2, 3)).mean() / (E - 1)


@dataclass(frozen=True)
class Method:
    """Diverse distribution-aware experts."""

    version: ClassVar[int] = 1
    experts: Annotated[int, Ge(2)] = 3
    """How many late parts and heads there are (the source: 2 to 4)."""
    base: Literal["phase", "ldam"] = "phase"
    """What each expert learns: the phase's loss, or the source's weighted LDAM (leave `loss` then)."""
    scale: Annotated[float, Gt(0)] = 1.0
    """What the base loss multiplies the head's outputs by to make logits: 30 for ldam on a cosine head."""
    base_loss_factor: Annotated[float, Ge(0)] = 1.0
    """Weight of the base loss."""
    additional_diversity_factor: Annotated[float, Interval(ge=-10, le=10)] = -0.2
    """Weight of the divergence; the source: -0.45 for CIFAR, -0.2 else. See `variant` for 0."""
    base_diversity_temperature: Annotated[float, Gt(0)] = 1.0
    """Temperature of the divergence before `reweight_from`, and the factor of the class-wise ones."""
    reweight_factor: Annotated[float, Interval(ge=0, lt=1)] = 0.05
    """How much the temperatures follow the class counts (the source: 0.02 for ImageNet, 0.015 for iNaturalist)."""
    reweight_from: Annotated[float, Interval(ge=0, le=1)] = 0.8
    """Share of the steps after which temperatures (and ldam's weights) follow the counts; 1 is never."""
    max_margin: Annotated[float, Ge(0)] = 0.5
    """Margin of the rarest class, for `base` ldam."""
    beta: Annotated[float, Interval(ge=0, lt=1)] = 0.9999
    """Of the effective number of examples, by which `base` ldam is weighted."""
    variant: Literal["official_code", "paper"] = "official_code"
    """Which divergence; at `additional_diversity_factor` 0 the code trains all experts on the mean of their outputs."""

    def check(self, phase: "Phase") -> None:
        """Raise UserError for a loss or weights that `base` ldam would not use, or a scale other than the loss has."""
        if self.base == "phase":
            _scale.check("ride", self.scale, phase)
        elif not isinstance(phase.loss, registry.method("losses", "cross_entropy")):
            raise UserError(
                "ride with `base` ldam brings its own loss: leave `loss` at cross_entropy, or write base: phase"
            )
        elif phase.class_weights is not None:
            raise UserError(
                "ride with `base` ldam weighs classes by itself: leave `method` at all_layers, or write base: phase"
            )

    def temperatures(self, counts_C: Tensor, progress: float) -> Tensor:
        """Return the temperature of each class."""
        if progress < self.reweight_from:
            return torch.full_like(counts_C, self.base_diversity_temperature)
        share_C = len(counts_C) * counts_C / counts_C.sum()
        b_C = self.reweight_factor * share_C + 1 - self.reweight_factor
        relative_C = b_C / b_C.max() if self.variant == "official_code" else b_C + 1 - b_C.max()
        return self.base_diversity_temperature * relative_C

    def loss(
        self,
        outputs_BEC: Tensor,
        features_BED: Tensor,
        labels_B: Tensor,
        counts_C: Tensor,
        criterion: Criterion,
        *,
        progress: float,
    ) -> Tensor:
        """Return the experts' base losses plus the weighted divergence."""
        if self.base == "ldam":
            criterion = self._ldam(labels_B, counts_C.double(), progress)
        if self.variant == "official_code" and self.additional_diversity_factor == 0:
            base = outputs_BEC.shape[1] * criterion(outputs_BEC.mean(1), features_BED.mean(1))
        else:
            pairs = zip(outputs_BEC.unbind(1), features_BED.unbind(1), strict=True)
            base = torch.stack([criterion(outputs_BC, features_BD) for outputs_BC, features_BD in pairs]).sum()
        divergence = divergence_from_mean if self.variant == "official_code" else divergence_of_pairs
        temperatures_C = self.temperatures(counts_C.double(), progress).to(outputs_BEC.dtype)
        apart = divergence(self.scale * outputs_BEC, temperatures_C)
        return self.base_loss_factor * base + self.additional_diversity_factor * apart

    def _ldam(self, labels_B: Tensor, counts_C: Tensor, progress: float) -> Criterion:
        """Return LDAM, weighted by the effective number from `reweight_from` on."""
        ldam = registry.build("losses", {"name": "ldam", "max_margin": self.max_margin, "scale": self.scale})
        balanced = registry.build("losses", {"name": "class_balanced", "beta": self.beta})
        weights_C = None if progress < self.reweight_from else balanced.weights(counts_C)
        return lambda outputs_BC, features_BD: ldam(outputs_BC, labels_B, counts_C, weights_C)

    def combine(self, logits_BEC: Tensor) -> Tensor:
        """Return the mean of the experts' logits."""
        return logits_BEC.mean(1) * (self.scale if self.base == "ldam" else 1.0)
