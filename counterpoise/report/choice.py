"""The panel of a study of somebody's own data: which case to take, what it costs, which threshold, more data or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise.judging import results
from counterpoise.own_data import choice, thresholds
from counterpoise.records import Json
from counterpoise.report import words
from counterpoise.report.figures import Line, Panel
from counterpoise.scoring.names import bounds, difference

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 4  # cases, or classes, in a figure of curves
POINTS = 120  # of a curve
BINS = 10  # of a calibration curve, with as many rows each
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def panel(study: Json, table: pd.DataFrame, found: list[results.Row], draw: Callable[[Panel], Json]) -> Json | None:
    """Return what the template shows; None for a study that is not of somebody's own data, or not computed."""
    if not choice.is_own(study) or not (standings := choice.ranking(study, table, found)):
        return None
    best = standings[0].case
    data = study["entries"][0]["recipe"]["data"]
    classes, counts = data["classes"], data["counts"]
    rarest = min(range(len(counts)), key=lambda c: (counts[c], -c))
    tied = [s for s in standings if s.is_tied]
    held = {case: choice.scores(found, case) for case in _drawn(study, standings)}
    held = {case: by_seed for case, by_seed in held.items() if by_seed}
    is_two = len(classes) == 2
    return {
        "best": standings[0],
        "tied": [s for s in tied if s.case != best],
        "fastest": min(tied, key=lambda s: s.seconds),
        "standings": standings,
        "metric": words.metric(study["primary"]["metric"]),
        "second": words.metric("f1" if is_two else "balanced_accuracy"),
        "margin": choice.margin_of(study),
        "positive": classes[rarest],
        "share": counts[rarest] / sum(counts),
        "curves": _curves(study, held, best, rarest, classes, draw),
        "points": thresholds.operating_points(study, held[best], rarest) if is_two and best in held else [],
        "growth": _growth(study, table, draw),
        "name": study["name"],
        "data": data["path"],
    }


def _drawn(study: Json, standings: list[choice.Standing]) -> list[str]:
    """Return the cases whose curves are shown: the best, the best of each other model, and the best's model alone."""
    model = {e["case"]: e["recipe"]["model"]["name"] for e in study["entries"]}
    cases = [standings[0].case]
    for standing in standings:
        if model[standing.case] not in [model[case] for case in cases]:
            cases.append(standing.case)
    return cases[:SHOWN]


def _curves(
    study: Json, held: dict[str, Any], best: str, rarest: int, classes: list[str], draw: Callable[[Panel], Json]
) -> list[Json]:
    """Return precision-recall, ROC and calibration curves: of cases or, of several classes, of the best's classes.

    Each row is there once: as a fold of the first repetition predicts it.
    """
    if best not in held:
        return []
    if len(classes) == 2:
        shown = {
            words.plain(case): (*_once(study, by_seed, rarest), study["cases"].index(case))
            for case, by_seed in held.items()
        }
    else:
        order = np.argsort(study["entries"][0]["recipe"]["data"]["counts"])[:SHOWN]
        shown = {classes[c]: (*_once(study, held[best], int(c)), i) for i, c in enumerate(order)}
    kinds = (
        ("Precision and recall", "recall", "precision", _precision_recall),
        ("ROC", "false alarms of all negatives", "recall", _roc),
        ("Calibration", "probability said", "share that came true", _calibration),
    )
    drawn = []
    for title, x_label, y_label, curve in kinds:
        lines = [Line(name, style, *curve(y_N, p_N)) for name, (y_N, p_N, style) in shown.items()]
        if is_calibration := curve is _calibration:
            lines.append(Line("as said", len(study["cases"]), (0, 1), (0, 1)))
        drawn.append(draw(Panel(title, x_label, y_label, lines, x_ticks=TICKS, markers=is_calibration)))
    return [{**figure, "styles": [(name, style) for name, (_, _, style) in shown.items()]} for figure in drawn]


def _once(study: Json, by_seed: dict[int, tuple[np.ndarray, np.ndarray]], label: int) -> tuple[np.ndarray, np.ndarray]:
    first = next(iter(by_seed))
    seeds = [first, *thresholds.repetitions(study, by_seed)[first]]
    return (
        np.concatenate([by_seed[s][0] == label for s in seeds]),
        np.concatenate([by_seed[s][1][:, label] for s in seeds]),
    )


def _precision_recall(y_N: np.ndarray, p_N: np.ndarray) -> tuple[list[float], list[float]]:
    from sklearn.metrics import precision_recall_curve

    precision, recall, _ = precision_recall_curve(y_N, p_N)
    return _thinned(recall[::-1], precision[::-1])


def _roc(y_N: np.ndarray, p_N: np.ndarray) -> tuple[list[float], list[float]]:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(y_N, p_N)
    return _thinned(false, true)


def _calibration(y_N: np.ndarray, p_N: np.ndarray) -> tuple[list[float], list[float]]:
    parts = np.array_split(np.argsort(p_N, kind="stable"), min(BINS, len(p_N)))
    return [float(p_N[part].mean()) for part in parts], [float(y_N[part].mean()) for part in parts]


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    """Return about `POINTS` points of a curve, evenly along it."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    at = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)).clip(max=len(x) - 1))
    return x[at].tolist(), y[at].tolist()


def _growth(study: Json, table: pd.DataFrame, draw: Callable[[Panel], Json]) -> Json | None:
    """Return the learning curves, and in words what the last doubling of the rows brought."""
    curves, metric = choice.growth(study, table), study["primary"]["metric"]
    if not curves:
        return None
    limits = bounds(metric)
    lines, told = [], []
    for case, points in curves.items():
        values = [
            choice.within(
                limits, choice.interval(choice.by_seed(table, c, metric).to_numpy(), choice.overlap_of(study))
            )
            for _, c in points
        ]
        mean, low, high = ([v[i] for v in values] for i in range(3))
        rows = [float(n) for n, _ in points]
        lines.append(Line(words.plain(case), study["cases"].index(case), rows, mean, low, high))
        (before, smaller), (after, _) = points[-2:]
        seeds = choice.by_seed(table, case, metric) - choice.by_seed(table, smaller, metric)
        gain = choice.interval(seeds.to_numpy(), choice.overlap_of(study))
        shown, says = choice.within(difference(limits), gain), _says(gain, study)
        told.append({"case": case, "before": before, "after": after, "gain": shown, "says": says})
    ticks = sorted({x for line in lines for x in line.x})
    figure = draw(Panel("", "rows", words.metric(metric), lines, x_scale="log", x_ticks=ticks))
    return {"figure": figure, "styles": [(line.name, line.style) for line in lines], "told": told}


def _says(gain: choice.Interval, study: Json) -> str:
    if gain[1] > 0:
        return "more rows would probably help still"
    if gain[2] < choice.margin_of(study):
        return "more rows like these would change little"
    return "whether more rows would help cannot be told from these"
