"""Which case of a study of somebody's own data to take: ranks with ties, scores, and growth with the rows.

Everything is measured on rows that the model at hand did not see: the test rows of each fold. Intervals are those of
the corrected resampled t (`statistics.widened`), because folds share rows. Two classes: the positive one is the rarer.

Legend: N rows, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise import registry
from counterpoise.judging import results
from counterpoise.judging import statistics as st
from counterpoise.records import Json
from counterpoise.scoring import evaluation

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
MARGIN = 0.01  # of the primary metric, where no claim states one
OWN = ("table", "image_folder")  # data sets of the user's own
SECOND = ("f1", "balanced_accuracy")  # what decides between cases that rank alike

Interval = tuple[float, float, float]  # mean, lower and upper limit; NaN for the limits of a single value


@dataclass(frozen=True)
class Standing:
    """How one case did on the primary metric, and by how much the best is better."""

    case: str
    value: Interval
    behind: Interval
    """The best less this one; corrected for the number of cases that the best was chosen from."""
    is_tied: bool
    """Not shown to be worse than the best, or by less than the margin."""
    seconds: float
    """Of training, for one fold."""
    second: float
    """F1 of the positive class, or of several classes balanced accuracy."""


def is_own(study: Json) -> bool:
    """Return whether a study is one of somebody's own data."""
    return all(entry["recipe"]["data"]["name"] in OWN for entry in study["entries"])


def contenders(study: Json) -> list[str]:
    """Return the cases on all the rows that the study takes: the others are points of learning curves."""
    rows = {entry["case"]: entry["recipe"]["rows"] or float("inf") for entry in study["entries"]}
    return [case for case, count in rows.items() if count == max(rows.values())]


def margin_of(study: Json) -> float:
    """Return the smallest difference of the primary metric that counts."""
    metric = study["primary"]["metric"]
    return min(
        (c["margin"] for c in study["claims"] if c.get("metric", metric) == metric and "margin" in c), default=MARGIN
    )


def overlap_of(study: Json) -> float:
    """Return the rows tested on over the rows trained on."""
    return getattr(split_of(study), "overlap", 0.0)


def ranking(study: Json, table: pd.DataFrame, found: list[results.Row]) -> list[Standing]:
    """Return the contenders that are measured, the best mean first."""
    from counterpoise.scoring.names import COSTS, bounds, difference

    metric = study["primary"]["metric"]
    limits = bounds(metric)
    sign = -1 if metric in COSTS else 1
    values = {case: by_seed(table, case, metric) for case in contenders(study)}
    values = {case: held for case, held in values.items() if len(held)}
    if not values:
        return []
    seconds = training_seconds(found)
    second = {case: _second(table, case) for case in values}
    best = max(values, key=lambda case: (round(sign * float(values[case].mean()), 9), second[case]))
    overlap, margin = overlap_of(study), margin_of(study)
    standings = []
    for case, held in values.items():
        seeds = held.index.intersection(values[best].index)
        differences = sign * (values[best][seeds] - held[seeds]).to_numpy()
        behind = (0.0, 0.0, 0.0) if case == best else interval(differences, overlap, ALPHA / max(1, len(values) - 1))
        tied = not behind[1] > 0 or behind[2] < margin
        value, behind = within(limits, interval(held.to_numpy(), overlap)), within(difference(limits), behind)
        standings.append(Standing(case, value, behind, tied, seconds.get(case, np.nan), second[case]))
    return sorted(standings, key=lambda s: (s.case != best, -round(sign * s.value[0], 9), -s.second))


def by_seed(table: pd.DataFrame, case: str, metric: str) -> pd.Series:
    """Return a metric on the test rows of each seed."""
    rows = table[(table["case"] == case) & (table["metric"] == metric) & table["class"].isna()]
    rows = rows[(rows["selection"] == "last") & (rows["split"] == "test")]
    return rows.groupby("seed")["value"].mean()


def interval(values_N: np.ndarray, overlap: float, alpha: float = ALPHA) -> Interval:
    """Return the mean of one value a fold, and its interval."""
    values_N = values_N[~np.isnan(values_N)]
    if not len(values_N):
        return np.nan, np.nan, np.nan
    if len(values_N) < 2:
        return float(values_N[0]), np.nan, np.nan
    mean, low, high = st.t_interval(st.widened(values_N, overlap), alpha)
    return float(mean), float(low), float(high)


def within(limits: tuple[float, float], held: Interval) -> Interval:
    """Return a mean and its interval as it is shown: cut where what is measured ends. Decisions rest on the whole."""
    mean, low, high = held
    return mean, max(low, limits[0]), min(high, limits[1])  # NaN stays


def training_seconds(found: list[results.Row]) -> dict[str, float]:
    """Return seconds of training for one fold of each case that is computed, inner folds included."""
    held: dict[str, list[tuple[float, int]]] = {}
    for entry, stages in found:
        run = stages["finetune"].run
        if run and run["status"] == "done" and run.get("train_seconds") is not None:
            held.setdefault(entry["case"], []).append((run["train_seconds"], len(run["seeds"])))
    return {case: sum(s for s, _ in parts) / sum(n for _, n in parts) for case, parts in held.items()}


def scores(found: list[results.Row], case: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return, by seed, labels_N and probability_NC of the test rows, as the case corrects them."""

    held = {}
    for entry, stages in found:
        block = stages["finetune"]
        if entry["case"] != case or block.status != "done" or stages["evaluate"].status != "done":
            continue
        frame, meta = evaluation.read(block.folder / "predictions.parquet")
        method = registry.build("rebalancing", entry["recipe"]["evaluate"]["rebalancing"])
        parts = evaluation.parts_of(frame[frame["selection"] == "last"], len(meta["classes"]))
        for seed, selection, split in parts:
            if (selection, split) == ("last", "test"):
                labels, logits = parts[seed, selection, split]
                rule = evaluation.rule_of(method, parts, meta, seed)
                held[seed] = labels.numpy(), rule(logits).log_prob_BC.exp().numpy()
    return dict(sorted(held.items()))


def growth(study: Json, table: pd.DataFrame) -> dict[str, list[tuple[int, str]]]:
    """Return, for each case that was also run on fewer rows, the rows and the case of each point, ascending."""
    entries = {entry["case"]: entry["recipe"] for entry in study["entries"]}
    total = sum(next(iter(entries.values()))["data"]["counts"])
    whole, curves = contenders(study), {}
    for case in whole:
        same = [
            (r["rows"] or total, other)
            for other, r in entries.items()
            if {**r, "rows": 0} == {**entries[case], "rows": 0}
        ]
        measured = [
            (min(rows, total), other) for rows, other in same if len(by_seed(table, other, study["primary"]["metric"]))
        ]
        if len(measured) > 1 and case in dict.fromkeys(other for _, other in measured):
            curves[case] = sorted(measured)
    return curves


def _second(table: pd.DataFrame, case: str) -> float:
    found = [by_seed(table, case, metric) for metric in SECOND]
    return next((float(values.mean()) for values in found if len(values)), 0.0)


def split_of(study: Json) -> Any:
    """Return how a study splits its rows."""
    return registry.build("splits", study["entries"][0]["recipe"]["split"])
