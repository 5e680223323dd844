"""Which case of a study of somebody's own data to take: ranks with ties, thresholds for what is wanted, growth.

Everything is measured on rows that the model at hand did not see: the test rows of each fold. Intervals are those of
the corrected resampled t (`statistics.widened`), because folds share rows. Two classes: the positive one is the rarer.

Legend: N rows, K cuts, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise import registry, tables
from counterpoise import statistics as st
from counterpoise.records import Json

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
MARGIN = 0.01  # of the primary metric, where no claim states one
OWN = ("table", "image_folder")  # data sets of the user's own
COSTS = (1, 5, 20, 100)  # of a positive that is missed, in false alarms
RECALLS = (0.5, 0.8, 0.9, 0.95)
SECOND = ("f1", "macro_f1")  # what decides between cases that rank alike

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
    """F1 of the positive class, or macro F1."""


@dataclass(frozen=True)
class Point:
    """A threshold for something that is wanted, and what comes of it."""

    wanted: str
    threshold: float
    """Probability above which positive is said; chosen on all rows."""
    recall: Interval
    precision: Interval
    alerts: Interval
    """Of 1,000 rows."""
    cost: Interval | None
    """Of 1,000 rows, in false alarms; None where a recall is wanted."""


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
    return getattr(_split(study), "overlap", 0.0)


def ranking(study: Json, table: pd.DataFrame, found: list[tables.Row]) -> list[Standing]:
    """Return the contenders that are measured, the best mean first."""
    from counterpoise.claims import COSTS as LOWER_IS_BETTER

    metric = study["primary"]["metric"]
    sign = -1 if metric in LOWER_IS_BETTER else 1
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
        standings.append(
            Standing(case, interval(held.to_numpy(), overlap), behind, tied, seconds.get(case, np.nan), second[case])
        )
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


def training_seconds(found: list[tables.Row]) -> dict[str, float]:
    """Return seconds of training for one fold of each case that is computed, inner folds included."""
    held: dict[str, list[tuple[float, int]]] = {}
    for entry, stages in found:
        run = stages["finetune"].run
        if run and run["status"] == "done" and run.get("train_seconds") is not None:
            held.setdefault(entry["case"], []).append((run["train_seconds"], len(run["seeds"])))
    return {case: sum(s for s, _ in parts) / sum(n for _, n in parts) for case, parts in held.items()}


def scores(found: list[tables.Row], case: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return, by seed, labels_N and probability_NC of the test rows, as the case corrects them."""
    from counterpoise.stages import evaluate

    held = {}
    for entry, stages in found:
        block = stages["finetune"]
        if entry["case"] != case or block.status != "done" or stages["evaluate"].status != "done":
            continue
        frame, meta = evaluate.read(block.folder / "predictions.parquet")
        method = registry.build("rebalancing", entry["recipe"]["evaluate"]["rebalancing"])
        parts = evaluate.parts_of(frame[frame["selection"] == "last"], len(meta["classes"]))
        for seed, selection, split in parts:
            if (selection, split) == ("last", "test"):
                labels, logits = parts[seed, selection, split]
                rule = evaluate.rule_of(method, parts, meta, seed)
                held[seed] = labels.numpy(), rule(logits).log_prob_BC.exp().numpy()
    return dict(sorted(held.items()))


def repetitions(study: Json, seeds: Iterable[int]) -> dict[int, list[int]]:
    """Return the other seeds whose test rows, together with those of a seed, are all rows once."""
    folds, seeds = getattr(_split(study), "folds", 1), list(seeds)
    return {seed: [s for s in seeds if s != seed and s // folds == seed // folds] for seed in seeds}


def operating_points(study: Json, held: dict[int, tuple[np.ndarray, np.ndarray]], positive: int) -> list[Point]:
    """Return thresholds for each cost and recall.

    What is expected at one is measured on each fold with the threshold that the other folds would have chosen.
    """
    others = repetitions(study, held)
    parts = {seed: (y_N == positive, p_NC[:, positive]) for seed, (y_N, p_NC) in held.items()}
    all_y_N, all_p_N = (np.concatenate([part[i] for part in parts.values()]) for i in range(2))
    points = []
    for wanted, cost, recall in [
        *((f"a missed one costs as much as {cost} false alarm{'s' * (cost > 1)}", cost, None) for cost in COSTS),
        *((f"a recall of {recall:g}", None, recall) for recall in RECALLS),
    ]:
        measured = []
        for seed, part in parts.items():
            chosen_on = [parts[other] for other in others[seed]] or [part]
            y_N, p_N = (np.concatenate([c[i] for c in chosen_on]) for i in range(2))
            measured.append(_at(cut(y_N, p_N, cost, recall), *part, cost or 0))
        columns = [interval(np.array(column), overlap_of(study)) for column in zip(*measured, strict=True)]
        held_cost = None if cost is None else columns[3]
        points.append(Point(wanted, cut(all_y_N, all_p_N, cost, recall), columns[0], columns[1], columns[2], held_cost))
    return points


def cut(is_positive_N: np.ndarray, p_N: np.ndarray, cost: float | None, recall: float | None) -> float:
    """Return the probability above which to say positive, halfway between two rows: cheapest, or with enough recall."""
    order_N = np.argsort(-p_N, kind="stable")
    sorted_N, hits_N = p_N[order_N], np.cumsum(is_positive_N[order_N])
    ends = np.append(np.flatnonzero(sorted_N[1:] < sorted_N[:-1]), len(p_N) - 1)
    said_K, hits_K = np.append(0, ends + 1), np.append(0, hits_N[ends])
    positives = int(is_positive_N.sum())
    if recall is not None:
        at = int(np.argmax(hits_K >= recall * positives))
    else:
        at = int(np.argmin((said_K - hits_K) + (cost or 1) * (positives - hits_K)))
    edges = np.concatenate([[1.0], sorted_N[ends], [0.0]])
    return float((edges[at] + edges[at + 1]) / 2) if at < len(said_K) - 1 else float(np.nextafter(edges[at], -1))


def _at(threshold: float, is_positive_N: np.ndarray, p_N: np.ndarray, cost: float) -> tuple[float, float, float, float]:
    said_N = p_N > threshold
    hits, positives, said, total = (said_N & is_positive_N).sum(), is_positive_N.sum(), said_N.sum(), len(p_N)
    missed = positives - hits
    return (
        hits / positives if positives else np.nan,
        hits / said if said else np.nan,
        1000 * said / total,
        1000 * (said - hits + cost * missed) / total,
    )


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


def _split(study: Json) -> Any:
    return registry.build("splits", study["entries"][0]["recipe"]["split"])
