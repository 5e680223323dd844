"""What the files of a study say, as tables: measurements, work, data as trained, curves, confusions, gaps.

A study here is an entry of `Plan.studies`. Every function reads only what jobs left; a job that is missing or
failed leaves rows out of a table and a row in `gaps`. Classes are ranked by the counts that the imbalance designs,
rank 0 being the most frequent: another seed may have other minority classes, so an average over seeds must
be one over ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import digests
from counterpoise.judging import selections as selecting
from counterpoise.planning.plan import Plan, block_name
from counterpoise.readers import Damaged, read_about, read_json, read_lines, read_run, read_table
from counterpoise.records import Json

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

STAGES = ("preprocess", "sample", "pretrain", "finetune", "evaluate")
KEYS = ("case", "point")
MEASURES = ("seed", "selection", "split", "metric", "class", "value")
READ = {  # what a report rests on
    "preprocess": ("meta.json",),
    "pretrain": ("history.jsonl",),
    "finetune": ("history.jsonl", "predictions.parquet"),
    "evaluate": ("metrics.parquet", "confusion.parquet"),
}


@dataclass(frozen=True)
class Block:
    """One block of seeds of one cell; `run` is its `run.json`, None where it is not computed or a file is damaged."""

    stage: str
    cell: str
    folder: Path
    run: Json | None
    fault: str = ""
    """What is damaged, and what mends it."""

    @classmethod
    def of(cls, stage: str, cell: str, folder: Path) -> Block:
        """Return what has become of a block."""
        try:
            run = read_run(folder) if (folder / "run.json").exists() else None
            if run and run["status"] == "done":
                digests.require(folder, run, (name for name in READ.get(stage, ()) if (folder / name).exists()))
        except Damaged as fault:
            return cls(stage, cell, folder, None, str(fault))
        return cls(stage, cell, folder, run)

    @property
    def status(self) -> str:
        """done, failed, skipped, or missing."""
        return self.run["status"] if self.run else "missing"


Row = tuple[dict[str, Any], dict[str, Block]]  # an entry of the study, and its block of each stage


def rows(plan: Plan, study: Json) -> list[Row]:
    """Return every entry (case at a grid point) by block of seeds, with what became of each of its stages."""
    known: dict[Path, Block] = {}

    def block(stage: str, cell: str, folder: Path) -> Block:
        if folder not in known:
            known[folder] = Block.of(stage, cell, folder)
        return known[folder]

    found = []
    for entry in study["entries"]:
        for seeds in map(block_name, study["blocks"]):
            stages = {}
            for stage in (s for s in STAGES if entry[s]):
                folder = plan.cells[entry[stage]].folder
                stages[stage] = block(stage, entry[stage], folder if stage == "preprocess" else folder / seeds)
            found.append((entry, stages))
    return found


def measurements(found: list[Row], study: Json) -> pd.DataFrame:
    """Return the tidy table that claims and reports read.

    Columns: case, point, one for each grid factor, seed, selection, split, metric, class, value, diverged. Values
    that are not defined (null in the files) are left out; `diverged` marks seeds scored at chance.
    """
    import pandas as pd

    held: dict[Path, pd.DataFrame] = {}
    parts: list[pd.DataFrame] = []
    for entry, stages in found:
        evaluated = stages["evaluate"]
        path = evaluated.folder / "metrics.parquet"
        if evaluated.run is None or evaluated.status != "done" or not path.exists():
            continue
        if path not in held:
            frame = read_table(path).to_pandas().dropna(subset="value")
            chance = [int(seed) for seed in evaluated.run["diverged"]]
            held[path] = frame.assign(diverged=frame["seed"].isin(chance))
        parts.append(held[path].assign(case=entry["case"], point=entry["point"]))
    names = list(factors(study))
    points = pd.DataFrame(
        [[e["point"], *(_plain(e["factors"].get(name)) for name in names)] for e in study["entries"]],
        columns=["point", *names],
    ).drop_duplicates("point")
    columns = [*KEYS, *names, *MEASURES, "diverged"]
    if not parts:
        return pd.DataFrame(columns=columns)
    table = pd.concat(parts, ignore_index=True)
    table = table[table["seed"].isin(study["seeds"])].merge(points, on="point", how="left")
    if selections := study.get("selections"):
        table = pd.concat([table, selecting.rows(table, selections, study["primary"]["metric"])], ignore_index=True)
    return table[columns].sort_values([*KEYS, "seed", "selection", "split"], kind="stable", ignore_index=True)


def factors(study: Json) -> dict[str, list[Any]]:
    """Return the full names of the grid factors, each with its values in the order of the grid."""
    found: dict[str, list[Any]] = {}
    for entry in study["entries"]:
        for name, value in entry["factors"].items():
            values = found.setdefault(name, [])
            if _plain(value) not in values:
                values.append(_plain(value))
    return found


def _plain(value: Any) -> Any:
    """Return a method given as a mapping as one text; anything else as it is."""
    if not isinstance(value, dict):
        return value
    options = ", ".join(f"{k}={v}" for k, v in value.items() if k != "name")
    return f"{value.get('name', '')} ({options})" if options else str(value.get("name", ""))


def work(found: list[Row]) -> pd.DataFrame:
    """Return the cost of each entry and block: case, point, seeds, steps, epochs, seconds, memory, images.

    Steps and epochs are those of one seed, pretraining included; seconds are wall time of training for each seed.
    """
    import pandas as pd

    columns = [*KEYS, "seeds", "steps", "epochs", "seconds", "images", "memory_mb"]
    records = []
    for entry, stages in found:
        runs = [stages[s].run for s in ("pretrain", "finetune") if s in stages]
        done = [run for run in runs if run is not None and run["status"] == "done"]
        if len(done) < len(runs):
            continue
        seeds = len(done[-1]["seeds"])
        totals = [sum(run.get(key) or 0 for run in done) for key in ("steps", "epochs", "wall_seconds", "images")]
        steps, epochs, seconds, images = totals
        memory = max(run["peak_memory_mb"] for run in done)
        records.append((entry["case"], entry["point"], seeds, steps, epochs, seconds / seeds, images / seeds, memory))
    return pd.DataFrame(records, columns=columns)


def class_counts(found: list[Row], study: Json) -> pd.DataFrame:
    """Return examples of each class: case, point, seed, rank, label, design, unique (training set), seen (batches)."""
    import pandas as pd

    held: dict[Path, list[tuple[Any, ...]]] = {}
    records: list[tuple[Any, ...]] = []
    for entry, stages in found:
        block = stages["finetune"]
        if block.folder not in held:
            held[block.folder] = [row for row in _ranked(_predictions_meta(block)) if row[0] in study["seeds"]]
        records += [(entry["case"], entry["point"], *row) for row in held[block.folder]]
    return pd.DataFrame(records, columns=[*KEYS, "seed", "rank", "label", "design", "unique", "seen"])


def _ranked(meta: Json | None) -> Iterator[tuple[Any, ...]]:
    """Yield (seed, rank, label, design, unique, seen) of every class and seed of a block."""
    if meta is None:
        return
    for seed, design in meta["design_counts"].items():
        unique, seen = meta["class_counts"][seed], meta["seen_counts"][seed]
        for rank, c in enumerate(_order(design)):
            yield int(seed), rank, meta["classes"][c], design[c], unique[c], seen[c]


def _predictions_meta(block: Block) -> Json | None:
    """Return what `predictions.parquet` says of training, read from its schema alone."""
    path = block.folder / "predictions.parquet"
    return read_about(path) if block.status == "done" and path.exists() else None


def _order(counts: list[int]) -> list[int]:
    """Return the classes from the most to the least frequent; equal ones by their number."""
    return sorted(range(len(counts)), key=lambda c: -counts[c])


def curves(found: list[Row], study: Json) -> pd.DataFrame:
    """Return the history of training: case, point, seed, phase, step (pretraining first), loss, accuracy, val."""
    import pandas as pd

    records: list[tuple[Any, ...]] = []
    for entry, stages in found:
        before: dict[int, int] = {}  # steps of the phases that are over
        for stage in (s for s in ("pretrain", "finetune") if s in stages):
            if stages[stage].status != "done":
                continue
            reached: dict[tuple[int, str], int] = {}
            for row in _history(stages[stage].folder / "history.jsonl"):
                seed, phase = row["seed"], row["phase"]
                if (seed, phase) not in reached:
                    before[seed] = before.get(seed, 0) + max((v for k, v in reached.items() if k[0] == seed), default=0)
                    reached = {k: v for k, v in reached.items() if k[0] != seed}
                reached[seed, phase] = row["step"]
                if seed in study["seeds"]:
                    step, val = before[seed] + row["step"], row["val_balanced_accuracy"]
                    records.append(
                        (entry["case"], entry["point"], seed, phase, step, row["loss"], row["accuracy"], val)
                    )
            for (seed, _), steps in reached.items():
                before[seed] += steps
    return pd.DataFrame(records, columns=[*KEYS, "seed", "phase", "step", "loss", "accuracy", "val"])


def switches(found: list[Row], study: Json) -> dict[str, dict[str, float]]:
    """Return case -> point -> recall of the tail's training rows when the last stage of training began, over seeds."""
    held: dict[str, dict[str, dict[int, float]]] = {}
    for entry, stages in found:
        for stage in (s for s in ("pretrain", "finetune") if s in stages and stages[s].status == "done"):
            for row in _history(stages[stage].folder / "history.jsonl"):
                if "tail_recall" in row and row["seed"] in study["seeds"]:
                    by_seed = held.setdefault(entry["case"], {}).setdefault(entry["point"], {})
                    by_seed[row["seed"]] = row["tail_recall"]
    return {
        case: {point: sum(by_seed.values()) / len(by_seed) for point, by_seed in points.items()}
        for case, points in held.items()
    }


def _history(path: Path) -> Iterator[Json]:
    if path.exists():
        yield from read_lines(path)


def confusion(found: list[Row], study: Json, point: str, case: str) -> np.ndarray | None:
    """Return the share of test examples of class rank i predicted as rank j, CC, a mean over the seeds present."""
    import numpy as np

    total, seeds = 0.0, 0
    for entry, stages in found:
        path = stages["evaluate"].folder / "confusion.parquet"
        meta = _predictions_meta(stages["finetune"])
        if (entry["case"], entry["point"]) != (case, point) or meta is None or not path.exists():
            continue
        frame = read_table(path, filters=[("selection", "=", "last"), ("split", "=", "test")]).to_pandas()
        for seed, part in frame.groupby("seed"):
            if seed not in study["seeds"]:
                continue
            order = _order(meta["design_counts"][str(seed)])
            matrix_CC = np.zeros((len(order), len(order)))
            matrix_CC[part["label"], part["predicted"]] = part["count"]
            matrix_CC = matrix_CC[np.ix_(order, order)]
            total, seeds = total + matrix_CC / matrix_CC.sum(1, keepdims=True), seeds + 1
    return np.asarray(total / seeds) if seeds else None


def gaps(found: list[Row]) -> list[Json]:
    """Return what is missing of a study: stage, cell, seeds, status (missing, failed, skipped), reason, entries.

    An entry is missing because of the first of its stages that is not done; its later stages are not listed.
    """
    listed: dict[Path, Json] = {}
    for entry, stages in found:
        first = next((b for b in stages.values() if b.status != "done"), None)
        if first is None:
            continue
        reason = first.fault or "not computed" if first.run is None else str(first.run["error"])
        seeds = first.folder.name if first.folder.name != first.cell else "all"
        about = {"stage": first.stage, "cell": first.cell, "seeds": seeds, "status": first.status, "reason": reason}
        listed.setdefault(first.folder, {**about, "entries": []})["entries"].append(_named(entry))
    return list(listed.values())


def diverged(found: list[Row]) -> list[Json]:
    """Return, for each entry with diverged seeds: case, point, k, n, and the reason of each seed."""
    counted: dict[str, Json] = {}
    for entry, stages in found:
        run = stages["evaluate"].run
        if run is None or run["status"] != "done":
            continue
        empty = {"case": entry["case"], "point": entry["point"], "k": 0, "n": 0, "reasons": {}}
        held = counted.setdefault(_named(entry), empty)
        held["n"] += len(run["seeds"])
        held["k"] += len(run["diverged"])
        held["reasons"] |= {seed: about["reason"] for seed, about in run["diverged"].items()}
    return [held for held in counted.values() if held["k"]]


def _named(entry: Json) -> str:
    return f"{entry['case']} at {entry['point']}" if entry["point"] else entry["case"]


def provenance(found: list[Row]) -> Json:
    """Return where a study's numbers come from: commits, versions, locks, data hashes, processors, time spent."""
    blocks = {block.folder: block for _, stages in found for block in stages.values() if block.run}
    runs = [block.run for block in blocks.values() if block.run]

    def distinct(key: str) -> list[Any]:
        return sorted({run[key] for run in runs if run.get(key) is not None})

    versions: dict[str, set[str]] = {}
    for run in runs:
        for package, version in run["versions"].items():
            versions.setdefault(package, set()).add(version)
    data = {
        (meta := read_json(block.folder / "meta.json"))["name"]: meta["data_hash"]
        for block in blocks.values()
        if block.stage == "preprocess" and block.status == "done"
    }
    trained = [block.run for block in blocks.values() if block.run and block.stage in ("pretrain", "finetune")]
    return {
        "commits": distinct("commit"),
        "dirty": any(run["dirty"] for run in runs),
        "lock_hashes": distinct("lock_hash"),
        "versions": {package: sorted(found) for package, found in sorted(versions.items())},
        "data": data,
        "cpus": distinct("cpu"),
        "devices": distinct("device"),
        "threads": distinct("threads"),
        "started": min(distinct("started"), default=None),
        "jobs": len(runs),
        "trainings": len(trained),
        "hours": sum(run["wall_seconds"] for run in runs) / 3600,
    }
