"""Fine-tune each seed from its pretraining (or from scratch) and keep what it predicts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoise import checkpoints, records, streams, train
from counterpoise.partial import Partial
from counterpoise.registry import build
from counterpoise.train import Net, Phase, Sample, State

VERSION = 1
OUTPUTS = ("model.safetensors", "history.jsonl", "predictions.parquet", "run.json")
Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (x, ids) -> logits_NC


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
        fit_seed = _fit_classical if getattr(build("models", cfg["model"]), "classical", False) else _train_neural
        partial, table = Partial(out, spec["cell"]), Predictions(data)
        tensors: checkpoints.Tensors = {}
        given = checkpoints.load(start / "model.safetensors")[0] if start else None
        for seed in seeds:
            rows, counts = training_rows(data, sample, seed)
            table.begin(seed, sample, counts)
            state, logits, weights = fit_seed(cfg, rows, counts, given, table, partial, seed)
            table.seen[str(seed)] = state.seen
            reason = state.diverged or table.add_last(rows, logits)
            if reason:
                result["diverged"][str(seed)] = reason
                table.drop(seed)
            tensors |= {f"{seed}/{name}": value for name, value in weights.items()}
            count_work(result, state, len(rows.labels))
        checkpoints.save(out / "model.safetensors", tensors)
        partial.publish_history(out / "history.jsonl")
        records.write(out / "predictions.parquet", lambda p: table.write(p, result["diverged"]))


def _train_neural(
    cfg: dict,
    rows: Sample,
    counts: Tensor,
    given: checkpoints.Tensors | None,
    table: Predictions,
    partial: Partial,
    seed: int,
) -> tuple[State, Logits, checkpoints.Tensors]:
    section, task = cfg["finetune"], build("pretraining", {"name": "supervised"})
    strategy = build("finetuning", section["method"])
    replicate = f"-replicate-{section['replicate']}" if section["replicate"] else ""
    net = train.build(build("models", cfg["model"]), task, table.shape, len(table.classes), seed, f"train{replicate}")
    if given is not None:
        mine = checkpoints.under(f"{seed}/", given)
        if not mine:
            reason = {"step": 0, "epoch": 0.0, "lr": None, "reason": "its pretraining diverged"}
            return State(seen=[0] * len(counts), diverged=reason), _nothing, {}
        checkpoints.fill(net.encoder, "encoder.", mine, "pretraining")
        if not strategy.fresh_head and any(name.startswith("head.") for name in mine):
            checkpoints.fill(net.head, "head.", mine, "pretraining")
    phase = Phase(
        steps=section["steps"],
        batch_size=section["batch_size"],
        task=task,
        sampler=build("samplers", cfg["sample"]),
        loss=build("losses", section["loss"]),
        augmentation=build("augmentation", section["augmentation"]),
        optimizer=build("optimizers", section["optimizer"]),
        schedule=build("schedules", section["schedule"]),
        snapshots=section["snapshots"],
    )

    def logits(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
        return train.predict(net, rows, x, ids).numpy()

    state = train_seed(
        net,
        strategy.phases(phase),
        rows,
        counts,
        f"finetune{replicate}",
        seed,
        partial,
        snapshot=lambda step: table.keep_snapshot(step, logits, partial.folder),
        validate=lambda: table.validate(logits),
    )
    for step in sorted(phase.snapshot_steps()) if not state.diverged else ():
        table.add_snapshot(step, partial.folder)
    return state, logits, dict(net.state_dict())


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


def train_seed(
    net: Net,
    phases: list[Phase],
    rows: Sample,
    counts: Tensor,
    stage: str,
    seed: int,
    partial: Partial,
    **hooks: Any,
) -> State:
    """Train one seed, or take it from `partial` where an earlier process finished it."""
    done = partial.finished(seed)
    if done:
        checkpoints.fill(net, "", done[0], str(partial.folder))
        return State(**done[1]["state"])
    state = train.train(
        net,
        phases,
        rows,
        counts,
        stage=stage,
        seed=seed,
        resume=partial.checkpoint(seed),
        save=lambda tensors, held: partial.save(seed, tensors, held),
        log=partial.log,
        **hooks,
    )
    partial.finish(seed, dict(net.state_dict()), vars(state))
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


def count_work(result: dict[str, Any], state: State, rows: int) -> None:
    """Add a seed's work to `run.json`: the budget that the report shows."""
    result["images"] = result.get("images", 0) + state.images
    result["steps"] = max(result.get("steps", 0), state.step)
    result["epochs"] = round(max(result.get("epochs", 0), state.images / rows), 2)
    result["train_seconds"] = round(result.get("train_seconds", 0) + state.seconds, 3)
    result["images_per_second"] = round(result["images"] / max(result["train_seconds"], 1e-3), 1)


def _nothing(x: np.ndarray, ids: np.ndarray) -> np.ndarray:
    raise AssertionError("a diverged seed predicts nothing")


class Predictions:
    """The rows of `predictions.parquet`: logits of every seed, selection and split."""

    def __init__(self, data: Path) -> None:
        self.data, meta = data, records.read_json(data / "meta.json") if (data / "meta.json").exists() else {}
        self.classes, self.shape = meta.get("classes", []), tuple(meta.get("shape", ()))
        self.unique: dict[str, list[int]] = {}
        self.design: dict[str, list[int]] = {}
        self.seen: dict[str, list[int]] = {}
        self.parts: list[tuple[int, str, str, np.ndarray, np.ndarray, np.ndarray]] = []

    def begin(self, seed: int, sample: Path, counts: Tensor) -> None:
        """Start a seed: open its validation part."""
        import pyarrow.parquet as pq

        held = pq.read_table(sample / "split.parquet", filters=[("seed", "=", seed), ("part", "=", "val")])
        self.seed, self.val = seed, (held["id"].to_numpy().copy(), held["label"].to_numpy())
        self.unique[str(seed)] = [int(n) for n in counts]
        self.design[str(seed)] = records.read_json(sample / "statistics.json")[str(seed)]["design_counts"]
        self.train_x, self.test_x = (train.open_array(self.data, n) for n in ("train_x", "test_x"))
        self.train_y, self.test_y = (train.open_array(self.data, n) for n in ("train_y", "test_y"))

    def validate(self, logits: Logits) -> float | None:
        """Return balanced accuracy on the validation part, for the history; None where there is none."""
        ids, labels = self.val
        if not len(ids):
            return None
        return _balanced_accuracy(logits(self.train_x, ids), labels)

    def add_last(self, rows: Sample, logits: Logits) -> dict[str, Any] | None:
        """Add the final predictions; return why the seed counts as diverged, if it does."""
        ids, labels = rows.ids.numpy(), rows.labels.numpy()
        train_logits = logits(self.train_x, ids)
        present = len(np.unique(labels))
        if present > 1 and _balanced_accuracy(train_logits, labels) <= 1 / present + 1e-9:
            return {"step": None, "epoch": None, "lr": None, "reason": "chance level on the training data"}
        test = np.arange(len(self.test_y))
        self._add("last", "train", ids, labels, train_logits)
        if len(self.val[0]):
            self._add("last", "val", *self.val, logits(self.train_x, self.val[0]))
        self._add("last", "test", test, self.test_y, logits(self.test_x, test))
        return None

    def keep_snapshot(self, step: int, logits: Logits, folder: Path) -> None:
        """Write the test logits of a step to `folder`, so that a resumed run has them."""
        kept = logits(self.test_x, np.arange(len(self.test_y)))
        records.write_array(self._snapshot(step, folder), kept)

    def add_snapshot(self, step: int, folder: Path) -> None:
        """Add the test predictions that `keep_snapshot` wrote."""
        kept = np.load(self._snapshot(step, folder), allow_pickle=False)
        self._add(f"step-{step:06d}", "test", np.arange(len(self.test_y)), self.test_y, kept)

    def drop(self, seed: int) -> None:
        """Forget the rows of a diverged seed."""
        self.parts = [part for part in self.parts if part[0] != seed]

    def write(self, path: Path, diverged: dict[str, Any]) -> None:
        """Write all rows as Parquet, with what metrics need to know in the schema's metadata."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        parts = [part for part in self.parts if len(part[3])]
        lengths = [len(part[3]) for part in parts]

        def joined(i: int, kind: type) -> np.ndarray:
            return np.concatenate([p[i] for p in parts]).astype(kind) if parts else np.empty(0, kind)

        def repeated(i: int, kind: pa.DataType) -> pa.Array:
            return pa.array(np.repeat([p[i] for p in parts], lengths) if parts else [], kind)

        columns = {
            "seed": repeated(0, pa.int32()),
            "selection": repeated(1, pa.string()).dictionary_encode(),
            "split": repeated(2, pa.string()).dictionary_encode(),
            "id": pa.array(joined(3, np.int64)),
            "label": pa.array(joined(4, np.int64)),
        }
        width = len(self.classes)
        logits = np.concatenate([p[5] for p in parts]) if parts else np.empty((0, width), np.float32)
        columns |= {f"logit_{c}": pa.array(logits[:, c].astype(np.float32)) for c in range(width)}
        meta = {
            "classes": self.classes,
            "class_counts": self.unique,
            "design_counts": self.design,
            "seen_counts": self.seen,
            "diverged": diverged,
        }
        table = pa.table(columns).replace_schema_metadata({"counterpoise": json.dumps(meta, sort_keys=True)})
        pq.write_table(table, path)

    def _snapshot(self, step: int, folder: Path) -> Path:
        return folder / f"seed-{self.seed:02d}-step-{step:06d}.npy"

    def _add(self, selection: str, split: str, ids: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> None:
        self.parts.append((self.seed, selection, split, ids, labels, logits))


def _balanced_accuracy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the mean recall of the classes present; logits that are not finite count as wrong."""
    right = (logits_NC.argmax(1) == labels_N) & np.isfinite(logits_NC).all(1)
    total = np.bincount(labels_N)
    return float((np.bincount(labels_N[right], minlength=len(total))[total > 0] / total[total > 0]).mean())
