"""Stage sample: per seed, which rows are training and which are validation, and how to standardise them.

One random priority per row and seed decides everything: the training part is the front of each class, the
validation part its back. So a smaller count is a subset of a larger one, whatever imbalance asked for it, and a
seed's validation part is the same under every imbalance and never meets training. Unlabelled rows follow on those of
training. Test rows are in other files, unless a split (cross-validation, say) takes them from train_x first; then all
of the above happens among the rows that it leaves. An imbalance may set the priority itself, for every seed alike.

Writes `split.parquet` (seed, part "train" | "val" | "unlabelled" | "test", id = row of train_x, label = the label to
learn; of an unlabelled row the true one, for reports only) and
`statistics.json` (seed -> mean, std, class_counts, minority, order, design_counts; left_out where the split goes by a
column, which is then no input). Never imports torch.

Shapes: N rows of train_x, C classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from counterpoise import readers, records
from counterpoise.data.draw import Split, draw, split_column, split_of

SCHEMA = pa.schema([("seed", pa.int32()), ("part", pa.string()), ("id", pa.int64()), ("label", pa.int64())])

_CHUNK = 1 << 22  # values standardised at a time: data may exceed memory


def run(cfg: dict[str, Any], *, data: Path, seeds: list[int], out: Path, spec: dict[str, Any]) -> None:
    """Write the splits and statistics of `seeds` for the arrays in `data`."""
    empty = {
        "split.parquet": lambda path: pq.write_table(SCHEMA.empty_table(), path),
        "statistics.json": lambda path: path.write_text("{}\n"),
    }
    with records.job(out, spec, empty):
        records.require_parents([data])
        x, y_N = (readers.read_array(data / f"{part}.npy", mapped=True) for part in ("train_x", "train_y"))
        meta = readers.read_json(data / "meta.json")
        classes, values_N = len(meta["classes"]), split_column(cfg, meta, x)
        tables: list[pa.Table] = []
        statistics: dict[str, Any] = {}
        for seed in seeds:
            split = draw(cfg, np.asarray(y_N), classes, seed, values_N)
            tables.append(_table(split, seed))
            statistics[str(seed)] = _statistics(split, x, classes)
            if values_N is not None:  # what tells rows apart for the split is no input
                statistics[str(seed)]["left_out"] = getattr(split_of(cfg), "column", None)
        records.write(out / "split.parquet", lambda path: pq.write_table(pa.concat_tables(tables), path))
        records.write_json(out / "statistics.json", statistics)


def moments(x: np.ndarray, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of rows `ids`, per channel (N x C x H x W) or per feature (N x D).

    float64, in the units of `x`; where the rows are constant to the precision of float32 the deviation is 1.
    """
    axes = (0, *range(2, x.ndim))
    rows = max(1, _CHUNK // int(np.prod(x.shape[1:])))
    parts = [ids[start : start + rows] for start in range(0, len(ids), rows)]
    size = len(ids) * int(np.prod(x.shape[2:]))
    mean = sum(x[part].sum(axes, dtype=np.float64) for part in parts) / size
    centre = np.expand_dims(mean, axes)
    std = np.sqrt(sum(np.square(x[part] - centre).sum(axes) for part in parts) / size)
    return mean, np.where(std > np.finfo(np.float32).eps * np.abs(mean), std, 1.0)


def _table(split: Split, seed: int) -> pa.Table:
    parts = {
        "train": (split.train_ids, split.train_labels),
        "val": (split.val_ids, split.val_labels),
        "unlabelled": (split.unlabelled_ids, split.unlabelled_labels),
        "test": (split.test_ids, split.test_labels),
    }
    sizes = [len(ids) for ids, _ in parts.values()]
    return pa.table(
        {
            "seed": np.full(sum(sizes), seed, np.int32),
            "part": np.repeat(list(parts), sizes),
            "id": np.concatenate([ids for ids, _ in parts.values()]),
            "label": np.concatenate([labels for _, labels in parts.values()]),
        },
        schema=SCHEMA,
    )


def _statistics(split: Split, x: np.ndarray, classes: int) -> dict[str, Any]:
    mean, std = moments(x, split.train_ids)
    return {
        "mean": np.nan_to_num(mean).tolist(),  # of a column with missing values nobody uses them
        "std": np.nan_to_num(std, nan=1.0).tolist(),
        "class_counts": np.bincount(split.train_labels, minlength=classes).tolist(),
        # rarer than the average class: the minority of a step imbalance, the lower part of any other
        "minority": np.flatnonzero(split.design_counts < split.design_counts.mean()).tolist(),
        "order": split.order.tolist(),
        "design_counts": split.design_counts.tolist(),
    }
