"""Fit a case of a study on all rows of its data, and write it as a folder without any pickled code.

`model.json` says what the model is, how columns are read and what to expect of it; tensors are safetensors, trees of
LightGBM and XGBoost are in these libraries' own text formats, scikit-learn's estimators (and our plain ensembles of
them) in skops, whose loader builds the types of a list and no others. `SHA256SUMS` has the checksum of each file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from counterpoise import __version__, checkpoints, choosing, exported, fitting, metrics, records, registry, tables
from counterpoise.errors import ImpossibleCell, UserError, nearest
from counterpoise.inputs import Inputs
from counterpoise.records import Json
from counterpoise.stages import evaluate, finetune, preprocess, pretrain, sample

if TYPE_CHECKING:
    from counterpoise.plan import Plan

SEED = 0
CHECKED = 200  # rows on which the folder, read back, must say what the model said


def export(plan: Plan, name: str, case: str | None, to: Path) -> Json:
    """Write the folder `to` and return what `model.json` holds; raise UserError if it cannot be done."""
    study = plan.studies[name]
    if not choosing.is_own(study):
        raise UserError(
            f"export: {study['name']} is no study of your own data, as `counterpoise new <file>` writes one"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to}: is there already; give another folder, or remove it")
    found = tables.rows(plan, study)
    table = tables.measurements(found, study)
    case = _chosen(study, table, found, case)
    recipe = next(entry["recipe"] for entry in study["entries"] if entry["case"] == case)
    folder = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=_parent(to)))
    try:
        with tempfile.TemporaryDirectory() as work:
            fitted = _refit({**recipe, "rows": 0, "split": {"name": "official"}}, _by(recipe), Path(work))
        about = {
            "study": study["name"],
            "case": case,
            "expected": _expected(study, table, case),
            "operating_points": _points(study, found, case),
            **_described(recipe, fitted),
            "made_by": {"counterpoise": __version__, **records.environment()["versions"]},
        }
        _write(folder, about, fitted)
        _read_back(folder, fitted)
        folder.chmod(0o755)
        shutil.rmtree(to, ignore_errors=True)  # empty, as was checked
        folder.rename(to)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return about


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
    floor: float = fitting.SMALLEST
    tensors: checkpoints.Tensors = dataclasses.field(default_factory=dict)
    """Of a network."""
    evidence: checkpoints.Tensors = dataclasses.field(default_factory=dict)


def _parent(to: Path) -> Path:
    if not to.parent.is_dir():
        raise UserError(f"{to.parent}: there is no such folder")
    return to.parent


def _chosen(study: Json, table: Any, found: list[tables.Row], case: str | None) -> str:
    """Return the case named, or the best of those that are computed."""
    if case is not None:
        if case not in study["cases"]:
            raise UserError(f"--case '{case}': {study['name']} has no such case{nearest(case, study['cases'])}")
        return case
    standings = choosing.ranking(study, table, found)
    if gaps := [gap for gap in tables.gaps(found) if gap["status"] == "missing"]:
        raise UserError(
            f"export: {len(gaps)} jobs of {study['name']} are not computed, so there is no winner; run "
            f"`counterpoise run --studies {study['name']} --scale {study['scale']}`, or name a case with --case"
        )
    if not standings:
        raise UserError(f"export: no case of {study['name']} could be computed; `counterpoise report` says why")
    return standings[0].case


def _by(recipe: Json) -> str | None:
    """Return the column that folds went by, which is no input."""
    return getattr(registry.build("splits", recipe["split"]), "column", None)


def _refit(recipe: Json, left_out: str | None, work: Path) -> Refit:
    """Run the stages of a recipe on all rows, and return what they made."""
    data, drawn, start = work / "data", work / "sample", None
    preprocess.run({"data": recipe["data"]}, out=data, spec={})
    sample.run(recipe, data=data, seeds=[SEED], out=drawn, spec={})
    statistics = records.read_json(_done(drawn) / "statistics.json")
    statistics[str(SEED)]["left_out"] = left_out
    records.write_json(drawn / "statistics.json", statistics)
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
    frame, meta = evaluate.read(out / "predictions.parquet")
    val = evaluate.parts_of(frame, len(meta["classes"])).get((SEED, "last", "val"), (None, None))
    made.evidence = _evidence(inputs, torch.tensor(meta["seen_counts"][str(SEED)]), *val)
    return made


def _used(inputs: Inputs, left_out: str | None) -> tuple[np.ndarray, tuple]:
    used = [d for d, column in enumerate(inputs.raw_columns) if column.name != left_out]
    return inputs.raw_pool[inputs.train[0]][:, used], tuple(inputs.raw_columns[d] for d in used)


def _done(folder: Path) -> Path:
    run = records.read_json(folder / "run.json")
    if run["status"] != "done" or run["diverged"]:
        raise UserError(f"export: fitting on all rows failed: {run['error'] or run['diverged']}")
    return folder


def _fit_classical(recipe: Json, made: Refit) -> None:
    """Fit a classical model, its options searched and out-of-fold predictions made where the recipe says so."""
    inputs, spec = made.inputs, recipe["model"]
    try:
        val_logits = val_labels = None
        if recipe["finetune"]["inner"]["folds"]:
            _, _, out_of_fold, search = fitting.fit(recipe, inputs)
            val_logits, val_labels = torch.from_numpy(out_of_fold), torch.from_numpy(inputs.train[1])
            spec = search["chosen"]
        model = registry.build("models", spec)
        made.estimator, seen_C = fitting._estimate(recipe, model, inputs, inputs.train, *inputs.fitted, ())
    except ImpossibleCell as reason:
        raise UserError(f"export: fitting on all rows failed: {reason}") from None
    made.floor = getattr(model, "floor", fitting.SMALLEST)
    if val_logits is None and len(inputs.val[0]):
        x_NF = inputs.fitted[0](inputs.raw_pool[inputs.val[0]])
        val_logits = torch.from_numpy(fitting.logits_of(made.estimator, x_NF, len(seen_C), made.floor))
        val_labels = torch.from_numpy(inputs.val[1])
    made.evidence = _evidence(inputs, torch.from_numpy(seen_C), val_labels, val_logits)


def _evidence(inputs: Inputs, seen_C: torch.Tensor, labels: Any, logits: Any) -> checkpoints.Tensors:
    found = {"unique": inputs.counts.long(), "seen": seen_C.long()}
    return found if labels is None else found | {"val_labels": labels, "val_logits": logits.double()}


def _described(recipe: Json, made: Refit) -> Json:
    """Return what `model.json` says of data, columns, preprocessing, model and decision."""
    data, inputs = recipe["data"], made.inputs
    about: Json = {
        "format": exported.FORMAT,
        "kind": inputs.meta["kind"],
        "target": data.get("target"),
        "data": {"path": data["path"], "sha256": data["sha256"], "rows": len(inputs.train[0])},
        "classes": inputs.meta["classes"],
        "positive": None,
        "threshold": None,
        "columns": made.columns,
        "unused": [name for name, kind in data.get("kinds", {}).items() if kind == "ignore"]
        + [made.left_out] * bool(made.left_out),
        "shape": inputs.meta["shape"],
        "preprocessing": recipe["preprocessing"],
        "mean": inputs.statistics["mean"],
        "std": inputs.statistics["std"],
        "inputs": [dataclasses.asdict(column) for column in made.transform.columns] if made.transform else None,
        "model": recipe["model"],
        "head": recipe["head"],
        "ensemble": recipe["ensemble"],
        "finetune": recipe["finetune"],
        "side": data.get("side"),
        "colour": data.get("colour"),
        "pool": data.get("pool", 1),
        "sample": recipe["sample"],
        "rebalancing": recipe["evaluate"]["rebalancing"],
        "floor": made.floor,
    }
    if len(about["classes"]) == 2:
        positive = metrics.positive_class(inputs.counts)
        about["positive"] = about["classes"][positive]
        about["threshold"] = exported.threshold_of(about, made.evidence, positive)
    return about


def _expected(study: Json, table: Any, case: str) -> Json:
    """Return mean and interval of each metric on held-out rows, as the study measured them."""
    found = {}
    for metric in table.loc[(table["case"] == case) & table["class"].isna(), "metric"].unique():
        values = choosing.by_seed(table, case, metric).to_numpy()
        mean, low, high = choosing.interval(values, choosing.overlap_of(study))
        if np.isfinite(mean):
            found[str(metric)] = {"mean": mean, "interval": [low, high] if np.isfinite(low) else None}
    return found


def _points(study: Json, found: list[tables.Row], case: str) -> list[Json]:
    """Return thresholds for each cost and recall, and what is expected at them; of two classes."""
    held = choosing.scores(found, case)
    data = study["entries"][0]["recipe"]["data"]
    if not held or len(data["classes"]) != 2:
        return []
    points = choosing.operating_points(study, held, metrics.positive_class(data["counts"]))
    named = ("recall", "precision", "alerts", "cost")
    return [
        {"wanted": p.wanted, "threshold": p.threshold}
        | {name: getattr(p, name)[0] for name in named if getattr(p, name) and np.isfinite(getattr(p, name)[0])}
        for p in points
    ]


def _write(folder: Path, about: Json, made: Refit) -> None:
    if made.transform is not None:
        arrays = {
            f.name: getattr(made.transform, f.name) for f in dataclasses.fields(made.transform) if f.name != "columns"
        }
        if strange := [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]:
            raise UserError(
                f"export: preprocessing {about['preprocessing']['name']} keeps {strange[0]}, which is no array"
            )
        tensors = {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}
        checkpoints.save(folder / exported.PREPROCESSING, tensors)
    if made.estimator is None:
        checkpoints.save(folder / exported.NETWORK, made.tensors)
        about["estimator"] = {"file": exported.NETWORK, "classes": list(range(len(about["classes"])))}
    else:
        about["estimator"] = {
            "file": exported.save(folder, made.estimator),
            "classes": made.estimator.classes_.tolist(),
        }
    needed = made.evidence
    if not getattr(registry.build("rebalancing", about["rebalancing"]), "needs_validation", False):
        needed = {name: made.evidence[name] for name in ("unique", "seen")}
    checkpoints.save(folder / exported.EVIDENCE, needed)
    records.write_json(folder / exported.ABOUT, about)
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in sorted(folder.iterdir())]
    records.write_text(folder / exported.SUMS, "\n".join(sums) + "\n")


def _read_back(folder: Path, made: Refit) -> None:
    """Read the folder as `predict` will, and hold it to the model in memory."""
    inputs = made.inputs
    raw = np.asarray(inputs.raw_pool[inputs.train[0][:CHECKED]])
    model = exported.load(folder)
    if made.estimator is None:
        return  # the tensors were checked against the network's names and shapes
    used = raw[:, [d for d, column in enumerate(inputs.raw_columns) if column.name != made.left_out]]
    before = fitting.logits_of(made.estimator, inputs.fitted[0](raw), len(model.classes), made.floor)
    if not np.allclose(before, model.logits(used), atol=1e-5):
        raise UserError("export: the model says something else when it is read back, so it was not written")
