"""What a fine-tuned seed predicts: the rows of `predictions.parquet`, from which every metric can be recomputed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
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
        self.heads: dict[str, dict[str, list[float]]] = {}
        self.parts: list[tuple[int, str, str, np.ndarray, np.ndarray, np.ndarray]] = []

    def begin(self, seed: int, sample: Path, counts: Tensor) -> None:
        """Start a seed: open its validation and unlabelled parts."""
        import pyarrow.parquet as pq

        def part(name: str) -> tuple[np.ndarray, np.ndarray]:
            held = pq.read_table(sample / "split.parquet", filters=[("seed", "=", seed), ("part", "=", name)])
            return held["id"].to_numpy().copy(), held["label"].to_numpy().copy()

        self.seed, self.val, self.hidden = seed, part("val"), part("unlabelled")
        self.unique[str(seed)] = [int(n) for n in counts]
        self.design[str(seed)] = records.read_json(sample / "statistics.json")[str(seed)]["design_counts"]
        self.train_x, self.test_x = (train.open_array(self.data, n) for n in ("train_x", "test_x"))
        self.train_y, self.test_y = (train.open_array(self.data, n) for n in ("train_y", "test_y"))

    def unlabelled(self, rows: Sample) -> Sample | None:
        """Return the unlabelled rows, standardised as the labelled ones; None where there are none."""
        ids, labels = self.hidden
        return Sample(self.train_x, ids, labels, rows.mean, rows.std) if len(ids) else None

    def validation(self) -> tuple[Tensor, Tensor] | None:
        """Return raw inputs and labels of the validation part; None where there is none."""
        ids, labels = self.val
        return (torch.from_numpy(self.train_x[ids]).float(), torch.from_numpy(labels)) if len(ids) else None

    def describe_head(self, head: torch.nn.Module) -> None:
        """Keep what a post-hoc rescaling of a linear classifier needs: the norms of its rows and its bias."""
        if type(head) is torch.nn.Linear:
            norms, bias = head.weight.detach().double().norm(dim=1), head.bias.detach().double()
            self.heads[str(self.seed)] = {"norm": norms.tolist(), "bias": bias.tolist()}

    def validate(self, logits: Logits, val: tuple[np.ndarray, np.ndarray]) -> float | None:
        """Return balanced accuracy on a validation part, for the history; None where there is none."""
        ids, labels = val
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

    def keep_snapshot(self, seed: int, step: int, logits: Logits, folder: Path) -> None:
        """Write the test logits of a step to `folder`, so that a resumed run has them."""
        kept = logits(self.test_x, np.arange(len(self.test_y)))
        records.write_array(self._snapshot(seed, step, folder), kept)

    def add_snapshot(self, step: int, folder: Path) -> None:
        """Add the test predictions that `keep_snapshot` wrote."""
        kept = np.load(self._snapshot(self.seed, step, folder), allow_pickle=False)
        self._add(f"step-{step:06d}", "test", np.arange(len(self.test_y)), self.test_y, kept)

    def add_experts(self, outputs: Callable[[np.ndarray, np.ndarray], Tensor], augment: Callable) -> None:
        """Add each expert's test predictions, on the images and on two augmented views of them."""
        test = np.arange(len(self.test_y))
        views = [augment(torch.from_numpy(self.test_x[test]).float(), view).numpy() for view in (1, 2)]
        for split, x in zip(("test", "view-1", "view-2"), (self.test_x, *views), strict=True):
            out_NEC = outputs(x, test).numpy()
            for e in range(out_NEC.shape[1]):
                self._add(f"expert-{e}", split, test, self.test_y, out_NEC[:, e])

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
            "heads": self.heads,
            "diverged": diverged,
        }
        table = pa.table(columns).replace_schema_metadata({"counterpoise": json.dumps(meta, sort_keys=True)})
        pq.write_table(table, path)

    def _snapshot(self, seed: int, step: int, folder: Path) -> Path:
        return folder / f"seed-{seed:02d}-step-{step:06d}.npy"

    def _add(self, selection: str, split: str, ids: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> None:
        self.parts.append((self.seed, selection, split, ids, labels, logits))


def _balanced_accuracy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the mean recall of the classes present; logits that are not finite count as wrong."""
    right = (logits_NC.argmax(1) == labels_N) & np.isfinite(logits_NC).all(1)
    total = np.bincount(labels_N)
    return float((np.bincount(labels_N[right], minlength=len(total))[total > 0] / total[total > 0]).mean())
