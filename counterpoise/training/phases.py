"""What a training phase consists of: data, task, sampler, schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from counterpoise import streams
from counterpoise.data.samples import Sample
from counterpoise.errors import UserError
from counterpoise.training.network import Net


@dataclass(frozen=True)
class Phase:
    """What is trained, with what, and for how long."""

    steps: int
    batch_size: int
    task: Any
    sampler: Any
    loss: Any
    augmentation: Any
    optimizer: Any
    schedule: Any
    mixing: Any = None
    ensemble: Any = None
    snapshots: int = 0
    validates: bool = True
    """Whether the history says how the network does in validation; not where its head is only made after training."""
    head_only: bool = False
    first: int = 0
    """Where this phase begins in a run of `total` steps whose schedule and optimiser go on across phases."""
    total: int | None = None
    """Steps of that run; this phase's own where it is None."""
    class_weights: Callable[[Tensor], Tensor] | None = None
    """counts_C -> the weight of each class, for a loss that takes `class_weights_C`."""
    project: Callable[[Net], None] | None = None
    """What is done to the network after each step."""


class Batches:
    """A sampler's epochs, one after the other, cut into full batches; any step can be asked for."""

    def __init__(self, sampler: Any, size: int, steps: int, labels_N: Tensor, streams_of: tuple[str, str, int]) -> None:
        """`streams_of` is (stage, what tells these batches from others of the run, seed)."""
        self.sampler, self.labels, self.size = sampler, labels_N.cpu(), size
        self.device = labels_N.device
        self.stage, self.suffix, self.seed = streams_of
        if size % (multiple := getattr(sampler, "multiple", 1)):
            raise UserError(f"batch_size {size} does not hold whole episodes: give a multiple of {multiple}")
        self.epochs, self.held = 1.0, (-1, torch.empty(0, dtype=torch.long))
        self.length = len(self.epoch(0))
        self.epochs, self.held = steps * size / self.length, (-1, self.held[1])

    def epoch(self, number: int) -> Tensor:
        """Return the positions of one epoch."""
        if self.held[0] != number:
            fixed = streams.torch_generator(self.stage, f"sampler-{self.suffix}", self.seed)
            shuffle = streams.torch_generator(self.stage, f"order-{self.suffix}", self.seed, number)
            drawn = self.sampler.draw(self.labels, epoch=number, epochs=self.epochs, fixed=fixed, shuffle=shuffle)
            self.held = (number, drawn.to(self.device, non_blocking=True))
        return self.held[1]

    def step(self, step: int) -> Tensor:
        """Return the positions of one batch of exactly `size`."""
        first, last, parts = step * self.size, (step + 1) * self.size, []
        while first < last:
            number, offset = divmod(first, self.length)
            parts.append(self.epoch(number)[offset : offset + last - first])
            first += len(parts[-1])
        return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass
class Step:
    """One gradient step, as a task sees it. Asking twice gives the same: a step may be evaluated more than once."""

    net: Net
    phase: Phase
    sample: Sample
    counts_C: Tensor
    class_weights_C: Tensor | None
    number: int
    """Steps of this phase before this one."""
    images_B: Tensor
    """Raw inputs; `inputs_B` are augmented and standardised."""
    labels_B: Tensor
    stream: Callable[[str], torch.Generator]
    """purpose -> a generator of this step, always from its beginning."""
    others: tuple[Tensor, Tensor] | None = None
    """Raw inputs and labels that mixing's own sampler drew."""
    unlabelled_B: Tensor | None = None
    """Raw inputs whose labels are hidden."""
    validation: tuple[Tensor, Tensor] | None = None
    """Raw inputs and labels of the validation part, for tasks that are defined on it."""
    targets_BK: Tensor | None = None
    """Of a regression the target, and what the loss made of all targets."""

    def noise(self, labels_B: Tensor) -> Tensor:
        """Return what the loss draws for a batch of labels."""
        return self.phase.loss.draw(labels_B, self.counts_C, self.stream("noise"))

    @property
    def progress(self) -> float:
        """Return the share of the run's steps that are done."""
        return (self.phase.first + self.number) / (self.phase.total or self.phase.steps)

    def augmented(self, images: Tensor, purpose: str = "augmentation") -> Tensor:
        """Return images as the network takes them in training."""
        return self.sample.standardise(self.phase.augmentation(images, self.stream(purpose)))

    @cached_property
    def inputs_B(self) -> Tensor:
        """Return this batch as the network takes it."""
        return self.augmented(self.images_B)


@dataclass
class Run:
    """One seed, ready to be trained."""

    net: Net
    phases: list[Phase]
    sample: Sample
    counts_C: Tensor
    stage: str
    seed: int
    hooks: dict[str, Any] = field(default_factory=dict)
    """`snapshot(step)` is called where a phase asks for it, `validate() -> float | None` for the history;
    `unlabelled` (Sample | None) and `validation` (inputs and labels | None) are what tasks may read."""

    def hook(self, name: str, *given: Any) -> Any:
        """Call a hook, if there is one."""
        return self.hooks[name](*given) if name in self.hooks else None

    def validate(self, phase: Phase) -> float | None:
        """Return balanced accuracy in validation, for the history."""
        return self.hook("validate") if phase.validates else None


def snapshot_steps(phases: list[Phase]) -> set[int]:
    """Return the steps of the whole run after which test predictions are kept."""
    asked, steps = phases[0].snapshots, sum(phase.steps for phase in phases)
    return {steps * (i + 1) // (asked + 1) for i in range(asked)} - {0}


def drawn_by(sampler: Any, sample: Sample) -> Tensor:
    """Return what a sampler draws by: labels, or the targets of a regression."""
    if getattr(sampler, "by_target", False) and sample.targets is not None:
        return sample.targets[:, 0]
    return sample.labels
