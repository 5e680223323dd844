"""Evaluate: corrects the logits of one fine-tuning post hoc and measures them.

Reads `predictions.parquet` and nothing else, so that every number can be recomputed from that file.
Writes `metrics.parquet` (seed, selection, split, metric, class, value; null where a metric is not defined) and
`confusion.parquet` (seed, selection, split, label, predicted, count; class ids, pairs that occur).
Beside what was predicted there are rows for the selection `best_on_test` (the best of all snapshots and the
last, for each metric by itself: what papers that select on the test part report), for `last-best` (the last less
that best: never above 0) and for the split `train-test` (the gap). A diverged seed is scored at chance.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from counterpoise import records, registry
from counterpoise.scoring.evaluation import CONFUSION, METRICS, evaluate, evaluate_values, frame_of, read, shifted


def run(cfg: dict[str, Any], *, predictions: Path, out: Path, spec: records.Json) -> None:
    """Write `metrics.parquet` and `confusion.parquet` of the fine-tuning block in the folder `predictions`.

    `cfg` is {"evaluate": {"rebalancing": {"name": ..., option: value}, "test_factor": ..., "test_order": ...}}.
    """
    empty = {"metrics.parquet": _saver([], METRICS), "confusion.parquet": _saver([], CONFUSION)}
    with records.job(out, spec, empty) as result:
        records.require_parents([predictions])
        frame, meta = read(predictions / "predictions.parquet")
        result["diverged"] = meta["diverged"]
        section = cfg["evaluate"]
        if section["test_factor"] > 1:
            frame = shifted(frame, meta, section["test_factor"], section["test_order"])
        if "target" in meta:
            metrics, confusion = evaluate_values(frame, meta), frame_of([], CONFUSION)
        else:
            metrics, confusion = evaluate(frame, meta, registry.build("rebalancing", section["rebalancing"]))
        records.write(out / "confusion.parquet", lambda p: confusion.to_parquet(p, index=False))
        records.write(out / "metrics.parquet", lambda p: metrics.to_parquet(p, index=False))


def _saver(rows: list[tuple[Any, ...]], columns: dict[str, str]) -> Callable[[Path], None]:
    return lambda path: frame_of(rows, columns).to_parquet(path, index=False)
