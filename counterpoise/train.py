"""Training: one visible loop over phases.

A network is an encoder and a head. A `Phase` says what is trained, on which sampler, with which loss and schedule,
for how many steps. Nothing here knows a method by name. Every random stream derives from (stage, purpose, seed,
epoch or step), so the state of a run is the network, the optimiser and the step, and a resumed run continues to
the byte.

Legend: B batch, C classes, N rows of the training sample.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from counterpoise import checkpoints, streams

ROWS = 20  # of history in a phase
CHECKPOINT_SECONDS = float(os.environ.get("COUNTERPOISE_CHECKPOINT_SECONDS", "20"))


def one_thread() -> None:
    """Hold torch to one thread and to deterministic algorithms: jobs run side by side, not threads."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


class Net(nn.Module):
    """An encoder and a head."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor) -> Tensor:
        """Return the head's outputs."""
        return self.head(self.encoder(x))


def build(model: Any, task: Any, shape: tuple[int, ...], classes: int, seed: int, stage: str = "train") -> Net:
    """Return the network, initialised from the seed alone: equal for every method that is compared."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(streams.key(stage, "encoder", seed))
        encoder, features = model.encoder(shape)
        torch.manual_seed(streams.key(stage, "head", seed))
        return Net(encoder, task.head(features, classes))


class Sample:
    """The training rows of one seed: raw inputs stay memory-mapped, a batch is gathered when it is needed."""

    def __init__(self, x: np.ndarray, ids: np.ndarray, labels: np.ndarray, mean: list, std: list) -> None:
        self.raw, self.ids = torch.from_numpy(x), torch.from_numpy(ids)
        self.labels = torch.from_numpy(labels)
        per_channel = (-1, *[1] * (x.ndim - 2))
        self.mean, self.std = (torch.tensor(s, dtype=torch.float32).view(per_channel) for s in (mean, std))

    def batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return raw inputs and labels at positions of the sample."""
        return self.raw[self.ids[positions]].float(), self.labels[positions]

    def standardise(self, x: Tensor) -> Tensor:
        """Return inputs with the training rows' mean 0 and standard deviation 1."""
        return (x - self.mean) / self.std


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
    snapshots: int = 0
    head_only: bool = False

    def snapshot_steps(self) -> set[int]:
        """Return the steps after which test predictions are kept, equally spaced, the last step left out."""
        return {self.steps * (i + 1) // (self.snapshots + 1) for i in range(self.snapshots)} - {0}


class Batches:
    """The sampler's epochs, one after the other, cut into full batches; any step can be asked for."""

    def __init__(self, phase: Phase, labels_N: Tensor, stage: str, seed: int, number: int) -> None:
        self.sampler, self.labels, self.size = phase.sampler, labels_N, phase.batch_size
        self.stage, self.seed, self.number = stage, seed, number
        self.epochs, self.held = 1.0, (-1, torch.empty(0, dtype=torch.long))
        self.length = len(self.epoch(0))
        self.epochs, self.held = phase.steps * self.size / self.length, (-1, self.held[1])

    def epoch(self, number: int) -> Tensor:
        """Return the positions of one epoch."""
        if self.held[0] != number:
            fixed = streams.torch_generator(self.stage, f"sampler-{self.number}", self.seed)
            shuffle = streams.torch_generator(self.stage, f"order-{self.number}", self.seed, number)
            drawn = self.sampler.draw(self.labels, epoch=number, epochs=self.epochs, fixed=fixed, shuffle=shuffle)
            self.held = (number, drawn)
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
class State:
    """Everything that a killed run needs in order to go on, beside the network."""

    phase: int = 0
    step: int = 0
    loss_sum: float = 0.0
    hits: int = 0
    images: int = 0
    seconds: float = 0.0
    seen: list[int] = field(default_factory=list)
    diverged: dict[str, Any] | None = None


def train(
    net: Net,
    phases: list[Phase],
    sample: Sample,
    counts_C: Tensor,
    *,
    stage: str,
    seed: int,
    resume: tuple[checkpoints.Tensors, dict[str, Any]] | None,
    save: Callable[[checkpoints.Tensors, dict[str, Any]], None],
    log: Callable[[dict[str, Any], int], None],
    snapshot: Callable[[int], None] = lambda step: None,
    validate: Callable[[], float | None] = lambda: None,
) -> State:
    """Train `net` in place through all phases and return the final state.

    `save(tensors, state)` is called every CHECKPOINT_SECONDS, `log(row, phase number)` ROWS times in a phase,
    `snapshot(step)` where a phase asks for it. A loss that is not finite ends the run with `state.diverged` set.
    """
    state, optimizer_state = State(seen=[0] * len(counts_C)), {}
    if resume:
        tensors, meta = resume
        state = State(**meta)
        checkpoints.fill(net, "net.", tensors, "checkpoint")
        optimizer_state = {k: v for k, v in tensors.items() if k.startswith("optimizer.")}
    began = time.monotonic() - state.seconds
    saved_at = state.seconds
    for number, phase in enumerate(phases):
        if number < state.phase:
            continue
        net.encoder.requires_grad_(not phase.head_only)
        parameters = [p for p in net.parameters() if p.requires_grad]
        optimizer = phase.optimizer.build(parameters)
        _restore(optimizer, parameters, optimizer_state)
        batches = Batches(phase, sample.labels, stage, seed, number)
        snapshots, every = phase.snapshot_steps(), max(1, phase.steps // ROWS)
        bar = tqdm(desc=f"{stage} seed {seed}", initial=state.step, total=phase.steps, unit="step", disable=None)
        net.train()
        while state.step < phase.steps:
            lr = phase.optimizer.lr * phase.schedule.factor(state.step, phase.steps)
            for group in optimizer.param_groups:
                group["lr"] = lr

            generator = streams.torch_generator(stage, f"augmentation-{number}", seed, state.step)
            images, labels = sample.batch(batches.step(state.step))
            inputs, targets = phase.task.prepare(images, labels, phase.augmentation, generator)
            outputs = net(sample.standardise(inputs))
            loss, hits = phase.task.loss(outputs, targets, phase.loss, counts_C)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

            value, state.step = loss.item(), state.step + 1
            epoch = state.step * phase.batch_size / batches.length
            if not math.isfinite(value):
                reason = f"loss {value} at step {state.step}, epoch {epoch:.2f}, learning rate {lr:g}"
                state.diverged = {"step": state.step, "epoch": epoch, "lr": lr, "reason": reason}
                bar.close()
                return state
            state.loss_sum, state.hits = state.loss_sum + value, state.hits + int(hits)
            state.images += len(labels)
            for c, n in enumerate(torch.bincount(labels, minlength=len(counts_C)).tolist()):
                state.seen[c] += n
            bar.update()
            if state.step % every == 0 or state.step == phase.steps:
                log(_row(state, stage, seed, number, epoch, lr, every, phase, validate()), number)
                net.train()
                state.loss_sum, state.hits = 0.0, 0
            if state.step in snapshots:
                snapshot(state.step)
                net.train()
            state.seconds = time.monotonic() - began
            if state.seconds - saved_at >= CHECKPOINT_SECONDS:
                save(_tensors(net, optimizer, parameters), vars(state))
                saved_at = state.seconds
        bar.close()
        if number + 1 < len(phases):
            state.phase, state.step, optimizer_state = number + 1, 0, {}
    return state


def _row(
    state: State,
    stage: str,
    seed: int,
    number: int,
    epoch: float,
    lr: float,
    every: int,
    phase: Phase,
    val: Any,
) -> dict[str, Any]:
    """Return a row of history: means over the steps since the last row."""
    since = (state.step - 1) % every + 1
    return {
        "seed": seed,
        "phase": stage.partition("-")[0] + (f"-{number}" if number else ""),
        "step": state.step,
        "epoch": round(epoch, 4),
        "loss": state.loss_sum / since,
        "accuracy": state.hits / (since * phase.batch_size),
        "lr": lr,
        "val_balanced_accuracy": val,
    }


def _tensors(net: Net, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> checkpoints.Tensors:
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for i, p in enumerate(parameters):
        for name, value in optimizer.state[p].items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{i}.{name}"] = value
    return tensors


def _restore(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], tensors: checkpoints.Tensors) -> None:
    for key, value in tensors.items():
        _, i, name = key.split(".", 2)
        optimizer.state[parameters[int(i)]][name] = value.clone()  # else it stays mapped to the file


@torch.no_grad()
def predict(net: Net, sample: Sample, x: np.ndarray, ids: np.ndarray, size: int = 2048) -> Tensor:
    """Return logits_NC of the rows `ids` of `x`, in batches, without augmentation."""
    net.eval()
    raw, rows = torch.from_numpy(x), torch.from_numpy(ids)
    parts = [net(sample.standardise(raw[part].float())) for part in rows.split(size)]
    return torch.cat(parts) if parts else torch.empty(0, 0)


def open_array(folder: Path, name: str) -> np.ndarray:
    """Return an array of the preprocess stage, memory-mapped (copy on write, so that torch may wrap it)."""
    return np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
