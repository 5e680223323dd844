"""Adversarial training in which rare classes weigh more, late, and features of different classes are driven apart.

Source: Wang et al. 2021, Separable Reweighted Adversarial Training [recalled; no code was found]: the minimum over the
network of w_y CE at the worst input within epsilon, found by projected gradient ascent, plus lambda times a feature
separation loss, which is the supervised contrastive loss of the adversarial features. Weights: the effective number
of examples (Cui et al. 2019), once the learning rate has dropped.
Shapes: images_BCHW, labels_B -> attacked images_BCHW -> features_BD, logits_BC.
Units: nats; `epsilon` and `step_size` in grey levels of raw images, 0 to 255.
Raises: UserError for another `loss` than cross_entropy, and for inputs that are not images when they are attacked.
Differs from the source: derived from the description, not compared with its code. Features are normalised and
examples without another of their class in the batch have no separation loss (Khosla et al. 2020); the weighted mean
is torch's. The defaults of `temperature` and `separation` are ours.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.methods.finetuning import _own_loss
from counterpoise.training import attacks

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase, Step


def separation(features_BD: Tensor, labels_B: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss, averaged over the examples that have another of their class."""
    z_BD = F.normalize(features_BD, dim=1)
    itself_BB = torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    positive_BB = ((labels_B[:, None] == labels_B) & ~itself_BB).to(z_BD.dtype)
    similarity_BB = (z_BD @ z_BD.T / temperature).masked_fill(itself_BB, torch.finfo(z_BD.dtype).min)
    log_p_BB = (similarity_BB - similarity_BB.logsumexp(1, keepdim=True)).masked_fill(itself_BB, 0)
    count_B = positive_BB.sum(1)
    return -((positive_BB * log_p_BB).sum(1) / count_B.clamp(min=1)).sum() / (count_B > 0).sum().clamp(min=1)


@dataclass(frozen=True)
class Task:
    """Learn from attacked images."""

    method: "Method"

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weighted loss plus separation, on all or some rows of the batch, and the right answers."""
        method, labels_B = self.method, step.labels_B
        images = step.phase.augmentation(step.images_B, step.stream("augmentation"))
        if method.attack == "pgd":
            images = self._attacked(step, images)
        if rows is not None:
            images, labels_B = images[rows], labels_B[rows]
        features_BD = step.net.encoder(step.sample.standardise(images))
        logits_BC = step.net.head(features_BD)
        weights_C = None
        if method.reweight and step.progress >= method.defer:
            weighting = registry.build("losses", {"name": "class_balanced", "beta": method.beta})
            weights_C = weighting.weights(step.counts_C.to(logits_BC.dtype))
        loss = F.cross_entropy(logits_BC, labels_B, weight=weights_C)
        if method.separation:
            loss = loss + method.separation * separation(features_BD, labels_B, method.temperature)
        return loss, (logits_BC.argmax(1) == labels_B).sum()

    def _attacked(self, step: "Step", images: Tensor) -> Tensor:
        """Return images of the highest loss found within epsilon; the network is as in prediction meanwhile."""
        if images.ndim != 4:
            raise UserError(f"srat attacks images, got inputs of shape {tuple(images.shape[1:])}: set attack: none")
        method, parts = self.method, (step.net.encoder, step.net.head)
        modes = [part.training for part in parts]
        model = nn.Sequential(*parts).eval()
        attacked = attacks.pgd(
            lambda x: F.cross_entropy(model(step.sample.standardise(x)), step.labels_B, reduction="sum"),
            images, step.stream("attack"), epsilon=method.epsilon, step_size=method.step_size, steps=method.steps,
        )  # fmt: skip
        for part, mode in zip(parts, modes, strict=True):
            part.train(mode)
        return attacked


@dataclass(frozen=True)
class Method:
    """One phase over all parameters; without attack, weights or separation it is adversarial or natural training."""

    version: ClassVar[int] = 1
    fresh_head: ClassVar[bool] = False
    attack: Literal["none", "pgd"] = "pgd"
    """How the training images are changed."""
    epsilon: Annotated[float, Ge(0)] = 8.0
    """Largest change of a pixel, in grey levels."""
    step_size: Annotated[float, Gt(0)] = 2.0
    """Change of a pixel in one step of the attack, in grey levels."""
    steps: Annotated[int, Ge(1)] = 10
    """Steps of the attack."""
    reweight: bool = True
    """Weigh classes by the effective number of their examples."""
    beta: Annotated[float, Interval(ge=0, lt=1)] = 0.9999
    """The effective number's parameter; 0 gives equal weights."""
    defer: Annotated[float, Interval(ge=0, le=1)] = 0.8
    """Share of the steps before the weights apply (the source: 160 of 200 epochs)."""
    separation: Annotated[float, Ge(0)] = 1.0
    """Weight of the feature separation loss."""
    temperature: Annotated[float, Gt(0)] = 0.1
    """Divides the similarities of the features before the softmax."""

    @property
    def images(self) -> bool:
        """Whether nothing but images will do: an attack changes pixels."""
        return self.attack != "none"

    @property
    def evaluations(self) -> int:
        """Passes of a step: one for each step of the attack, and the network's own."""
        return 1 + (self.steps if self.attack == "pgd" else 0)

    def phases(self, phase: "Phase") -> "list[Phase]":
        """Return the phase with the task in place of its own."""
        _own_loss.check("srat", phase)
        return [replace(phase, task=Task(self))]
