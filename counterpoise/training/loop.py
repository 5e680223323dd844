"""Training: one visible loop over phases.

A `Phase` says what is trained, on which sampler, with which loss and schedule, for how many steps; its task says what
a step minimises. Nothing here knows a method by name. Every random stream derives from (stage, purpose, seed,
epoch or step), so the state of a run is the network, the optimiser and the step, and a resumed run continues to
the byte.

Legend: B batch, C classes, N rows of the training sample, V rows of the validation part.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from counterpoise import registry, streams
from counterpoise.data.samples import Sample, as_tensor
from counterpoise.scoring import metrics
from counterpoise.training import checkpoints, progress
from counterpoise.training.network import Net
from counterpoise.training.objective import scores
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Batches, Phase, Run, Step, drawn_by, snapshot_steps
from counterpoise.training.progress import State, Taken

ROWS = 20  # of history in a phase
CHECKPOINT_SECONDS = float(os.environ.get("COUNTERPOISE_CHECKPOINT_SECONDS", "20"))


def one_thread() -> None:
    """Hold torch to one thread and to deterministic algorithms: jobs run side by side, not threads."""
    torch.set_num_threads(1)
    # What `use_deterministic_algorithms` sets, without its import of the compiler, which is a second of each job.
    torch.set_deterministic_debug_mode("error")
    # Not also every new tensor filled with NaN, which is for finding faults; 3 % of a LeNet's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _objective(step: Step, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the loss of a step and its right answers, on the batch or on some rows of it."""
    task = step.phase.task
    if hasattr(task, "objective"):
        return task.objective(step, rows)
    images, labels = (step.images_B, step.labels_B) if rows is None else (step.images_B[rows], step.labels_B[rows])
    inputs, targets = task.prepare(images, labels, step.phase.augmentation, step.stream("augmentation"))
    return task.loss(step.net(step.sample.standardise(inputs)), targets, step.phase.loss, step.counts_C)


def add_extra(net: Net, phases: list[Phase], stage: str, seed: int) -> None:
    """Give the network the module of the first task or loss that has one, initialised from the seed."""
    for part in (part for phase in phases for part in (phase.task, phase.loss)):
        if hasattr(part, "module"):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(streams.key(stage, "extra", seed))
                net.extra = part.module(net.features, net.classes).to(net.device)
            # A task may keep a copy of the network as training finds it.
            getattr(net.extra, "open", lambda net: None)(net)
            return


def train(
    run: Run,
    *,
    resume: tuple[checkpoints.Tensors, dict[str, Any]] | None,
    save: Callable[[checkpoints.Tensors, dict[str, Any]], None],
    log: Callable[[dict[str, Any], int], None],
) -> State:
    """Train `run.net` in place through all phases and return the final state.

    `save(tensors, state)` is called every CHECKPOINT_SECONDS, `log(row, phase number)` ROWS times in a phase.
    A loss that is not finite ends the run with `state.diverged` set.
    """
    net, phases, sample, counts_C, stage, seed = run.net, run.phases, run.sample, run.counts_C, run.stage, run.seed
    unlabelled, snapshots = run.hooks.get("unlabelled"), snapshot_steps(phases)
    state, optimizer_state = State(seen=[0] * len(counts_C)), {}
    if resume:
        tensors, meta = resume
        state = State(**meta)
        checkpoints.fill(net, "net.", tensors, "checkpoint")
        optimizer_state = {k: v for k, v in tensors.items() if k.startswith("optimizer.")}
    began = time.monotonic() - state.seconds
    saved_at, waits_for_nothing = state.seconds, sample.device.type == "cpu"
    for number, phase in enumerate(phases):
        if number < state.phase:
            continue
        net.encoder.requires_grad_(not phase.head_only)
        named = {name: p for name, p in net.named_parameters() if p.requires_grad}
        optimizer, parameters = optimizer_over(named, phase), list(named.values())
        _restore(optimizer, parameters, optimizer_state)
        batches = _batches(phase, sample, unlabelled, (stage, seed, number))
        weights_C = phase.class_weights(counts_C) if phase.class_weights else None
        length, before = phase.total or phase.steps, sum(p.steps for p in phases[:number])
        every = max(1, phase.steps // ROWS)
        bar = tqdm(desc=f"{stage} seed {seed}", initial=state.step, total=phase.steps, unit="step", disable=None)
        _train_mode(net, phase)
        pending: list[Taken] = []
        while state.step < phase.steps:
            lr = phase.optimizer.lr * phase.schedule.factor(phase.first + state.step, length)
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("multiple", 1.0)
                group["progress"] = (phase.first + state.step) / length

            if sample.device.type == "cuda":
                torch.compiler.cudagraph_mark_step_begin()
            positions = batches["own"].step(state.step)
            images, labels = sample.batch(positions)
            step = Step(
                net, phase, sample, counts_C, weights_C, state.step, images, labels,
                stream=partial(_stream, stage, number, seed, state.step),
                others=sample.batch(batches["others"].step(state.step)) if "others" in batches else None,
                unlabelled_B=unlabelled.batch(batches["unlabelled"].step(state.step))[0]
                if unlabelled and "unlabelled" in batches else None,
                validation=run.hooks.get("validation"),
                targets_BK=sample.targets_at(positions),
            )  # fmt: skip
            for p in parameters:  # as `zero_grad`, whose bookkeeping takes 6 % of a small network's step
                p.grad = None
            if hasattr(phase.optimizer, "gradients"):
                loss, hits = phase.optimizer.gradients(partial(_objective, step), parameters, labels, counts_C)
            else:
                loss, hits = _objective(step)
                loss.backward()
            optimizer.step()
            if phase.project:
                phase.project(net)

            state.step += 1
            epoch = state.step * phase.batch_size / batches["own"].length
            pending.append(Taken(state.step, epoch, lr, loss.detach(), hits, labels))
            bar.update()
            is_row = state.step % every == 0 or state.step == phase.steps
            is_snapshot = before + state.step in snapshots
            if is_row or is_snapshot or time.monotonic() - began - saved_at >= CHECKPOINT_SECONDS or waits_for_nothing:
                progress.read(pending, state)
                if state.diverged:
                    bar.close()
                    return state
            if is_row:
                made = progress.row(state, stage, seed, number, epoch, lr, every, phase, run.validate(phase))
                told: dict[str, Any] = getattr(net.extra, "record", dict)()
                log(made | told | at_switch(run, number, state.step), number)
                _train_mode(net, phase)
                state.loss_sum, state.hits = 0.0, 0
            if is_snapshot:
                run.hook("snapshot", before + state.step)
                _train_mode(net, phase)
            state.seconds = time.monotonic() - began
            if state.seconds - saved_at >= CHECKPOINT_SECONDS and not pending:
                save(_tensors(net, optimizer, parameters), vars(state))
                saved_at = state.seconds
        bar.close()
        if hasattr(phase.optimizer, "finish"):
            phase.optimizer.finish(optimizer)
        if number + 1 < len(phases):
            carried = phases[number + 1].first > 0
            optimizer_state = _tensors(net, optimizer, parameters, "optimizer.") if carried else {}
            state.phase, state.step = number + 1, 0
    return state


def _stream(stage: str, number: int, seed: int, step: int, purpose: str) -> torch.Generator:
    return streams.torch_generator(stage, f"{purpose}-{number}", seed, step)


def _train_mode(net: Net, phase: Phase) -> None:
    """Switch to training, but leave what a frozen encoder has learned of its inputs as it is."""
    net.train()
    if phase.head_only:
        net.encoder.eval()


def _batches(phase: Phase, sample: Sample, unlabelled: Sample | None, key: tuple[str, int, int]) -> dict[str, Batches]:
    """Return the batches of labelled rows, of mixing's partners, and of unlabelled rows, as far as a phase has them."""
    stage, seed, number = key
    steps, found = (phase.batch_size, phase.steps), {}
    found["own"] = Batches(phase.sampler, *steps, drawn_by(phase.sampler, sample), (stage, str(number), seed))
    if hasattr(phase.mixing, "partners"):
        found["others"] = Batches(phase.mixing.partners(), *steps, sample.labels, (stage, f"{number}-partners", seed))
    if unlabelled is not None and (ratio := getattr(phase.task, "unlabelled_ratio", 0)):
        size, key_of = ratio * phase.batch_size, (stage, f"{number}-unlabelled", seed)
        plain = registry.build("samplers", {"name": "none"})
        found["unlabelled"] = Batches(plain, size, phase.steps, unlabelled.labels, key_of)
    return found


def optimizer_over(parameters: dict[str, nn.Parameter], phase: Phase) -> torch.optim.Optimizer:
    """Return the phase's optimiser over named parameters; those of `extra` have their own rate and no decay."""
    own = [p for name, p in parameters.items() if not name.startswith("extra.")]
    extra = [p for name, p in parameters.items() if name.startswith("extra.")]
    if not extra:
        return phase.optimizer.build(own)
    multiple = getattr(phase.task, "extra_lr", getattr(phase.loss, "extra_lr", 1.0))
    return phase.optimizer.build([{"params": own}, {"params": extra, "weight_decay": 0.0, "multiple": multiple}])


@torch.no_grad()
def at_switch(run: Run, number: int, step: int) -> dict[str, float]:
    """Return the tail's recall on its own training rows, at the end of a phase after which training goes on otherwise.

    That is a phase that another one follows, or pretraining whose head is handed on. Nothing elsewhere.
    """
    phase = run.phases[number]
    handed_on = run.stage == "pretrain" and getattr(phase.task, "transfers_head", False)
    if step < phase.steps or not (handed_on or number + 1 < len(run.phases)):
        return {}
    recalls = []
    run.net.eval()
    for c in metrics.groups(run.counts_C.int().tolist())["few"]:
        own = (run.sample.labels == c).nonzero().flatten()
        if len(own):
            images, _ = run.sample.batch(own)
            parts = [scores(phase.loss, run.net(run.sample.standardise(part))) for part in images.split(2048)]
            logits = torch.cat(parts) if phase.ensemble is None else phase.ensemble.combine(torch.cat(parts))
            recalls.append(float((logits.argmax(1) == c).double().mean()))
    return {"tail_recall": sum(recalls) / len(recalls)} if recalls else {}


def _tensors(
    net: Net, optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], prefix: str = ""
) -> checkpoints.Tensors:
    """Return what a resumed run starts from, or the part of it whose names begin with `prefix`."""
    tensors = {f"net.{name}": value for name, value in net.state_dict().items()}
    for i, p in enumerate(parameters):
        for name, value in optimizer.state[p].items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{i}.{name}"] = value
    return {name: value for name, value in tensors.items() if name.startswith(prefix)}


def _restore(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], tensors: checkpoints.Tensors) -> None:
    for key, value in tensors.items():
        _, i, name = key.split(".", 2)
        p = parameters[int(i)]  # a count stays with the host, where torch's optimisers read it
        optimizer.state[p][name] = value.to(p.device, copy=True) if value.ndim else value.clone()  # else it is mapped


@torch.no_grad()
def predict(net: Net, sample: Sample, x: np.ndarray, ids: np.ndarray, size: int = 2048) -> Tensor:
    """Return the network's outputs for the rows `ids` of `x`, in batches, without augmentation, on the CPU."""
    net.eval()
    raw, rows = as_tensor(x), torch.from_numpy(ids)
    moved = (raw[part].to(sample.device, non_blocking=True).float() for part in rows.split(size))
    parts = [net(sample.standardise(images)) for images in moved]
    return torch.cat(parts).cpu() if parts else torch.empty(0, 0)


def train_seed(run: Run, partial: Partial) -> State:
    """Train one seed, or take it from `partial` where an earlier process (or a stack) finished it."""
    done = partial.finished(run.seed)
    if done:
        checkpoints.fill(run.net, "", done[0], str(partial.folder))
        return State(**done[1]["state"])
    state = train(
        run,
        resume=partial.checkpoint(run.seed),
        save=lambda tensors, held: partial.save(run.seed, tensors, held),
        log=partial.log,
    )
    partial.finish(run.seed, dict(run.net.state_dict()), vars(state))
    return state


def count_work(result: dict[str, Any], state: State, rows: int, batch_size: int) -> None:
    """Add a seed's work to `run.json`: the budget that the report shows."""
    result["images"] = result.get("images", 0) + state.images
    result["steps"] = max(result.get("steps", 0), state.images // batch_size if state.step else 0)
    result["epochs"] = round(max(result.get("epochs", 0), state.images / rows), 2)
    result["train_seconds"] = round(result.get("train_seconds", 0) + state.seconds, 3)
    result["images_per_second"] = round(result["images"] / max(result["train_seconds"], 1e-3), 1)
