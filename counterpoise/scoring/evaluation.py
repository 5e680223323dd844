"""From the predictions of a block of seeds to its metrics and confusion matrices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from counterpoise import readers, records
from counterpoise.errors import ImpossibleCell

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from counterpoise.scoring.evidence import Rule
    from counterpoise.scoring.metrics import Values


Part = tuple[int, str, str]  # seed, selection, split


GAPS = ("accuracy", "balanced_accuracy", "few_recall", "many_recall", "rmse", "balanced_rmse", "few_rmse", "many_rmse")


METRICS = {"seed": "int32", "selection": "str", "split": "str", "metric": "str", "class": "str", "value": "float64"}


CONFUSION = {
    "seed": "int32",
    "selection": "str",
    "split": "str",
    "label": "int64",
    "predicted": "int64",
    "count": "int64",
}


def read(path: Path) -> tuple[pd.DataFrame, records.Json]:
    """Read predictions and what their file says about training (classes, counts, diverged seeds)."""
    return readers.read_table(path).to_pandas(), readers.read_about(path)


def shifted(predictions: pd.DataFrame, meta: records.Json, factor: float, order: str) -> pd.DataFrame:
    """Return the rows without the test examples that a long-tailed test part lacks.

    The classes keep n_max * factor^(-i / (C - 1)) test examples, i = 0 for the class that is the most (forward) or
    the least (backward) frequent in training; which ones depends on the seed alone.
    """
    import numpy as np

    from counterpoise import streams

    keep = np.ones(len(predictions), bool)
    on_test = ~predictions["split"].isin(["train", "val"]).to_numpy()
    for seed, rows in predictions[on_test].groupby("seed", observed=True):
        design = np.array(meta["design_counts"][str(seed)])
        ranked_C = np.argsort(-design if order == "forward" else design, kind="stable")
        test = rows.drop_duplicates("id").sort_values("id")
        labels, ids = test["label"].to_numpy(), test["id"].to_numpy()
        most = np.bincount(labels, minlength=len(design)).min()
        priority = streams.numpy("evaluate", "test_shift", int(str(seed))).permutation(len(ids))
        kept: list[np.ndarray] = []
        for i, label in enumerate(ranked_C):
            count = max(1, int(most * factor ** -(i / max(1, len(design) - 1)) + 1e-9))
            own = np.flatnonzero(labels == label)
            kept.append(ids[own[np.argsort(priority[own])][:count]])
        keep[rows.index[~rows["id"].isin(np.concatenate(kept))]] = False
    return predictions[keep].reset_index(drop=True)


def evaluate(predictions: pd.DataFrame, meta: records.Json, method: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the metrics and the confusions of predictions corrected by a rebalancing `method`.

    A pure function of the content of `predictions.parquet`. Raises ImpossibleCell where a part lacks a class.
    """
    import torch

    from counterpoise.scoring import metrics

    torch.set_num_threads(1)  # the order of sums, so every byte, depends on it
    parts = parts_of(predictions, len(meta["classes"]))
    measured: dict[Part, Values] = {}
    confused: list[tuple[Any, ...]] = []
    for seed in sorted({part[0] for part in parts}):
        design_C = torch.tensor(meta["design_counts"][str(seed)])
        rule = rule_of(method, parts, meta, seed)
        needs_experts = getattr(method, "needs_experts", False)
        for part in (p for p in parts if p[0] == seed and not p[1].startswith("expert")):
            labels_N, logits_NC = parts[part]
            if needs_experts:
                if part[1:] != ("last", "test"):
                    continue
                logits_NC = experts_of(parts, seed, "test")
            scores = rule(logits_NC)
            try:
                measured[part] = metrics.compute(labels_N, scores, design_C)
            except ImpossibleCell as reason:
                raise ImpossibleCell(f"seed {seed}, {part[1]}, {part[2]}: {reason}") from None
            matrix_CC = metrics.confusion(labels_N, scores.decision_BC)
            confused += [(*part, i, j, int(matrix_CC[i, j])) for i, j in matrix_CC.nonzero().tolist()]
    _add_diverged(measured, meta)
    return _finished(measured, set(parts), meta), frame_of(confused, CONFUSION)


def evaluate_values(predictions: pd.DataFrame, meta: records.Json) -> pd.DataFrame:
    """Return the metrics of predicted values; a seed that diverged has predicted the mean, and is scored on that."""
    import torch

    from counterpoise.scoring import metrics

    torch.set_num_threads(1)
    measured: dict[Part, Values] = {}
    for key, rows in predictions.groupby(["seed", "selection", "split"], observed=True):
        seed, selection, split = cast("Part", key)
        target_N, value_N, bin_N = (torch.from_numpy(rows[n].to_numpy(copy=True)) for n in ("target", "value", "label"))
        if not value_N.isfinite().all():
            raise ImpossibleCell(f"seed {seed}, {selection}, {split}: values that are not finite")
        design_C = torch.tensor(meta["design_counts"][str(seed)])
        try:
            measured[int(seed), selection, split] = metrics.compute_values(target_N, value_N, bin_N, design_C)
        except ImpossibleCell as reason:
            raise ImpossibleCell(f"seed {seed}, {selection}, {split}: {reason}") from None
    return _finished(measured, set(measured), meta)


def _finished(measured: dict[Part, Values], parts: set[Part], meta: records.Json) -> pd.DataFrame:
    """Return the table of what was measured, with the best of snapshots and the gaps; `parts` are those predicted."""
    if not parts or any(selection.startswith("step") for _, selection, _ in parts):  # all diverged: flat curves
        _add_best(measured)
    _add_gaps(measured)
    return frame_of(_rows(measured, meta["classes"]), METRICS)


def parts_of(predictions: pd.DataFrame, num_classes: int) -> dict[Part, tuple[Tensor, Tensor]]:
    """Return int64 labels and float64 logits of every seed, selection and split."""
    import torch

    columns = [f"logit_{c}" for c in range(num_classes)]
    parts = {}
    for key, rows in predictions.groupby(["seed", "selection", "split"], observed=True):
        seed, selection, split = cast("Part", key)
        labels = torch.from_numpy(rows["label"].to_numpy(copy=True))
        logits = torch.from_numpy(rows[columns].to_numpy("float64", copy=True))
        if not logits.isfinite().all():
            raise ImpossibleCell(f"seed {seed}, {selection}, {split}: logits that are not finite")
        parts[int(seed), str(selection), str(split)] = labels, logits
    return parts


def rule_of(method: Any, parts: dict[Part, tuple[Tensor, Tensor]], meta: records.Json, seed: int) -> Rule:
    """Fit the method once for each seed, on its last network: snapshots keep no validation logits."""
    import torch

    from counterpoise.scoring.evidence import Evidence

    val_labels, val_logits = parts.get((seed, "last", "val"), (None, None))
    unique, seen = (torch.tensor(meta[key][str(seed)]) for key in ("class_counts", "seen_counts"))
    head = meta.get("heads", {}).get(str(seed))
    norm, bias = (torch.tensor(head[key]).double() for key in ("norm", "bias")) if head else (None, None)
    views = None
    if (seed, "expert-0", "view-1") in parts:
        views = torch.stack([experts_of(parts, seed, f"view-{v}") for v in (1, 2)])
    elif getattr(method, "needs_experts", False):
        raise ImpossibleCell("this correction reads several experts; name an `ensemble` that keeps them, such as sade")
    return method.fit(
        Evidence(
            unique, seen, val_logits, val_labels,
            test_logits_BC=parts[seed, "last", "test"][1],
            head_norm_C=norm, head_bias_C=bias, expert_views_VBEC=views,
        )
    )  # fmt: skip


def experts_of(parts: dict[Part, tuple[Tensor, Tensor]], seed: int, split: str) -> Tensor:
    """Return logits_NEC of all experts."""
    import torch

    count = sum(s == seed and selection.startswith("expert") and at == split for s, selection, at in parts)
    return torch.stack([parts[seed, f"expert-{e}", split][1] for e in range(count)], dim=1)


def _add_diverged(measured: dict[Part, Values], meta: records.Json) -> None:
    """Score diverged seeds at chance, on every split that another seed has."""
    from counterpoise.scoring import metrics

    splits = {split for _, _, split in measured} or {"train", "test"}
    splits |= {"attacked"} if meta.get("attacked") else set()
    for seed in map(int, meta["diverged"]):
        for split in splits:
            measured[seed, "last", split] = metrics.chance(meta["design_counts"][str(seed)])


def _add_best(measured: dict[Part, Values]) -> None:
    """Add the best on the test part of snapshots and last, for each metric by itself, and the last less that best."""
    for seed in {part[0] for part in measured}:
        on_test = [values for part, values in measured.items() if part[0] == seed and part[2] == "test"]
        last = measured[seed, "last", "test"]
        best = {key: _largest([values[key] for values in on_test]) for key in last if _higher_is_better(*key)}
        measured[seed, "best_on_test", "test"] = best
        measured[seed, "last-best", "test"] = {key: _less(last[key], value) for key, value in best.items()}


def _add_gaps(measured: dict[Part, Values]) -> None:
    """Add what the last network loses from the training to the test part."""
    for seed in {part[0] for part in measured}:
        train, test = (measured.get((seed, "last", split)) for split in ("train", "test"))
        if train and test:
            gaps = {(name, None): _less(train[name, None], test[name, None]) for name in GAPS if (name, None) in train}
            measured[seed, "last", "train-test"] = cast("Values", gaps)


def _higher_is_better(metric: str, of_class: int | None) -> bool:
    from counterpoise.scoring.metrics import LOWER_IS_BETTER

    return of_class is None and metric not in LOWER_IS_BETTER


def _largest(values: list[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _less(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def _rows(measured: dict[Part, Values], classes: list[str]) -> list[tuple[Any, ...]]:
    return [
        (*part, metric, None if c is None else classes[c], value)
        for part, values in sorted(measured.items(), key=lambda item: item[0])
        for (metric, c), value in values.items()
    ]


def frame_of(rows: list[tuple[Any, ...]], columns: dict[str, str]) -> pd.DataFrame:
    """Return rows as a table with columns of these types."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
