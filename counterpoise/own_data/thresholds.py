"""Thresholds for a given cost of errors or a required recall, and what to expect at them.

Legend: N rows, K cuts, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from counterpoise.own_data.choice import Interval, interval, overlap_of, split_of, within
from counterpoise.records import Json

COSTS = (1, 5, 20, 100)  # of a positive that is missed, in false alarms
RECALLS = (0.5, 0.8, 0.9, 0.95)
MOST = (1.0, 1.0, 1000.0, np.inf)  # that recall, precision, alerts and cost can be


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
        columns = [
            within((0.0, most), interval(np.array(column), overlap_of(study)))
            for column, most in zip(zip(*measured, strict=True), MOST, strict=True)
        ]
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


def repetitions(study: Json, seeds: Iterable[int]) -> dict[int, list[int]]:
    """Return the other seeds whose test rows, together with those of a seed, are all rows once."""
    folds, seeds = getattr(split_of(study), "folds", 1), list(seeds)
    return {seed: [s for s in seeds if s != seed and s // folds == seed // folds] for seed in seeds}
