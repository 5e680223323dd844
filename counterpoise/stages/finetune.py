"""Fine-tune each seed from its pretraining (or from scratch) and keep what it predicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoise import devices, readers, records, streams
from counterpoise.data.inputs import Inputs, resampled
from counterpoise.registry import build, method
from counterpoise.training import attacks, checkpoints, loop, stacked
from counterpoise.training import classical as fitting
from counterpoise.training.loop import count_work, train_seed
from counterpoise.training.objective import scores
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Run, snapshot_steps
from counterpoise.training.precision import quicken
from counterpoise.training.predictions import Logits, Predictions, validate
from counterpoise.training.progress import State
from counterpoise.training.recipe import network_of, phase_of

Prepared = tuple[Run | None, Callable[[np.ndarray, np.ndarray], Tensor], Logits]
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
    diverged, or that ends at chance level on its own training data leaves no predictions: `diverged` says why. Of a
    regression it predicts the mean of the training targets instead, which is what chance means there.
    """
    loop.one_thread()
    empty = {
        "model.safetensors": lambda p: checkpoints.save(p, {}),
        "history.jsonl": lambda p: p.write_text(""),
        "predictions.parquet": lambda p: Predictions(data).write(p, {}),
    }
    with records.job(out, spec, empty) as result:
        records.require_parents([data, sample] + ([start] if start else []))
        classical = getattr(build("models", cfg["model"]), "classical", False)
        device = devices.CPU if classical else devices.choose()
        result["device"] = devices.described(device)
        partial, table = Partial(out, spec["cell"]), Predictions(data)
        table.attacked = cfg["finetune"]["attack"]["steps"] > 0
        tensors: checkpoints.Tensors = {}
        given = _pretrained(start, seeds) if start else None

        def begun(seed: int) -> tuple[Inputs, Prepared | None]:
            inputs = Inputs(cfg, data, sample, seed, device)
            table.begin(inputs)
            return inputs, None if classical else _prepare(cfg, inputs, given, table, partial)

        ahead = {}
        if cfg["execution"] == "stacked" and not classical:
            ahead = {seed: begun(seed) for seed in seeds}
            result |= stacked.train([ready[0] for _, ready in ahead.values() if ready and ready[0]], partial)
        for seed in seeds:
            inputs, prepared = ahead.pop(seed) if seed in ahead else begun(seed)
            table.begin(inputs)
            if prepared is None:
                state, search = _fit_classical(cfg, inputs, table)
                if search:
                    result.setdefault("search", {})[str(seed)] = search
            else:
                state, logits, weights = _train_neural(cfg, inputs, prepared, table, partial)
                tensors |= {f"{seed}/{name}": value for name, value in weights.items()}
                reason = state.diverged or table.add_last(logits)
                if reason:
                    result["diverged"][str(seed)] = reason
                    table.drop(seed)
                    if inputs.scale:
                        table.add_constant(inputs.scale.mean)
            table.seen[str(seed)] = state.seen
            count_work(result, state, len(inputs.train[0]), cfg["finetune"]["batch_size"])
        checkpoints.save(out / "model.safetensors", tensors)
        partial.publish_history(out / "history.jsonl")
        records.write(out / "predictions.parquet", lambda p: table.write(p, result["diverged"]))


def _pretrained(start: Path, seeds: list[int]) -> checkpoints.Tensors:
    """Return the tensors of a pretraining; raise Damaged if they lack a seed that did not diverge."""
    path = start / "model.safetensors"
    tensors, diverged = checkpoints.load(path)[0], readers.read_run(start)["diverged"]
    for seed in seeds:
        if str(seed) not in diverged and not checkpoints.under(f"{seed}/", tensors):
            raise readers.Damaged(path, f"has no network of seed {seed}")
    return tensors


def _train_neural(
    cfg: dict, inputs: Inputs, prepared: Prepared, table: Predictions, partial: Partial
) -> tuple[State, Logits, checkpoints.Tensors]:
    run, outputs, logits = prepared
    if run is None:
        reason = {"step": 0, "epoch": 0.0, "lr": None, "reason": "its pretraining diverged"}
        return State(seen=[0] * len(inputs.counts), diverged=reason), logits, {}
    state, strategy, phase = train_seed(run, partial), build("finetuning", cfg["finetune"]["method"]), run.phases[0]
    if not state.diverged:
        if hasattr(strategy, "close"):
            strategy.close(run.net, run.sample, run.counts_C)
        for step in sorted(snapshot_steps(run.phases)):
            table.add_snapshot(step, partial.folder)
        if getattr(phase.ensemble, "keeps_experts", False):
            table.add_experts(outputs, lambda images, view: phase.augmentation(images, _view(inputs.seed, view)))
        if table.attacked:
            table.add_attacked(_attacked(run, inputs, cfg["finetune"]["attack"]), logits)
    table.describe_head(run.net.head)
    return state, logits, dict(run.net.state_dict())


def _prepare(
    cfg: dict, inputs: Inputs, given: checkpoints.Tensors | None, table: Predictions, partial: Partial
) -> Prepared:
    """Return a seed ready to be trained (None if its pretraining diverged), its outputs and its logits."""
    rows, seed = inputs.rows(), inputs.seed
    counts = inputs.counts.to(rows.device)
    section, strategy = cfg["finetune"], build("finetuning", cfg["finetune"]["method"])
    replicate = f"-replicate-{section['replicate']}" if section["replicate"] else ""
    named_loss = build("losses", section["loss"])
    outputs_of_head = getattr(named_loss, "outputs", int)(len(counts))
    net = network_of(cfg, inputs.pool.shape[1:], outputs_of_head, seed, f"train{replicate}")
    if given is not None:
        mine = checkpoints.under(f"{seed}/", given)
        if not mine:
            return None, _nothing, _nothing
        checkpoints.fill(net.encoder, "encoder.", mine, "pretraining")
        if not strategy.fresh_head and any(name.startswith("head.") for name in mine):
            checkpoints.fill(net.head, "head.", mine, "pretraining")
    net.to(rows.device)
    quicken(net, cfg)
    semi = section["semi_supervised"]
    task = build(*(("pretraining", {"name": "supervised"}) if semi["name"] == "none" else ("semi_supervised", semi)))
    phases = strategy.phases(phase_of(cfg, section, cfg["sample"], task))
    loss, ensemble = phases[-1].loss, phases[-1].ensemble

    def outputs(x: np.ndarray, ids: np.ndarray) -> Tensor:
        return scores(loss, loop.predict(net, rows, x, ids))

    def logits(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        out = outputs(x, ids)
        if inputs.scale:
            return inputs.scale.restored(out[:, :1])
        return (out if ensemble is None else ensemble.combine(out)).numpy()

    if inputs.scale:
        target_N = inputs.scale.standardised(inputs.targets("train", inputs.train[0]))
        made = [named_loss.importance(target_N)] if hasattr(named_loss, "importance") else []
        rows.targets = torch.from_numpy(np.column_stack([target_N, *made])).float().to(rows.labels.device)
    drawn = resampled(build("samplers", cfg["sample"]), rows, inputs.fitted[1], seed)
    if hasattr(strategy, "open"):
        strategy.open(net, drawn, counts)
    loop.add_extra(net, phases, f"train{replicate}", seed)
    hooks = {
        "snapshot": lambda step: table.keep_snapshot(inputs, step, logits, partial.folder),
        "validate": lambda: validate(inputs, logits),
        "unlabelled": table.unlabelled(rows),
        "validation": table.validation(rows),
    }
    return Run(net, phases, drawn, counts, f"finetune{replicate}", seed, hooks), outputs, logits


def _view(seed: int, view: int) -> torch.Generator:
    return streams.torch_generator("finetune", "test-views", seed, view)


def _attacked(run: Run, inputs: Inputs, spec: dict[str, Any]) -> np.ndarray:
    """Return the test images, each changed to what the trained network is most wrong about."""
    (ids, labels), phase = inputs.test, run.phases[-1]
    white = getattr(method("datasets", inputs.meta["name"]), "white", attacks.WHITE)
    generator = streams.torch_generator("finetune", "test-attack", inputs.seed)

    def logits(images: Tensor) -> Tensor:
        out = scores(phase.loss, run.net(run.sample.standardise(images)))
        return out if phase.ensemble is None else phase.ensemble.combine(out)

    run.net.eval()
    whole = torch.from_numpy(inputs.tests[ids]).float(), torch.from_numpy(labels)
    parts = zip(*(part.to(run.sample.device).split(2048) for part in whole), strict=True)
    found = [attacks.strongest(logits, x, y, generator, white=white, **spec) for x, y in parts]
    return torch.cat(found).cpu().numpy()


def _fit_classical(cfg: dict, inputs: Inputs, table: Predictions) -> tuple[State, dict[str, Any]]:
    """Fit one seed and add its predictions; return its work, and what a search chose.

    Of a cross-validation the training rows are predicted out of fold only: it has many folds.
    """
    state, predict, out_of_fold, search = (fitting.fit_target if inputs.scale else fitting.fit)(cfg, inputs)
    if not inputs.is_split:
        table.add("train", *inputs.train, predict(inputs.raw_pool[inputs.train[0]]))
    if out_of_fold is not None:
        table.add("val", *inputs.train, out_of_fold)
    elif len(inputs.val[0]):
        table.add("val", *inputs.val, predict(inputs.raw_pool[inputs.val[0]]))
    table.add("test", *inputs.test, predict(inputs.raw_tests[inputs.test[0]]))
    return state, search


def _nothing(x: np.ndarray, ids: np.ndarray) -> Any:
    raise AssertionError("a diverged seed predicts nothing")
