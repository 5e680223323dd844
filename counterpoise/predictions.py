"""What a fine-tuned seed predicts: the rows of `predictions.parquet`, from which every metric can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from counterpoise import records, train
from counterpoise.train import Sample

Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (x, ids) -> logits_NC


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
