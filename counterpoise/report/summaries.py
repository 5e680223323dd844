"""Means over seeds with Student's interval, n at each: the numbers of a page's tables and figures.

An interval ends where its metric does. The unit is the seed. A row "over all points" averages a seed's grid points
first, over seeds that are complete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoise.records import Json

if TYPE_CHECKING:
    import pandas as pd

ALPHA = 0.05
Cells = dict[tuple[str, ...], Json]
KEYS = ["case", "point", "selection", "split", "metric"]


def means(table: pd.DataFrame) -> Cells:
    """Return {mean, sd, low, high, n} over seeds by (case, point, selection, split, metric).

    Metrics of single classes are left out. One seed has no interval: sd, low and high are None.
    """
    whole = table[table["class"].isna() & ~table["selection"].str.startswith("step-")]
    return _with_interval(whole.groupby(KEYS, sort=False)["value"].agg(["mean", "std", "count"]))


def over_points(table: pd.DataFrame) -> Cells:
    """Return the same over seeds' means over the measured grid points, by (case, selection, split, metric)."""
    points = table["point"].nunique()
    whole = table[table["class"].isna() & ~table["selection"].str.startswith("step-")]
    keys = [k for k in KEYS if k != "point"]
    seeds = whole.groupby([*keys, "seed"], sort=False)["value"].agg(["mean", "count"])
    complete = seeds[seeds["count"] == points]
    return _with_interval(complete.groupby(keys, sort=False)["mean"].agg(["mean", "std", "count"]))


def _with_interval(grouped: pd.DataFrame) -> Cells:
    import numpy as np
    from scipy.special import stdtrit

    from counterpoise.scoring.names import bounds

    of = np.array([bounds(metric, selection, split) for *_, selection, split, metric in grouped.index]).reshape(-1, 2)
    mean, sd, n = (grouped[k].to_numpy(float) for k in ("mean", "std", "count"))
    half = stdtrit((n - 1).clip(min=1), 1 - ALPHA / 2) * sd / n**0.5
    numbers = {
        "mean": mean,
        "sd": sd,
        "low": np.maximum(mean - half, of[:, 0]),
        "high": np.minimum(mean + half, of[:, 1]),
    }
    rows = zip(grouped.index, n, *numbers.values(), strict=True)
    return {key: {k: _number(v) for k, v in zip(numbers, v, strict=True)} | {"n": int(n)} for key, n, *v in rows}


def gate(table: pd.DataFrame, study: Json) -> Json | None:
    """Return what the gate measured: head and tail recall of the baseline, and what the oracle gains on it."""
    if not study["gate"] or not {study["gate"]["oracle"], study["gate"]["baseline"]} <= set(study["cases"]):
        return None
    oracle, baseline = study["gate"]["oracle"], study["gate"]["baseline"]
    metric = "balanced_accuracy"
    rows = table[table["class"].isna() & (table["selection"] == "last") & (table["split"] == "test")]
    found = rows.pivot_table(index=["seed", "point"], columns=["case", "metric"], values="value")

    def mean(case: str, metric: str) -> Any:
        return found.get((case, metric))

    gain = None
    if mean(oracle, metric) is not None and mean(baseline, metric) is not None:
        gain = _number((mean(oracle, metric) - mean(baseline, metric)).mean())
    return {
        "oracle": oracle,
        "baseline": baseline,
        "metric": metric,
        "head_recall": _number_of(mean(baseline, "many_recall")),
        "tail_recall": _number_of(mean(baseline, "few_recall")),
        "headroom": gain,
    }


def _number_of(values: Any) -> float | None:
    return None if values is None else _number(values.mean())


def _number(value: Any) -> float | None:
    return None if value != value else float(value)


def published(table: pd.DataFrame, study: Json) -> list[Json]:
    """Return each published value with ours at the same place, and why the two compare or do not."""
    from counterpoise.judging.results import factors

    found = []
    for reference in study["reference"]:
        best = reference.get("stat") == "best_on_test"
        metric = study["primary"]["metric"]
        rows = table[(table["case"] == reference["case"]) & (table["metric"] == metric) & table["class"].isna()]
        rows = rows[(rows["split"] == "test") & (rows["selection"] == ("best_on_test" if best else "last"))]
        for name, value in reference.get("at", {}).items():
            full = next((f for f in factors(study) if f == name or f.endswith(f".{name}")), None)
            rows = rows[rows[full] == value] if full else rows.iloc[:0]
        own = rows.groupby(["case", "selection", "split", "metric", "seed"])["value"].mean()
        held = _with_interval(own.groupby(level=[0, 1, 2, 3]).agg(["mean", "std", "count"]))
        ours = next(iter(held.values()), None)
        same = reference.get("scale", "full") == study["scale"]
        found.append({**reference, "metric": metric, "ours": ours, "comparable": same})
    return found
