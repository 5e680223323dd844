"""What a tracker shows of a study, read from the files of its jobs: runs with parameters, curves, metrics and state.

Knows nothing of any tracker. Everything here can be computed again from the files at any time; nothing reads it back.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterpoise import records
from counterpoise.jobs.status import is_running
from counterpoise.planning.plan import Plan, block_name
from counterpoise.readers import read_about, read_lines, read_run, read_table

Entry = dict[str, Any]
CHAIN = ("preprocess", "sample", "pretrain", "finetune", "evaluate")
CURVES = ("loss", "accuracy", "lr", "val_balanced_accuracy")
# State of a run. "scheduled": something is there, the next job has not begun; "killed": cut off while training.
RUNNING, FINISHED, FAILED, SCHEDULED, KILLED = "RUNNING", "FINISHED", "FAILED", "SCHEDULED", "KILLED"


@dataclass(frozen=True)
class Point:
    """One value of a curve; `time` is in milliseconds since 1970, None while the job is still training."""

    name: str
    value: float
    step: int
    time: int | None


@dataclass
class Seed:
    """One seed of a case at a grid point: a child run."""

    seed: int
    block: str
    status: str
    digest: str
    start: int
    end: int | None
    tags: dict[str, str]
    curves: list[Point]
    metrics: dict[str, float]


@dataclass
class Block:
    """The state of one block of seeds, stage by stage, as far as a glance at its files tells."""

    name: str
    folders: dict[str, Path]
    runs: dict[str, records.Json] = field(default_factory=dict)
    live: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    size: int = 0

    @property
    def complete(self) -> bool:
        """Whether no job will change it any more."""
        return "evaluate" in self.runs

    @property
    def digest(self) -> str:
        """Identify what is there: equal digests mean that there is nothing new to show."""
        return records.digest([self.runs, sorted(self.live), sorted(self.cut), self.size])


def blocks(plan: Plan, study: str, entry: Entry) -> list[Block]:
    """Return the blocks of a case at a grid point of which at least one training job has begun."""
    found = []
    for name in map(block_name, plan.studies[study]["blocks"]):
        folders = {s: plan.cells[entry[s]].folder / (name if s != "preprocess" else "") for s in CHAIN if entry[s]}
        block = Block(name, folders)
        for stage, folder in folders.items():
            if (folder / "run.json").exists():
                block.runs[stage] = read_run(folder)
            elif (folder / "partial" / "history.jsonl").exists():
                (block.live if is_running(folder) else block.cut).add(stage)
                block.size += (folder / "partial" / "history.jsonl").stat().st_size
        if block.live or block.cut or {"pretrain", "finetune"} & block.runs.keys():
            found.append(block)
    return found


def seeds(plan: Plan, entry: Entry, block: Block) -> Iterator[Seed]:
    """Return the seeds of a block that have begun."""
    histories = {stage: _history(block, stage) for stage in ("pretrain", "finetune") if stage in block.folders}
    metrics = _metrics(block) if block.complete else {}
    about = _about(entry, block)
    first, last = (int(part) for part in block.name.split("-")[1:])
    digest, start, end = block.digest, started(block), _end(block)
    for seed in range(first, last + 1):
        curves = [point for rows in histories.values() for point in rows.get(seed, [])]
        if block.complete or curves:
            diverged = block.runs.get("finetune", {}).get("diverged", {}).get(str(seed))
            reason = {"failure": diverged["reason"]} if diverged else {}
            status = FAILED if diverged and block.complete else _status(block)
            yield Seed(seed, block.name, status, digest, start, end, {**about, **reason}, curves, metrics.get(seed, {}))


def parameters(recipe: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a recipe as flat parameters: a method under its own key, its options under `key.option`."""
    flat: dict[str, str] = {}
    for key, value in recipe.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            inner = dict(value)
            if "name" in inner:
                flat[name] = str(inner.pop("name"))
            flat |= parameters(inner, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def summary(children: list[Seed]) -> dict[str, float]:
    """Return the mean over seeds of every metric that all have."""
    shared = set.intersection(*(set(child.metrics) for child in children)) if children else set()
    return {name: sum(child.metrics[name] for child in children) / len(children) for name in sorted(shared)}


def training_counts(block: Block) -> tuple[list[str], dict[str, list[int]], dict[str, list[int]]]:
    """Return the classes, and for each seed the unique training examples and those that batches really held."""
    meta = read_about(block.folders["finetune"] / "predictions.parquet")
    return meta["classes"], meta["class_counts"], meta["seen_counts"]


def confusion(found: list[Block], classes: int) -> list[list[float]]:
    """Return how often (share of each row) a class of the test part was taken for another, over all seeds."""
    counts = [[0.0] * classes for _ in range(classes)]
    for block in found:
        keep = [("selection", "=", "last"), ("split", "=", "test")]
        rows = read_table(block.folders["evaluate"] / "confusion.parquet", filters=keep).to_pydict()
        for label, predicted, count in zip(rows["label"], rows["predicted"], rows["count"], strict=True):
            counts[label][predicted] += count
    return [[n / max(sum(row), 1) for n in row] for row in counts]


def _status(block: Block) -> str:
    if block.complete:
        return FINISHED if all(run["status"] == "done" for run in block.runs.values()) else FAILED
    return RUNNING if block.live else KILLED if block.cut else SCHEDULED


def _about(entry: Entry, block: Block) -> dict[str, str]:
    """Return the tags that say where numbers come from: cells, files, code, machine."""
    tags = {f"cell.{stage}": entry[stage] for stage in CHAIN if entry[stage]}
    tags |= {"block": block.name, "checkpoint": str(block.folders["finetune"] / "model.safetensors")}
    for run in reversed(block.runs.values()):
        if run["error"]:
            tags["failure"] = run["error"]
    newest = next(reversed(block.runs.values()), None)
    if newest:
        tags |= {key: str(newest.get(key)) for key in ("commit", "dirty", "data_hash", "host", "cpu", "device")}
        tags |= {f"version.{name}": version for name, version in newest["versions"].items()}
        tags["mlflow.source.git.commit"] = str(newest["commit"])
    return tags


def _history(block: Block, stage: str) -> dict[int, list[Point]]:
    """Return the curves of a stage by seed; points of a finished job are spread over the time that it took."""
    run, folder = block.runs.get(stage), block.folders[stage]
    path = folder / "history.jsonl" if run else folder / "partial" / "history.jsonl"
    if not path.exists():
        return {}
    rows = read_lines(path, unfinished=not run)
    curves: dict[int, list[Point]] = {}
    for i, row in enumerate(rows, 1):
        time = _milliseconds(run) + round(1000 * run["wall_seconds"] * i / len(rows)) if run else None
        curves.setdefault(row["seed"], []).extend(
            Point(f"{row['phase']}/{name}", row[name], row["step"], time) for name in CURVES if row[name] is not None
        )
    return curves


def _metrics(block: Block) -> dict[int, dict[str, float]]:
    """Return the metrics of each seed as `<split>/<metric>[.<class>][ (<selection>)]`; undefined ones are left out."""
    found: dict[int, dict[str, float]] = {}
    for row in read_table(block.folders["evaluate"] / "metrics.parquet").to_pylist():
        if row["value"] is None or row["metric"] == "prevalence" or row["selection"].startswith("step-"):
            continue
        name = f"{row['split']}/{row['metric']}" + ("" if row["class"] is None else f".{row['class']}")
        name += "" if row["selection"] == "last" else f" {row['selection']}"
        found.setdefault(row["seed"], {})[name] = row["value"]
    return found


def _milliseconds(run: records.Json) -> int:
    return round(datetime.datetime.fromisoformat(run["started"]).timestamp() * 1000)


def started(block: Block) -> int:
    """Return when training began, in milliseconds since 1970."""
    training = [stage for stage in ("pretrain", "finetune") if stage in block.folders]
    done = [_milliseconds(block.runs[stage]) for stage in training if stage in block.runs]
    if done:
        return min(done)
    begun = [block.folders[stage] / "spec.json" for stage in training]
    return round(1000 * min((path.stat().st_mtime for path in begun if path.exists()), default=0.0))


def _end(block: Block) -> int | None:
    if not block.complete:
        return None
    run = block.runs["evaluate"]
    return _milliseconds(run) + round(1000 * run["wall_seconds"])
