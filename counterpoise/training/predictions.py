"""What a fine-tuned seed predicts: the rows of `predictions.parquet`, from which every metric can be recomputed.

A row holds a logit of each class. Of a regression it holds the target and the predicted value, in the target's units,
and its label is the bin that the target lies in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from counterpoise import readers, records
from counterpoise.data.inputs import Inputs
from counterpoise.data.samples import Sample

Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (x, ids) -> logits_NC


class Predictions:
    """The rows of `predictions.parquet`: logits of every seed, selection and split."""

    def __init__(self, data: Path) -> None:
        meta = readers.read_json(data / "meta.json") if (data / "meta.json").exists() else {}
        self.classes, self.target = meta.get("classes", []), meta.get("target")
        self.unique: dict[str, list[int]] = {}
        self.design: dict[str, list[int]] = {}
        self.seen: dict[str, list[int]] = {}
        self.heads: dict[str, dict[str, list[float]]] = {}
        self.attacked = False  # whether test images are attacked, even if no seed came so far
        self.parts: list[tuple[int, str, str, np.ndarray, np.ndarray, np.ndarray]] = []

    def begin(self, inputs: Inputs) -> None:
        """Start a seed."""
        self.seed, self.inputs = inputs.seed, inputs
        self.unique[str(inputs.seed)] = [int(n) for n in inputs.counts]
        self.design[str(inputs.seed)] = inputs.statistics["design_counts"]

    def unlabelled(self, rows: Sample) -> Sample | None:
        """Return the unlabelled rows, standardised as the labelled ones; None where there are none."""
        ids, labels = self.inputs.hidden
        return rows.others(self.inputs.pool, ids, labels) if len(ids) else None

    def validation(self, rows: Sample) -> tuple[Tensor, Tensor] | None:
        """Return raw inputs and labels of the validation part, where `rows` go; None where there is none."""
        ids, labels = self.inputs.val
        if not len(ids):
            return None
        return torch.from_numpy(self.inputs.pool[ids]).float().to(rows.device), torch.from_numpy(labels).to(rows.device)

    def describe_head(self, head: torch.nn.Module) -> None:
        """Keep what a post-hoc rescaling of a linear classifier needs: the norms of its rows and its bias."""
        if type(head) is torch.nn.Linear:
            norms, bias = head.weight.detach().double().norm(dim=1), head.bias.detach().double()
            self.heads[str(self.seed)] = {"norm": norms.tolist(), "bias": bias.tolist()}

    def add_last(self, logits: Logits) -> dict[str, Any] | None:
        """Add a network's final predictions; return why the seed counts as diverged, if it does."""
        inputs = self.inputs
        train_logits = logits(inputs.pool, inputs.train[0])
        guessed = at_one_value(train_logits) if inputs.scale else at_chance(train_logits, inputs.train[1])
        if guessed:
            return {"step": None, "epoch": None, "lr": None, "reason": "chance level on the training data"}
        self.add("train", *inputs.train, train_logits)
        if len(inputs.val[0]):
            self.add("val", *inputs.val, logits(inputs.pool, inputs.val[0]))
        self.add("test", *inputs.test, logits(inputs.tests, inputs.test[0]))
        return None

    def add(self, split: str, ids: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> None:
        """Add the final predictions of one part."""
        self._add("last", split, ids, labels, logits)

    def add_constant(self, value: float) -> None:
        """Add, of a regression that came to nothing, one value for every row of every part."""
        for split in ("train", "val", "test"):
            ids, labels = getattr(self.inputs, split)
            self.add(split, ids, labels, np.full((len(ids), 1), value))

    def keep_snapshot(self, inputs: Inputs, step: int, logits: Logits, folder: Path) -> None:
        """Write the test logits of a step to `folder`, so that a resumed run has them."""
        kept = logits(inputs.tests, inputs.test[0])
        records.write_array(self._snapshot(inputs.seed, step, folder), kept)

    def add_snapshot(self, step: int, folder: Path) -> None:
        """Add the test predictions that `keep_snapshot` wrote."""
        kept = readers.read_array(self._snapshot(self.seed, step, folder))
        self._add(f"step-{step:06d}", "test", *self.inputs.test, kept)

    def add_experts(self, outputs: Callable[[np.ndarray, np.ndarray], Tensor], augment: Callable) -> None:
        """Add each expert's test predictions, on the images and on two augmented views of them."""
        ids, labels = self.inputs.test
        x = self.inputs.tests[ids]
        views = [augment(torch.from_numpy(x).float(), view).numpy() for view in (1, 2)]
        for split, seen in zip(("test", "view-1", "view-2"), (x, *views), strict=True):
            out_NEC = outputs(seen, np.arange(len(ids))).numpy()
            for e in range(out_NEC.shape[1]):
                self._add(f"expert-{e}", split, ids, labels, out_NEC[:, e])

    def add_attacked(self, images: np.ndarray, logits: Logits) -> None:
        """Add what a network says of its attacked test images."""
        self.add("attacked", *self.inputs.test, logits(images, np.arange(len(images))))

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
        width = 1 if self.target else len(self.classes)
        logits = np.concatenate([p[5] for p in parts]) if parts else np.empty((0, width), np.float32)
        if self.target:
            targets = [self.inputs.targets(p[2], p[3]) for p in parts]
            columns["target"] = pa.array(np.concatenate(targets) if parts else np.empty(0))
            columns["value"] = pa.array(logits[:, 0].astype(np.float64))
        else:
            columns |= {f"logit_{c}": pa.array(logits[:, c].astype(np.float32)) for c in range(width)}
        meta = {
            "classes": self.classes,
            "class_counts": self.unique,
            "design_counts": self.design,
            "seen_counts": self.seen,
            "heads": self.heads,
            "diverged": diverged,
            **({"attacked": True} if self.attacked else {}),
            **({"target": self.target} if self.target else {}),
        }
        table = pa.table(columns).replace_schema_metadata({"counterpoise": json.dumps(meta, sort_keys=True)})
        pq.write_table(table, path)

    def _snapshot(self, seed: int, step: int, folder: Path) -> Path:
        return folder / f"seed-{seed:02d}-step-{step:06d}.npy"

    def _add(self, selection: str, split: str, ids: np.ndarray, labels: np.ndarray, logits: np.ndarray) -> None:
        self.parts.append((self.seed, selection, split, ids, labels, logits))


def at_chance(logits_NC: np.ndarray, labels_N: np.ndarray) -> bool:
    """Return whether a network is no better than a guess on what it was trained on.

    Two classes may all be called the frequent one and still be told apart: then their ranking must fail as well.
    """
    present = np.unique(labels_N)
    if len(present) < 2 or _balanced_accuracy(logits_NC, labels_N) > 1 / len(present) + 1e-9:
        return False
    if logits_NC.shape[1] > 2 or not np.isfinite(logits_NC).all():
        return True
    from scipy.stats import mannwhitneyu

    margin_N = logits_NC[:, 1] - logits_NC[:, 0]
    pairs = mannwhitneyu(margin_N[labels_N == 1], margin_N[labels_N == 0]).statistic
    return float(pairs) <= 0.5 * (labels_N == 1).sum() * (labels_N == 0).sum()


def at_one_value(values_N1: np.ndarray) -> bool:
    """Return whether a regression says the same of every row, or nothing that is finite."""
    return not np.isfinite(values_N1).all() or (len(values_N1) > 1 and bool((values_N1 == values_N1[0]).all()))


def validate(inputs: Inputs, logits: Logits) -> float | None:
    """Return balanced accuracy on the validation part, for the history; None where there is none, or a target."""
    ids, labels = inputs.val
    return _balanced_accuracy(logits(inputs.pool, ids), labels) if len(ids) and not inputs.scale else None


def _balanced_accuracy(logits_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Return the mean recall of the classes present; logits that are not finite count as wrong."""
    right = (logits_NC.argmax(1) == labels_N) & np.isfinite(logits_NC).all(1)
    total = np.bincount(labels_N)
    return float((np.bincount(labels_N[right], minlength=len(total))[total > 0] / total[total > 0]).mean())
