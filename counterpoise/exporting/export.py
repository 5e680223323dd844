"""Fit a case of a study on all rows of its data, and write it as a folder without any pickled code.

`model.json` says what the model is, how columns are read and what to expect of it; tensors are safetensors, trees of
LightGBM and XGBoost are in these libraries' own text formats, scikit-learn's estimators (and our plain ensembles of
them) in skops, whose loader builds the types of a list and no others. `SHA256SUMS` has the checksum of each file.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from counterpoise import __version__, records, registry, stopping
from counterpoise.errors import UserError, nearest
from counterpoise.exporting import estimators, exported
from counterpoise.exporting.refit import Refit, refit
from counterpoise.judging import results
from counterpoise.own_data import choice, thresholds
from counterpoise.records import Json
from counterpoise.scoring import metrics
from counterpoise.scoring.names import bounds
from counterpoise.training import checkpoints, classical

if TYPE_CHECKING:
    from counterpoise.planning.plan import Plan

CHECKED = 200  # rows on which the folder, read back, must say what the model said


def export(plan: Plan, name: str, case: str | None, to: Path) -> Json:
    """Write the folder `to` and return what `model.json` holds; raise UserError if it cannot be done."""
    study = plan.studies[name]
    if not choice.is_own(study):
        raise UserError(
            f"export: {study['name']} is no study of your own data, as `counterpoise new <file>` writes one"
        )
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to}: is there already; give another folder, or remove it")
    found = results.rows(plan, study)
    table = results.measurements(found, study)
    case = _chosen(study, table, found, case)
    recipe = next(entry["recipe"] for entry in study["entries"] if entry["case"] == case)
    folder = _scratch(to)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            fitted = refit({**recipe, "rows": 0, "split": {"name": "official"}}, _by(recipe), Path(work))
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


def _scratch(to: Path) -> Path:
    """Return a new folder beside `to`, named after this process; those of processes that were killed are removed."""
    for stale in _parent(to).glob(f".{glob.escape(to.name)}.*.tmp"):
        process = stale.suffixes[-2][1:]
        if process.isdigit() and stale.stat().st_uid == os.getuid() and not stopping.is_alive(int(process)):
            shutil.rmtree(stale, ignore_errors=True)
    folder = to.parent / f".{to.name}.{os.getpid()}.tmp"
    folder.mkdir(mode=0o700)
    return folder


def _parent(to: Path) -> Path:
    if not to.parent.is_dir():
        raise UserError(f"{to.parent}: there is no such folder")
    return to.parent


def _chosen(study: Json, table: Any, found: list[results.Row], case: str | None) -> str:
    """Return the case named, or the best of those that are computed."""
    if case is not None:
        if case not in study["cases"]:
            raise UserError(f"--case '{case}': {study['name']} has no such case{nearest(case, study['cases'])}")
        return case
    standings = choice.ranking(study, table, found)
    if gaps := [gap for gap in results.gaps(found) if gap["status"] == "missing"]:
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
        "header": data.get("header"),
        "kept": data.get("kept", {}),
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
        values = choice.by_seed(table, case, metric).to_numpy()
        mean, low, high = choice.within(bounds(metric), choice.interval(values, choice.overlap_of(study)))
        if np.isfinite(mean):
            found[str(metric)] = {"mean": mean, "interval": [low, high] if np.isfinite(low) else None}
    return found


def _points(study: Json, found: list[results.Row], case: str) -> list[Json]:
    """Return thresholds for each cost and recall, and what is expected at them; of two classes."""
    held = choice.scores(found, case)
    data = study["entries"][0]["recipe"]["data"]
    if not held or len(data["classes"]) != 2:
        return []
    points = thresholds.operating_points(study, held, metrics.positive_class(data["counts"]))
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
        arrays = {name: value for name, value in arrays.items() if value is not None}
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
            "file": estimators.save(folder, made.estimator),
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
    before = classical.logits_of(made.estimator, inputs.fitted[0](raw), len(model.classes), made.floor)
    if not np.allclose(before, model.logits(used), atol=1e-5):
        raise UserError("export: the model says something else when it is read back, so it was not written")
