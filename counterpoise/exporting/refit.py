"""A case of a study fitted once more, on all rows of its data, by the stages that every job runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoise import digests, readers, records, registry
from counterpoise.data.inputs import Inputs
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.records import Json
from counterpoise.scoring import evaluation
from counterpoise.stages import finetune, preprocess, pretrain, sample
from counterpoise.training import checkpoints, classical

SEED = 0


@dataclasses.dataclass
class Refit:
    """A case fitted on all rows: what makes inputs, the model, and what its correction was fitted on."""

    inputs: Inputs
    transform: Any
    """Raw rows -> inputs, of a table whose preprocessing is fitted; None of plain numbers and images."""
    columns: list[Json]
    left_out: str | None
    estimator: Any = None
    """A fitted classical model."""
    floor: float = classical.SMALLEST
    tensors: checkpoints.Tensors = dataclasses.field(default_factory=dict)
    """Of a network."""
    evidence: checkpoints.Tensors = dataclasses.field(default_factory=dict)


def refit(recipe: Json, left_out: str | None, work: Path) -> Refit:
    """Run the stages of a recipe on all rows, and return what they made."""
    data, drawn, start = work / "data", work / "sample", None
    preprocess.run({"data": recipe["data"]}, out=data, spec={})
    sample.run(recipe, data=data, seeds=[SEED], out=drawn, spec={})
    statistics = readers.read_json(_done(drawn) / "statistics.json")
    statistics[str(SEED)]["left_out"] = left_out
    records.write_json(drawn / "statistics.json", statistics)
    records.write_json(drawn / "run.json", readers.read_run(drawn) | {"files": digests.of(drawn)})
    inputs = Inputs(recipe, data, drawn, SEED)
    fitted = hasattr(inputs.method, "fit")
    kinds = recipe["data"].get("kinds", {})
    columns = [
        {"name": c.name, "kind": kinds[c.name], "categories": list(c.categories)}
        for c in inputs.raw_columns
        if c.name != left_out
    ]
    transform = inputs.method.fit(*_used(inputs, left_out)) if fitted else None
    made = Refit(inputs, transform, columns, left_out)
    if getattr(registry.build("models", recipe["model"]), "classical", False):
        _fit_classical(recipe, made)
        return made
    if recipe["pretrain"]["method"]["name"] != "none":
        start = work / "pretrain"
        pretrain.run(recipe, data=data, sample=drawn, seeds=[SEED], out=start, spec={"cell": "export"})
        _done(start)
    out = work / "finetune"
    finetune.run(recipe, data=data, sample=drawn, start=start, seeds=[SEED], out=out, spec={"cell": "export"})
    made.tensors = checkpoints.under(f"{SEED}/", checkpoints.load(_done(out) / "model.safetensors")[0])
    frame, meta = evaluation.read(out / "predictions.parquet")
    val = evaluation.parts_of(frame, len(meta["classes"])).get((SEED, "last", "val"), (None, None))
    made.evidence = _evidence(inputs, torch.tensor(meta["seen_counts"][str(SEED)]), *val)
    return made


def _used(inputs: Inputs, left_out: str | None) -> tuple[np.ndarray, tuple]:
    used = [d for d, column in enumerate(inputs.raw_columns) if column.name != left_out]
    return inputs.raw_pool[inputs.train[0]][:, used], tuple(inputs.raw_columns[d] for d in used)


def _done(folder: Path) -> Path:
    run = readers.read_run(folder)
    if run["status"] != "done" or run["diverged"]:
        raise UserError(f"export: fitting on all rows failed: {run['error'] or run['diverged']}")
    return folder


def _fit_classical(recipe: Json, made: Refit) -> None:
    """Fit a classical model, its options searched and out-of-fold predictions made where the recipe says so."""
    inputs, val_logits, val_labels = made.inputs, None, None
    try:
        state, predict, out_of_fold, _ = classical.fit(recipe, inputs)
    except ImpossibleCell as reason:
        raise UserError(f"export: fitting on all rows failed: {reason}") from None
    made.estimator, made.floor = predict.estimator, predict.floor
    if out_of_fold is not None:
        val_logits, val_labels = torch.from_numpy(out_of_fold), torch.from_numpy(inputs.train[1])
    elif len(inputs.val[0]):
        val_logits = torch.from_numpy(predict(inputs.raw_pool[inputs.val[0]]))
        val_labels = torch.from_numpy(inputs.val[1])
    made.evidence = _evidence(inputs, torch.tensor(state.seen), val_labels, val_logits)


def _evidence(inputs: Inputs, seen_C: torch.Tensor, labels: Any, logits: Any) -> checkpoints.Tensors:
    found = {"unique": inputs.counts.long(), "seen": seen_C.long()}
    return found if labels is None else found | {"val_labels": labels, "val_logits": logits.double()}
