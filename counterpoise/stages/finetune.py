"""Fine-tune each seed from its pretraining (or from scratch) and keep what it predicts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoise import checkpoints, network, records, stacked, streams, train
from counterpoise.network import Net
from counterpoise.partial import Partial
from counterpoise.predictions import Logits, Predictions
from counterpoise.pretraining.supervised import scores
from counterpoise.registry import build
from counterpoise.train import Phase, Run, Sample, State

VERSION = 1
OUTPUTS = ("model.safetensors", "history.jsonl", "predictions.parquet", "run.json")


def run(
    cfg: dict[str, Any],
    *,
    data: Path,
    sample: Path,
    start: Path | None,
    seeds: list[int],
    out: Path,
    spec: dict,
) -> None:
    """Write `model.safetensors`, `history.jsonl`, `predictions.parquet` and `run.json` to `out`.

    `start` is the block of the pretraining cell, or None. A seed whose loss is not finite, whose pretraining
    diverged, or that ends at chance level on its own training data leaves no predictions: `diverged` says why.
    """
    train.one_thread()
    empty = {
        "model.safetensors": lambda p: checkpoints.save(p, {}),
        "history.jsonl": lambda p: p.write_text(""),
        "predictions.parquet": lambda p: Predictions(data).write(p, {}),
    }
    with records.job(out, spec, empty) as result:
        records.require_parents([data, sample] + ([start] if start else []))
        fit = _fit_classical if getattr(build("models", cfg["model"]), "classical", False) else _train_neural
        partial, table = Partial(out, spec["cell"]), Predictions(data)
        tensors: checkpoints.Tensors = {}
        given = checkpoints.load(start / "model.safetensors")[0] if start else None
        if cfg["execution"] == "stacked" and fit is _train_neural:
            _train_stacked(cfg, data, sample, given, partial, seeds)
        for seed in seeds:
            rows, counts = training_rows(data, sample, seed)
            table.begin(seed, sample, counts)
            state, logits, weights = fit(cfg, rows, counts, given, table, partial, seed)
            table.seen[str(seed)] = state.seen
            reason = state.diverged or table.add_last(rows, logits)
            if reason:
                result["diverged"][str(seed)] = reason
                table.drop(seed)
            tensors |= {f"{seed}/{name}": value for name, value in weights.items()}
            count_work(result, state, len(rows.labels), cfg["finetune"]["batch_size"])
        checkpoints.save(out / "model.safetensors", tensors)
        partial.publish_history(out / "history.jsonl")
        records.write(out / "predictions.parquet", lambda p: table.write(p, result["diverged"]))


def _train_stacked(
    cfg: dict, data: Path, sample: Path, given: checkpoints.Tensors | None, partial: Partial, seeds: list[int]
) -> None:
    """Train all seeds of the block together, where the recipe's parts allow it, and leave them in `partial`."""
    runs = []
    for seed in seeds:
        rows, counts = training_rows(data, sample, seed)
        table = Predictions(data)
        table.begin(seed, sample, counts)
        if run := _prepare(cfg, rows, counts, given, table, partial, seed)[0]:
            runs.append(run)
    stacked.train(runs, partial)


def _train_neural(
    cfg: dict,
    rows: Sample,
    counts: Tensor,
    given: checkpoints.Tensors | None,
    table: Predictions,
    partial: Partial,
    seed: int,
) -> tuple[State, Logits, checkpoints.Tensors]:
    run, outputs, logits = _prepare(cfg, rows, counts, given, table, partial, seed)
    if run is None:
        reason = {"step": 0, "epoch": 0.0, "lr": None, "reason": "its pretraining diverged"}
        return State(seen=[0] * len(counts), diverged=reason), logits, {}
    state, strategy, phase = train_seed(run, partial), build("finetuning", cfg["finetune"]["method"]), run.phases[0]
    if not state.diverged:
        if hasattr(strategy, "close"):
            strategy.close(run.net, rows, counts)
        for step in sorted(train.snapshot_steps(run.phases)):
            table.add_snapshot(step, partial.folder)
        if getattr(phase.ensemble, "keeps_experts", False):
            table.add_experts(outputs, lambda images, view: phase.augmentation(images, _view(seed, view)))
    table.describe_head(run.net.head)
    return state, logits, dict(run.net.state_dict())


def _prepare(
    cfg: dict,
    rows: Sample,
    counts: Tensor,
    given: checkpoints.Tensors | None,
    table: Predictions,
    partial: Partial,
    seed: int,
) -> tuple[Run | None, Callable[[np.ndarray, np.ndarray], Tensor], Logits]:
    """Return a seed ready to be trained (None if its pretraining diverged), its outputs and its logits."""
    section, strategy = cfg["finetune"], build("finetuning", cfg["finetune"]["method"])
    replicate = f"-replicate-{section['replicate']}" if section["replicate"] else ""
    net = network_of(cfg, table.shape, len(table.classes), seed, f"train{replicate}")
    if given is not None:
        mine = checkpoints.under(f"{seed}/", given)
        if not mine:
            return None, _nothing, _nothing
        checkpoints.fill(net.encoder, "encoder.", mine, "pretraining")
        if not strategy.fresh_head and any(name.startswith("head.") for name in mine):
            checkpoints.fill(net.head, "head.", mine, "pretraining")
    semi = section["semi_supervised"]
    task = build(*(("pretraining", {"name": "supervised"}) if semi["name"] == "none" else ("semi_supervised", semi)))
    phases = strategy.phases(phase_of(cfg, section, cfg["sample"], task))
    loss, ensemble = phases[-1].loss, phases[-1].ensemble

    def outputs(x: np.ndarray, ids: np.ndarray) -> Tensor:
        return scores(loss, train.predict(net, rows, x, ids))

    def logits(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        out = outputs(x, ids)
        return (out if ensemble is None else ensemble.combine(out)).numpy()

    if hasattr(strategy, "open"):
        strategy.open(net, rows, counts)
    train.add_extra(net, phases, f"train{replicate}", seed)
    val = table.val
    hooks = {
        "snapshot": lambda step: table.keep_snapshot(seed, step, logits, partial.folder),
        "validate": lambda: table.validate(logits, val),
        "unlabelled": table.unlabelled(rows),
        "validation": table.validation(),
    }
    return Run(net, phases, rows, counts, f"finetune{replicate}", seed, hooks), outputs, logits


def network_of(cfg: dict[str, Any], shape: tuple[int, ...], classes: int, seed: int, stage: str) -> Net:
    """Return the network of a recipe, as its seed initialises it."""
    head, ensemble = build("heads", cfg["head"]), build("ensembles", cfg["ensemble"])
    model, experts = build("models", cfg["model"]), getattr(ensemble, "experts", 1)
    return network.build(model, head, shape, classes, seed, stage, experts)


def _view(seed: int, view: int) -> torch.Generator:
    return streams.torch_generator("finetune", "test-views", seed, view)


def _fit_classical(
    cfg: dict,
    rows: Sample,
    counts: Tensor,
    given: checkpoints.Tensors | None,
    table: Predictions,
    partial: Partial,
    seed: int,
) -> tuple[State, Logits, checkpoints.Tensors]:
    """Fit on one epoch of the sampler; logits are log-probabilities, with zero probabilities held at 1e-6."""
    began = time.monotonic()
    positions = build("samplers", cfg["sample"]).draw(
        rows.labels,
        epoch=0,
        epochs=1.0,
        fixed=streams.torch_generator("finetune", "sampler-0", seed),
        shuffle=streams.torch_generator("finetune", "order-0", seed, 0),
    )
    x, y = rows.batch(positions)
    model = build("models", cfg["model"]).fit(rows.standardise(x).flatten(1).numpy(), y.numpy(), seed)
    state = State(
        images=len(y),
        seconds=time.monotonic() - began,
        seen=torch.bincount(y, minlength=len(counts)).tolist(),
    )

    def logits(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        inputs = rows.standardise(torch.from_numpy(x[ids]).float()).flatten(1).numpy()
        probability = np.zeros((len(ids), len(counts)))
        probability[:, model.classes_] = model.predict_proba(inputs)
        return np.log(probability.clip(1e-6)).astype(np.float32)

    return state, logits, {}


def phase_of(cfg: dict[str, Any], section: dict[str, Any], sample: dict[str, Any], task: Any) -> Phase:
    """Return the phase that a `pretrain` or `finetune` section of a recipe describes."""
    return Phase(
        steps=section["steps"],
        batch_size=section["batch_size"],
        task=task,
        sampler=build("samplers", sample),
        loss=build("losses", section["loss"]),
        augmentation=build("augmentation", section["augmentation"]),
        optimizer=build("optimizers", section["optimizer"]),
        schedule=build("schedules", section["schedule"]),
        mixing=build("mixing", section["mixing"]),
        ensemble=None if cfg["ensemble"]["name"] == "none" else build("ensembles", cfg["ensemble"]),
        snapshots=section.get("snapshots", 0),
    )


def train_seed(run: Run, partial: Partial) -> State:
    """Train one seed, or take it from `partial` where an earlier process (or a stack) finished it."""
    done = partial.finished(run.seed)
    if done:
        checkpoints.fill(run.net, "", done[0], str(partial.folder))
        return State(**done[1]["state"])
    state = train.train(
        run,
        resume=partial.checkpoint(run.seed),
        save=lambda tensors, held: partial.save(run.seed, tensors, held),
        log=partial.log,
    )
    partial.finish(run.seed, dict(run.net.state_dict()), vars(state))
    return state


def training_rows(data: Path, sample: Path, seed: int) -> tuple[Sample, Tensor]:
    """Return the training rows of a seed and its unique examples of each class."""
    import pyarrow.parquet as pq

    held = pq.read_table(sample / "split.parquet", filters=[("seed", "=", seed), ("part", "=", "train")])
    statistics = records.read_json(sample / "statistics.json")[str(seed)]
    ids, labels = held["id"].to_numpy(), held["label"].to_numpy()
    rows = Sample(train.open_array(data, "train_x"), ids.copy(), labels.copy(), statistics["mean"], statistics["std"])
    return rows, torch.tensor(statistics["class_counts"], dtype=torch.float32)


def shape_of(data: Path) -> tuple[tuple[int, ...], int]:
    """Return the shape of one input and the number of classes."""
    meta = records.read_json(data / "meta.json")
    return tuple(meta["shape"]), len(meta["classes"])


def count_work(result: dict[str, Any], state: State, rows: int, batch_size: int) -> None:
    """Add a seed's work to `run.json`: the budget that the report shows."""
    result["images"] = result.get("images", 0) + state.images
    result["steps"] = max(result.get("steps", 0), state.images // batch_size if state.step else 0)
    result["epochs"] = round(max(result.get("epochs", 0), state.images / rows), 2)
    result["train_seconds"] = round(result.get("train_seconds", 0) + state.seconds, 3)
    result["images_per_second"] = round(result["images"] / max(result["train_seconds"], 1e-3), 1)


def _nothing(x: np.ndarray, ids: np.ndarray) -> Any:
    raise AssertionError("a diverged seed predicts nothing")
