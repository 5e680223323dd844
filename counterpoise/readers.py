"""Reads the files that jobs leave. One that cannot be read raises `Damaged`, which names it and what mends it.

What a file of each name must hold is in `SHAPES`, `COLUMNS` and `LINE`: enough for its readers to go on without
looking again. A shape is a type, several types, a list of one shape, or an object with a shape for each key ("*" for
every value).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

NUMBER, TEXT = (int, float), (str, type(None))
COUNTS = {"*": [int]}
CLAIM = {"text": str, "form": str, "verdict": str, "effect": (*NUMBER, type(None)), "n": int}
SHAPES: dict[str, Any] = {
    "plan.json": {"cells": {"*": dict}, "studies": {"*": dict}},
    "run.json": {
        "status": str,
        "error": TEXT,
        "diverged": {"*": {"reason": str}},
        "seeds": [int],
        "started": str,
        "wall_seconds": NUMBER,
        "peak_memory_mb": NUMBER,
        "versions": dict,
        "commit": TEXT,
        "dirty": bool,
    },
    "meta.json": {"name": str, "classes": [str], "shape": [int], "kind": str, "data_hash": str},
    "statistics.json": {
        "*": {"mean": [NUMBER], "std": [NUMBER], "class_counts": [int], "order": [int], "design_counts": [int]}
    },
    "claims.json": {
        "key": str,
        "study": str,
        "scale": str,
        "title": str,
        "claims": [CLAIM],
        "controls": [CLAIM],
        "gaps": [{"status": str, "cell": str, "reason": str}],
        "diverged": [{"k": int}],
        "provenance": {"dirty": bool},
        "dirty": bool,
    },
    "predictions.parquet": {  # what the schema says beside the columns
        "classes": [str],
        "class_counts": COUNTS,
        "design_counts": COUNTS,
        "seen_counts": COUNTS,
        "diverged": dict,
    },
}
MEASURED = ("seed", "selection", "split")
COLUMNS = {
    "split.parquet": ("seed", "part", "id", "label"),
    "predictions.parquet": (*MEASURED, "id", "label"),
    "metrics.parquet": (*MEASURED, "metric", "class", "value"),
    "confusion.parquet": (*MEASURED, "label", "predicted", "count"),
    "table.parquet": ("case", "point", *MEASURED, "metric", "class", "value"),
}
LINE = {"seed", "phase", "step", "loss", "accuracy", "lr", "val_balanced_accuracy"}  # of history.jsonl


class Damaged(UserError):
    """A file that is not as it was written: the message is one line with its name, the fault and what mends it."""

    def __init__(self, path: Path, fault: str) -> None:
        self.what = f"{path}: {fault}"
        super().__init__("; ".join(filter(None, (self.what, _mending(path)))))


def _mending(path: Path) -> str:
    """Return the command after which the file is there again; nothing for a file that is not ours."""
    places = [i for i, part in enumerate(path.parts) if part == "results"]
    below = path.parts[places[-1] + 1 :] if places else ()
    if below[:1] == ("report",):
        return "`counterpoise report` writes it again"
    if len(below) > 2:
        return f"`counterpoise retry {below[1]}` forgets it, and the next run computes it again"
    if below:
        return "`snakemake -n` makes it again"
    return f"`git checkout -- {path}` brings back the committed one" if "published" in path.parts else ""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn whatever reading `path` raises into `Damaged`; what the machine refuses (no permission) stays OSError."""
    try:
        yield
    except FileNotFoundError:
        raise Damaged(path, "is missing") from None
    except UserError:
        raise
    except Exception as error:  # parsers meet noise with errors of many kinds
        if isinstance(error, OSError) and error.errno:
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise Damaged(path, "is empty" if path.stat().st_size == 0 else f"cannot be read ({said})") from None


def read_json(path: Path, shape: Any = None) -> Any:
    """Read JSON of the given shape, by default that of the file's name."""
    with naming(path):
        value = json.loads(path.read_text(encoding="utf-8"))
    require(path, value, SHAPES.get(path.name, object) if shape is None else shape)
    return value


def read_run(folder: Path) -> dict[str, Any]:
    """Read the `run.json` of a job."""
    run = read_json(folder / "run.json")
    if run["status"] not in ("done", "failed", "skipped"):
        raise Damaged(folder / "run.json", f"its status is '{run['status']}'")
    require(folder / "run.json", run.get("files", {}), {"*": {"bytes": int, "sha256": str}})
    return run


def read_lines(path: Path, *, unfinished: bool = False) -> list[dict[str, Any]]:
    """Read a history; of one that is still being written the last line, which may be cut short, is left out."""
    with naming(path):
        lines = path.read_text(encoding="utf-8").split("\n")
        rows = [json.loads(line) for line in lines[:-1]]
    if not unfinished and lines[-1]:
        raise Damaged(path, "its last line is cut short")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not row.keys() >= LINE:
            raise Damaged(path, f"line {number} is no step of a training")
    return rows


def read_table(path: Path, filters: list[tuple[str, str, Any]] | None = None) -> pa.Table:
    """Read the rows of a Parquet file, or those that pass the filters."""
    import pyarrow.parquet as pq

    with naming(path):
        require_columns(path, pq.read_schema(path).names)
        return pq.read_table(path, filters=filters)


def read_about(path: Path) -> dict[str, Any]:
    """Return what the schema of `predictions.parquet` says of training."""
    import pyarrow.parquet as pq

    with naming(path):
        about = json.loads((pq.read_schema(path).metadata or {}).get(b"counterpoise", b"null"))
    require(path, about, SHAPES["predictions.parquet"])
    return about


def read_array(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read an array, or map it to memory."""
    import numpy as np

    with naming(path):
        array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    if array.ndim == 0:
        raise Damaged(path, "holds no rows")
    return array


def read(path: Path) -> None:
    """Read a file by the reader of its kind, only to see whether it can be read."""
    if path.suffix == ".json":
        read_run(path.parent) if path.name == "run.json" else read_json(path)
    elif path.suffix == ".jsonl":
        read_lines(path)
    elif path.suffix == ".parquet":
        read_table(path)
        if path.name == "predictions.parquet":
            read_about(path)
    elif path.suffix == ".npy":
        read_array(path)
    elif path.suffix == ".safetensors":
        from safetensors import safe_open

        with naming(path), safe_open(path, framework="np") as file:
            require(path, json.loads((file.metadata() or {}).get("counterpoise", "{}")), {})


def require(path: Path, value: Any, shape: Any) -> None:
    """Raise `Damaged` unless the value has the shape."""
    if fault := misfit(value, shape):
        raise Damaged(path, fault)


def require_columns(path: Path, names: list[str]) -> None:
    """Raise `Damaged` unless a Parquet file has the columns that its name promises."""
    if lacking := [name for name in COLUMNS.get(path.name, ()) if name not in names]:
        raise Damaged(path, f"has no column '{lacking[0]}'")


def misfit(value: Any, shape: Any, place: str = "") -> str | None:
    """Return what of a JSON value is not of the shape; None if all is."""
    where = f"'{place}'" if place else "it"
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{where} is no object"
        inner = dict.fromkeys(value, shape["*"]) if "*" in shape else shape
        if lacking := [key for key in inner if key not in value]:
            return f"{where} has no '{lacking[0]}'"
        items = [(value[key], inner[key], f"{place}.{key}".strip(".")) for key in inner]
    elif isinstance(shape, list):
        if not isinstance(value, list):
            return f"{where} is no list"
        items = [(item, shape[0], f"{place}[{i}]") for i, item in enumerate(value)]
    else:
        return None if isinstance(value, shape) else f"{where} is {json.dumps(value)[:40]}"
    return next((fault for item in items if (fault := misfit(*item))), None)
