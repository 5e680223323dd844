"""Which figures a study's page has: the metric against the extent of imbalance, data as trained, learning curves."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from counterpoise.records import Json
from counterpoise.report import words
from counterpoise.report.figures import Line, Panel
from counterpoise.report.summaries import Cells

if TYPE_CHECKING:
    import pandas as pd

WIDE = 10  # a factor that spans more than this is drawn on a log axis


def against_extent(summary: Cells, study: Json) -> list[Panel]:
    """Return a panel for each value of the factors other than the extent: one line a case, intervals over seeds."""
    metric, selection = study["primary"]["metric"], study["primary"]["selection"]
    panels = []
    for points in _products(study):
        extent = _extent(points)
        if extent is None:
            continue
        rest: dict[str, list[Json]] = {}
        for point in points:
            others = {k: v for k, v in point["factors"].items() if k != extent}
            rest.setdefault(title(others), []).append(point)
        for name, along in rest.items():
            along = sorted(along, key=lambda p: p["factors"][extent])
            lines = []
            for style, case in enumerate(study["cases"]):
                keys = [(case, p["point"], selection, "test", metric) for p in along]
                held = [
                    (p["factors"][extent], summary[key]) for p, key in zip(along, keys, strict=True) if key in summary
                ]
                if not held:
                    continue
                x, y = [v for v, _ in held], [cell["mean"] for _, cell in held]
                low, high = ([c["mean"] if c[k] is None else c[k] for _, c in held] for k in ("low", "high"))
                lines.append(Line(words.plain(case), style, x, y, low, high))
            ticks = [p["factors"][extent] for p in along]
            panels.append(
                Panel(
                    title=name or "All grid points",
                    x_label=words.plain(extent.rpartition(".")[2]),
                    y_label=words.metric(metric),
                    lines=lines,
                    x_scale="log" if min(ticks) > 0 and max(ticks) / min(ticks) >= WIDE else "linear",
                    y_scale="logit" if study["primary"]["transform"] == "logit" else "linear",
                    x_ticks=ticks,
                )
            )
    return [panel for panel in panels if panel.lines]


def _products(study: Json) -> list[list[Json]]:
    """Return the distinct grid points, those of the same factors together."""
    points = {entry["point"]: entry for entry in study["entries"]}
    groups: dict[tuple[Any, ...], list[Json]] = {}
    for point in points.values():
        groups.setdefault(tuple(point["factors"]), []).append(point)
    return list(groups.values())


def _extent(points: list[Json]) -> str | None:
    """Return the number that varies most over some points, of imbalance where one of these varies."""
    varying = {}
    for name in points[0]["factors"]:
        values = [p["factors"][name] for p in points]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values) and len(set(values)) > 1:
            varying[name] = len(set(values))
    ours = {k: n for k, n in varying.items() if k.startswith("imbalance.")} or varying
    return max(ours, key=lambda k: ours[k], default=None)


def title(factors: Json) -> str:
    """Return some factors in words."""
    parts = []
    for name, value in factors.items():
        short = words.plain(name.rpartition(".")[2])
        if isinstance(value, dict):
            options = ", ".join(f"{words.plain(k)} {v}" for k, v in value.items() if k != "name")
            parts.append(f"{words.plain(str(value.get('name', '')))} {short}" + (f" ({options})" if options else ""))
        else:
            parts.append(f"{words.plain(value)} {short}" if isinstance(value, str) else f"{short} {value:g}")
    return ", ".join(parts)


def as_trained(counts: pd.DataFrame, study: Json, point: str, name: str) -> Panel | None:
    """Return the classes of a point by rank: unique examples as bars, examples seen in batches as lines."""
    rows = counts[counts["point"] == point]
    if rows.empty:
        return None
    mean = rows.groupby(["case", "rank"])[["unique", "seen"]].mean()
    present = [case for case in study["cases"] if case in mean.index]
    rank = [r + 1 for r in mean.loc[present[0]].index]
    bars = Line("unique", 0, rank, list(mean.loc[present[0]]["unique"]))
    lines = [
        Line(words.plain(case), study["cases"].index(case), rank, list(mean.loc[case]["seen"])) for case in present
    ]
    label = "class, most frequent first"
    few = rank if len(rank) <= 20 else ()
    return Panel(name or "All grid points", label, "examples", lines, y_scale="log", x_ticks=few, bars=bars)


def learning(curves: pd.DataFrame, table: pd.DataFrame, study: Json, point: str) -> list[Panel]:
    """Return loss and accuracy on the batches against the step, and the metric on held-out parts where it was kept."""
    rows = curves[curves["point"] == point]
    panels = []
    for column, label, scale in (
        ("loss", "training loss", "log"),
        ("accuracy", "accuracy on training batches", "linear"),
        ("val", "validation balanced accuracy", "linear"),
    ):
        held = rows.dropna(subset=column)
        held = held[held[column] > 0] if scale == "log" else held
        if len(held):
            panels.append(_over_steps(held.rename(columns={column: "value"}), study, label, scale))
    kept = _on_the_way(table, rows, study, point)
    if kept is not None:
        panels.append(_over_steps(kept, study, f"{words.metric(study['primary']['metric'])} on test", "linear"))
    return panels


def _on_the_way(table: pd.DataFrame, curves: pd.DataFrame, study: Json, point: str) -> pd.DataFrame | None:
    """Return the primary metric on test at each snapshot and at the last step, of the cases that keep snapshots."""
    import pandas as pd

    rows = table[(table["point"] == point) & (table["metric"] == study["primary"]["metric"]) & table["class"].isna()]
    rows = rows[rows["split"] == "test"]
    kept = rows[rows["selection"].str.startswith("step-")]
    if kept.empty:
        return None
    last = rows[(rows["selection"] == "last") & rows["case"].isin(kept["case"])]
    end = curves.groupby("case")["step"].max()
    before = curves[curves["phase"] == "pretrain"].groupby("case")["step"].max()
    steps = kept["selection"].str.removeprefix("step-").astype(int)
    kept = kept.assign(step=steps + kept["case"].map(before).fillna(0))  # snapshots count the steps of fine-tuning
    return pd.concat([kept, last.assign(step=last["case"].map(end))])


def _over_steps(rows: pd.DataFrame, study: Json, label: str, scale: str) -> Panel:
    mean = rows.groupby(["case", "step"])["value"].mean()
    lines = [
        Line(words.plain(case), style, list(mean.loc[case].index), list(mean.loc[case]))
        for style, case in enumerate(study["cases"])
        if case in mean.index
    ]
    return Panel("", "step", label, lines, y_scale=scale, markers=label.endswith("on test"))


def levels(claim: Json, raw: Json, summary: Cells, study: Json) -> Panel | None:
    """Return, for a claim of form `depends`, the metric against the level: one line for each extent."""
    factor = next(
        (f for f in study["entries"][0]["factors"] if f == raw["factor"] or f.endswith(f".{raw['factor']}")), ""
    )
    points = [p for points in _products(study) for p in points if factor in p["factors"]]
    extents = sorted({p["factors"][factor] for p in points})
    lines = []
    ordered = sorted(raw["levels"], key=raw["levels"].get)
    for style, extent in enumerate(extents):
        here = [p["point"] for p in points if p["factors"][factor] == extent]
        x, y = [], []
        for case in ordered:
            keys = [(case, p, claim["selection"], claim["split"], claim["metric"]) for p in here]
            if all(key in summary for key in keys):
                x.append(raw["levels"][case])
                y.append(fmean(summary[key]["mean"] for key in keys))
        if x:
            lines.append(Line(f"{words.plain(factor.rpartition('.')[2])} {extent:g}", style, x, y))
    if not lines:
        return None
    ticks = [raw["levels"][case] for case in ordered]
    wide = min(ticks) > 0 and max(ticks) / min(ticks) >= WIDE
    logit = (raw.get("transform") or study["primary"]["transform"]) == "logit"
    return Panel(
        claim["text"],
        "level",
        words.metric(claim["metric"]),
        lines,
        "log" if wide else "linear",
        "logit" if logit else "linear",
        ticks,
    )
