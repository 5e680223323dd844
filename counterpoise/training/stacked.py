"""The seeds of a block, stacked and stepped together: one batched operation where the loop has one for each seed.

Every seed keeps its own rows, data order, augmentation and initialisation, drawn from the same streams as alone, so
the two executions differ by rounding only. Which of them computes a cell is configuration (`execution`) and part of
its identity. A recipe whose parts need more than a loss (mixing, experts, gradients of their own, batch
normalisation) is left to the loop, and `run.json` says so.

Legend: S seeds, B batch, C classes.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import vmap
from tqdm import tqdm

from counterpoise import streams
from counterpoise.records import Json
from counterpoise.training import loop, objective, progress
from counterpoise.training.network import Net
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Batches, Phase, Run, drawn_by, snapshot_steps
from counterpoise.training.progress import State

AHEAD = 64  # steps whose rows are looked up at once


def misfit(run: Run) -> str:
    """Return why the parts of a run cannot be stacked; "" where they can."""
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in run.net.modules()):
        return "the network has batch normalisation"
    for phase in run.phases:
        for stands_alone, reason in (
            (not getattr(phase.task, "stackable", False), f"{_name(phase.task)} is more than a loss of one batch"),
            (hasattr(phase.mixing, "mix"), f"{_name(phase.mixing)} mixes examples"),
            (phase.ensemble is not None, f"{_name(phase.ensemble)} has experts"),
            (phase.project is not None, "weights are projected after each step"),
            (not getattr(phase.optimizer, "stackable", False), f"{_name(phase.optimizer)} takes steps of its own"),
        ):
            if stands_alone:
                return reason
    return ""


def _name(part: Any) -> str:
    return type(part).__module__.rpartition(".")[2]


def train(runs: list[Run], partial: Partial) -> Json:
    """Train all runs and leave each in `partial`, finished; where they do not fit together, leave them to the loop.

    A run whose loss is not finite is marked as diverged and does not touch the others. Returns what `run.json` says of
    it: how the seeds were trained, and why not stacked.
    """
    reason = "a single seed" if len(runs) < 2 else next(filter(None, map(misfit, runs)), "")
    if reason:
        return {"execution": "loop", "execution_reason": reason}
    if not all(partial.finished(run.seed) for run in runs):
        _Block(runs, partial).run()
    return {"execution": "stacked"}


@dataclass
class _Step:
    """What the criterion of one seed may ask for, with all seeds in front under vmap."""

    net: Any
    phase: Phase
    counts_C: Tensor
    progress: float
    class_weights_C: Tensor | None = None
    drawn: Tensor | None = None
    targets_BK: Tensor | None = None

    def noise(self, labels_B: Tensor) -> Tensor | None:
        """Return what was drawn for the loss."""
        return self.drawn


@dataclass(frozen=True)
class _Taken:
    """A step that was taken, its tensors still where they were computed."""

    losses_S: Tensor
    right_S: Tensor
    labels_SB: Tensor
    step: int
    epochs: list[float]
    lr: float


class _Block:
    """All runs of a block in training: their tensors stacked, their sums so far."""

    def __init__(self, runs: list[Run], partial: Partial) -> None:
        self.runs, self.partial, self.places = runs, partial, _places(runs[0].net)
        self.counts_SC = torch.stack([run.counts_C for run in runs])
        self.mean_S, self.std_S = (torch.stack([getattr(r.sample, k) for r in runs])[:, None] for k in ("mean", "std"))
        self.own = [dict(run.net.state_dict()) for run in runs]
        self.tensors = {k: torch.stack([own[k] for own in self.own]) for k in self.own[0]}
        self.states = [State(seen=[0] * self.counts_SC.shape[1]) for _ in runs]
        self.optimizer_state: dict[str, Tensor] = {}
        self.ahead: tuple[range, Tensor, Tensor, Tensor | None] | None = None
        if held := partial.checkpoint_of_block([run.seed for run in runs]):
            tensors, states = held
            self.states = [State(**state) for state in states]
            self.tensors = {k: tensors[f"net.{k}"].to(held.device, copy=True) for k, held in self.tensors.items()}
            self.optimizer_state = {k: v for k, v in tensors.items() if k.startswith("optimizer.")}
        self.phase_number, self.first = self.states[0].phase, self.states[0].step
        self.began = self.saved_at = time.monotonic()
        self.before = self.states[0].seconds
        self.loss_S, self.hits_S = self._column("loss_sum"), self._column("hits")
        self.seen_SC = torch.tensor([state.seen for state in self.states])
        self.alive_S = torch.tensor([state.diverged is None for state in self.states])
        self.pending: list[_Taken] = []

    def _column(self, key: str) -> Tensor:
        return torch.tensor([getattr(state, key) for state in self.states], dtype=torch.float64)

    def run(self) -> None:
        """Take all steps that are left, and finish every seed."""
        phases = self.runs[0].phases
        for number in range(self.phase_number, len(phases)):
            parameters, optimizer = self._optimizer(phases[number])
            self._phase(number, parameters, optimizer)
            self.tensors |= {name: p.detach() for name, p in parameters.items()}
            if number + 1 < len(phases):
                carried = phases[number + 1].first > 0
                self.optimizer_state = _optimizer_state(optimizer, parameters) if carried else {}
                self.phase_number, self.first = number + 1, 0
                for state in self.states:
                    state.phase, state.step = number + 1, 0 if not state.diverged else state.step
        for run, state in zip(self.runs, self.states, strict=True):
            self.partial.finish(run.seed, dict(run.net.state_dict()), vars(state))

    def _optimizer(self, phase: Phase) -> tuple[dict[str, nn.Parameter], torch.optim.Optimizer]:
        """Return what the phase trains, stacked, by name, and its optimiser as a killed run left it."""
        self.runs[0].net.encoder.requires_grad_(not phase.head_only)
        named = [name for name, p in self.runs[0].net.named_parameters() if p.requires_grad]
        parameters = {name: nn.Parameter(self.tensors[name]) for name in named}
        optimizer = loop.optimizer_over(parameters, phase)
        for key, value in self.optimizer_state.items():
            _, i, name = key.split(".", 2)
            p = list(parameters.values())[int(i)]
            optimizer.state[p][name] = value.to(p.device, copy=True)
        return parameters, optimizer

    def _phase(self, number: int, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        run = self.runs[0]
        phase, before = run.phases[number], sum(p.steps for p in run.phases[:number])
        batches = [
            Batches(
                phase.sampler, phase.batch_size, phase.steps, drawn_by(phase.sampler, r.sample),
                (r.stage, str(number), r.seed),
            )
            for r in self.runs
        ]  # fmt: skip
        length, every = phase.total or phase.steps, max(1, phase.steps // loop.ROWS)
        self.ahead = None
        snapshots, weights_SC = snapshot_steps(run.phases), None
        if phase.class_weights:
            weights_SC = torch.stack([phase.class_weights(counts_C) for counts_C in self.counts_SC])
        desc = f"{run.stage} seeds {run.seed} to {self.runs[-1].seed}"
        bar = tqdm(desc=desc, initial=self.first, total=phase.steps, unit="step", disable=None)
        for step in range(self.first, phase.steps):
            lr = phase.optimizer.lr * phase.schedule.factor(phase.first + step, length)
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("multiple", 1.0)
            inputs_SB, labels_SB, targets_SBK, noise = self._batch(batches, phase, number, step)
            given = {"phase": phase, "progress": (phase.first + step) / length}
            losses_S, right_S = self._losses(
                self.tensors | parameters, given, inputs_SB, labels_SB,
                counts_C=self.counts_SC, class_weights_C=weights_SC, drawn=noise, targets_BK=targets_SBK,
            )  # fmt: skip
            for p in parameters.values():
                p.grad = None
            losses_S.sum().backward()  # each seed's parameters see its own loss only
            optimizer.step()

            epochs = [(step + 1) * phase.batch_size / b.length for b in batches]
            self.pending.append(_Taken(losses_S.detach(), right_S, labels_SB, step + 1, epochs, lr))
            bar.update()
            if run.sample.device.type == "cpu":
                self._count()
            if (step + 1) % every == 0 or step + 1 == phase.steps:
                self._sync(parameters)
                self._log(number, epochs, lr, every)
            if before + step + 1 in snapshots:
                self._sync(parameters)
                for one in (r for r, state in zip(self.runs, self.states, strict=True) if not state.diverged):
                    one.hook("snapshot", before + step + 1)
            if time.monotonic() - self.saved_at >= loop.CHECKPOINT_SECONDS:
                self._sync(parameters)
                self._save(parameters, optimizer)
        bar.close()

    def _batch(self, batches: list[Batches], phase: Phase, number: int, step: int) -> tuple[Tensor, Tensor, Any, Any]:
        """Return the inputs, labels, targets and noise of a step, all seeds in front."""
        rows_SB, labels_SB, targets_SBK = self._rows(batches, phase, step)
        device = self.runs[0].sample.device
        labels_SB = labels_SB.to(device, non_blocking=True)
        if targets_SBK is not None:
            targets_SBK = targets_SBK.to(device, non_blocking=True)
        images = self.runs[0].sample.raw.index_select(0, rows_SB.flatten()).to(device, non_blocking=True).float()
        images = self._augmented(images, phase, number, step).unflatten(0, labels_SB.shape)
        noise = None
        if hasattr(phase.loss, "draw"):
            drawn = [
                phase.loss.draw(labels_B, r.counts_C, _stream(r, "noise", number, step))
                for r, labels_B in zip(self.runs, labels_SB, strict=True)
            ]
            noise = torch.stack(drawn)
        return (images - self.mean_S) / self.std_S, labels_SB, targets_SBK, noise

    def _rows(self, batches: list[Batches], phase: Phase, step: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the rows of the data, the labels and the targets of a step; looked up for several steps at once."""
        if self.ahead is None or step not in self.ahead[0]:
            steps = range(step, min(step + AHEAD, phase.steps))
            samples = [(r.sample, torch.stack([*map(b.step, steps)])) for r, b in zip(self.runs, batches, strict=True)]
            rows_TSB = torch.stack([sample.ids[position_TB] for sample, position_TB in samples], dim=1)
            labels_TSB = torch.stack([sample.labels[position_TB] for sample, position_TB in samples], dim=1)
            held = [sample.targets[position_TB] for sample, position_TB in samples if sample.targets is not None]
            self.ahead = steps, rows_TSB, labels_TSB, torch.stack(held, dim=1) if held else None
        steps, rows_TSB, labels_TSB, targets_TSBK = self.ahead
        now = step - steps.start
        return rows_TSB[now], labels_TSB[now], None if targets_TSBK is None else targets_TSBK[now]

    def _augmented(self, images: Tensor, phase: Phase, number: int, step: int) -> Tensor:
        """Return the images of all seeds, one after the other, augmented with each seed's own draws."""
        method, generators = phase.augmentation, [_stream(r, "augmentation", number, step) for r in self.runs]
        parts = images.chunk(len(self.runs))
        if not hasattr(method, "draw"):
            return torch.cat([method(part, g) for part, g in zip(parts, generators, strict=True)])
        drawn = [method.draw(part.shape, g) for part, g in zip(parts, generators, strict=True)]
        return method.apply(images, torch.cat(drawn, dim=1))

    def _losses(
        self, tensors: dict[str, Tensor], given: dict[str, Any], inputs: Tensor, labels: Tensor, **of_seed: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the loss and the right answers of every seed.

        The network is given each tensor where it looks for it, and all are one flat list: `functional_call` and
        nested arguments of vmap took a quarter of the step of a small network.
        """
        net = self.runs[0].net
        places = [self.places[name] for name in tensors]
        own = [held[key] for held, key in places]
        of_seed = {key: value for key, value in of_seed.items() if value is not None}

        def one(inputs_B: Tensor, labels_B: Tensor, *stacked: Tensor) -> tuple[Tensor, Tensor]:
            for (held, key), tensor in zip(places, stacked, strict=False):
                held[key] = tensor
            own_step: dict[str, Any] = given | dict(zip(of_seed, stacked[len(places) :], strict=True))
            step: Any = _Step(net, **own_step)
            return objective.criterion(step, net.encoder(inputs_B), labels_B, step.targets_BK)

        try:
            return vmap(one)(inputs, labels, *tensors.values(), *of_seed.values())
        finally:
            for (held, key), tensor in zip(places, own, strict=True):
                held[key] = tensor

    def _count(self) -> None:
        """Add the steps since the last time to the sums; a seed whose loss is not finite has diverged.

        A card is waited for here, and by `_sync` and what follows it, but by no step.
        """
        if not self.pending:
            return
        kept = ([getattr(taken, key) for taken in self.pending] for key in ("losses_S", "right_S", "labels_SB"))
        for losses_S, right_S, labels_SB, taken in zip(
            *(torch.stack(k).cpu() for k in kept), self.pending, strict=True
        ):
            for s, value in enumerate(losses_S.tolist()):
                if not math.isfinite(value) and self.alive_S[s]:
                    self.alive_S[s] = False
                    self.states[s].diverged = progress.divergence(value, taken.step, taken.epochs[s], taken.lr)
                    self.states[s].step = taken.step
            self.loss_S += torch.where(self.alive_S, losses_S, 0.0)
            self.hits_S += torch.where(self.alive_S, right_S, 0)
            self.seen_SC.scatter_add_(1, labels_SB, self.alive_S.long()[:, None].expand_as(labels_SB))
            for s, state in enumerate(self.states):
                if self.alive_S[s]:
                    state.step, state.images = taken.step, state.images + labels_SB.shape[1]
        self.pending.clear()

    def _sync(self, parameters: dict[str, nn.Parameter]) -> None:
        """Bring every seed's network and state up to date."""
        self._count()
        seconds = (self.before * len(self.runs) + time.monotonic() - self.began) / len(self.runs)
        tensors = self.tensors | {name: p.detach() for name, p in parameters.items()}
        for s, state in enumerate(self.states):
            for name, tensor in tensors.items():  # in place: `load_state_dict` took a sixth of a short training
                self.own[s][name].copy_(tensor[s])
            state.loss_sum, state.hits = self.loss_S[s].item(), int(self.hits_S[s])
            state.seen, state.seconds = self.seen_SC[s].tolist(), seconds

    def _log(self, number: int, epochs: list[float], lr: float, every: int) -> None:
        for run, state, epoch in zip(self.runs, self.states, epochs, strict=True):
            if not state.diverged:
                phase = run.phases[number]
                row = progress.row(state, run.stage, run.seed, number, epoch, lr, every, phase, run.validate(phase))
                self.partial.log(row | loop.at_switch(run, number, state.step), number)
                state.loss_sum, state.hits = 0.0, 0
        self.loss_S.zero_()
        self.hits_S.zero_()

    def _save(self, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        tensors = {f"net.{k}": v for k, v in (self.tensors | {n: p.detach() for n, p in parameters.items()}).items()}
        tensors |= _optimizer_state(optimizer, parameters)
        self.partial.save_block([run.seed for run in self.runs], tensors, [vars(state) for state in self.states])
        self.saved_at = time.monotonic()


def _places(net: Net) -> dict[str, tuple[dict[str, Any], str]]:
    """Return where the network holds each parameter and buffer, by name."""
    return {
        f"{prefix}.{key}" if prefix else key: (held, key)
        for prefix, module in net.named_modules()
        for held in (module._parameters, module._buffers)
        for key in held
    }


def _stream(run: Run, purpose: str, number: int, step: int) -> torch.Generator:
    return streams.torch_generator(run.stage, f"{purpose}-{number}", run.seed, step)


def _optimizer_state(optimizer: torch.optim.Optimizer, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {
        f"optimizer.{i}.{name}": value.clone()
        for i, p in enumerate(parameters.values())
        for name, value in optimizer.state[p].items()
        if isinstance(value, Tensor)
    }
