"""The page of one study: everything that its template shows, from the study's tables and its verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoise.judging import results
from counterpoise.records import Json
from counterpoise.report import choice, figures, page, panels, summaries, words
from counterpoise.report.summaries import Cells

if TYPE_CHECKING:
    import pandas as pd

CONTENTS = (
    ("verdicts", "Verdicts"),
    ("published", "Published and ours"),
    ("results", "Results"),
    ("extent", "Against imbalance"),
    ("classes", "Classes as trained"),
    ("learning", "Learning curves"),
    ("confusion", "Confusion"),
    ("cost", "Cost"),
    ("gaps", "Gaps and failures"),
    ("cases", "Cases"),
    ("provenance", "Provenance"),
)
BINS = 12  # rows of a confusion matrix; more classes are put together by rank


def render(study: Json, document: Json, found: list[results.Row], table: pd.DataFrame) -> str:
    """Return the page; `document` is what `claims.json` holds, `table` the tidy measurements."""
    summary, counts, curves = summaries.means(table), results.class_counts(found, study), results.curves(found, study)
    points = list(dict.fromkeys(entry["point"] for entry in study["entries"]))
    titles = {entry["point"]: panels.title(entry["factors"]) for entry in study["entries"]}
    hardest = _by_hardness(counts, points)
    draw = _Pen()
    chosen = choice.panel(study, table, found, draw)
    optional = {
        "published": _published(study, document, table),
        "extent": [draw(panel) for panel in panels.against_extent(summary, study)],
        "learning": _learning(study, curves, table, hardest, titles, draw),
    }
    # What a paper is compared by is no part of the page of one's own data, unless there is some of it.
    left_out = {name for name, held in optional.items() if chosen and not held}
    contents = [(anchor, title) for anchor, title in CONTENTS if anchor not in left_out]
    return page.render(
        "study.html.j2",
        study=study,
        document=document,
        provenance=document["provenance"],
        contents=[("choice", "What to take"), *contents] if chosen else contents,
        left_out=left_out,
        choice=chosen,
        cases=[words.plain(case) for case in study["cases"]],
        titles=titles,
        outcome=page.outcome(document["claims"]),
        primary=words.metric(study["primary"]["metric"]),
        logit=study["primary"]["transform"] == "logit",
        baseline=_training_accuracy(study, summary, summaries.over_points(table)),
        **optional,
        results=_results(study, table, summary, titles) if len(summary) else None,
        more_results=_more(study, summary),
        levels=_levels(study, document, summary, draw),
        classes=_classes(study, counts, hardest, titles, draw) if len(counts) else None,
        final=_end_of_training(study, curves),
        has_target=words.main(study["primary"]["metric"]) is words.MAIN_OF_TARGETS,
        matrices=_matrices(study, found, counts, hardest, titles) if len(counts) else None,
        costs=_costs(study, results.work(found)),
        gaps=document["gaps"],
        diverged=document["diverged"],
        diverged_cases=_by_case(document["diverged"]),
        done=sum(stages["evaluate"].status == "done" for _, stages in found),
        total=len(found),
        recipes=_recipes(study),
        symbols=[draw.mark(figures.symbol(i)) for i in range(max(len(study["cases"]), draw.lines))],
    )


class _Pen:
    """Draws panels under names that are unique on the page, and remembers how many styles were needed."""

    def __init__(self) -> None:
        self.count, self.lines = 0, 0

    def __call__(self, panel: figures.Panel) -> Json:
        self.count += 1
        self.lines = max([self.lines, *(line.style + 1 for line in panel.lines)])
        names = [line.name for line in panel.lines]
        svg = self.mark(figures.draw(panel, f"f{self.count}"))
        return {"title": panel.title, "label": panel.y_label, "lines": names, "svg": svg}

    @staticmethod
    def mark(svg: str) -> Any:
        """Return an SVG as what it is; its own texts were escaped when it was drawn."""
        from markupsafe import Markup

        return Markup(svg)


def _by_hardness(counts: pd.DataFrame, points: list[str]) -> list[str]:
    """Return the grid points, the most imbalanced first, then the others in turn from the mildest."""
    if counts.empty:
        return points
    design = counts.groupby("point")["design"]
    order = sorted(points, key=lambda p: -(design.max().get(p, 0) / max(design.min().get(p, 1), 1)))
    return order if len(order) < 3 else [order[0], order[-1], *order[1:-1]]


def _by_case(diverged: list[Json]) -> dict[str, Json]:
    """Return diverged trainings of all trainings at the grid points where a case diverged."""
    found: dict[str, Json] = {}
    for entry in diverged:
        held = found.setdefault(entry["case"], {"k": 0, "n": 0, "points": 0})
        held |= {"k": held["k"] + entry["k"], "n": held["n"] + entry["n"], "points": held["points"] + 1}
    return found


def _training_accuracy(study: Json, summary: Cells, overall: Cells) -> Json | None:
    gate = study["gate"] or {}
    named = gate.get("baseline") or ("baseline" if "baseline" in study["cases"] else study["cases"][0])
    at = {e["point"]: summary.get((named, e["point"], "last", "train", "accuracy")) for e in study["entries"]}
    there = {point: cell for point, cell in at.items() if cell}
    if not there:
        return None
    lowest = min(there, key=lambda point: there[point]["mean"])
    whole = overall.get((named, "last", "train", "accuracy"))
    return {"case": named, "overall": whole, "point": lowest, "lowest": there[lowest]}


def _published(study: Json, document: Json, table: pd.DataFrame) -> list[Json]:
    """Return each published value beside ours, with what the claims that cite it found."""
    found = []
    for reference in summaries.published(table, study):
        said = [
            agreement["outcome"] + (f": {agreement['why']}" if agreement.get("why") else "")
            for claim in document["claims"]
            for agreement in claim["agreement"]
            if reference["case"] in agreement["cases"] and agreement["at"] == reference.get("at", {})
        ]
        comparison = "; ".join(dict.fromkeys(said)) or "side by side only: no claim cites it"
        if not reference["comparable"]:
            comparison = "not comparable at this scale"
        what = [reference.get("stat", "mean"), f"n = {reference.get('n', 1)}"]
        what += [f"sd {reference['sd']:g}"] if reference.get("sd") is not None else []
        what += [f"read off, ±{reference['read_off_error']:g}"] if reference.get("read_off_error") else []
        what += [str(reference["where"])] if reference.get("where") else []
        found.append({**reference, "comparison": comparison, "what": ", ".join(what).replace("_", " ")})
    return found


def _results(study: Json, table: pd.DataFrame, summary: Cells, titles: dict[str, str]) -> Json:
    """Return the result table: for each grid point, and over all of them, a row for each case."""
    from counterpoise.scoring.names import COSTS

    primary, selection = study["primary"]["metric"], study["primary"]["selection"]
    columns = [(selection, "test", primary)]
    columns += [("last", "test", m) for m in words.main(primary) if ("last", "test", m) not in columns]
    columns.append(("last", "train", words.on_training(primary)))
    overall, groups = summaries.over_points(table), []
    measured_points = table["point"].nunique()
    over = "Over all grid points"
    if measured_points < len(titles):
        over = f"Over the {measured_points} of {len(titles)} grid points that were measured"
    for point in [None, *titles] if len(titles) > 1 else list(titles):
        rows: list[Json] = []
        for style, case in enumerate(study["cases"]):
            key = (case,) if point is None else (case, point)
            cells = [(overall if point is None else summary).get((*key, *column)) for column in columns]
            n = max((cell["n"] for cell in cells if cell), default=0)
            rows.append({"case": case, "point": point, "style": style, "n": n, "cells": cells, "best": False})
        measured = [row for row in rows if row["cells"][0]]
        if len(measured) > 1:
            sign = -1 if primary in COSTS else 1
            max(measured, key=lambda row: sign * row["cells"][0]["mean"])["best"] = True
        groups.append({"title": over if point is None else titles[point], "rows": rows})
    return {"columns": [_column(*column, primary=selection) for column in columns], "groups": groups}


def _column(selection: str, split: str, metric: str, primary: str = "last") -> str:
    name = words.metric(metric) if split == "test" else f"{words.SPLITS[split]} {words.metric(metric)}"
    name = name[:1].upper() + name[1:]
    return name if selection == "last" else f"{name}, {words.SELECTIONS[selection]}"


def _more(study: Json, summary: Cells) -> list[Json]:
    """Return the tables behind the main one: every metric on test, and the other parts and selections."""
    there = list(dict.fromkeys(key[2:] for key in summary))
    test = [("last", "test", metric) for metric in words.METRICS if ("last", "test", metric) in there]
    primary = study["primary"]["metric"]
    few = {primary, words.on_training(primary), *words.main(primary)[:2]}
    other = [
        (selection, split, metric)
        for selection, split, metric in there
        if (selection, split) != ("last", "test") and (metric in few or split == "train-test")
    ]
    pairs = list(dict.fromkeys((entry["case"], entry["point"]) for entry in study["entries"]))
    listed = []
    for title, columns in (("All metrics on the test part", test), ("Other parts and selections", other)):
        rows = [
            {"case": case, "point": point, "cells": [summary.get((case, point, *c)) for c in columns]}
            for case, point in pairs
        ]
        rows = [row for row in rows if any(row["cells"])]
        caption = "Mean over seeds with a 95 % t interval."
        listed.append({"title": title, "caption": caption, "columns": [_column(*c) for c in columns], "rows": rows})
    return [more for more in listed if more["rows"]]


def _levels(study: Json, document: Json, summary: Cells, draw: _Pen) -> list[Json]:
    pairs = zip(document["claims"], study["claims"], strict=True)
    drawn = [panels.levels(claim, raw, summary, study) for claim, raw in pairs if claim["form"] == "depends"]
    return [draw(panel) for panel in drawn if panel]


def _classes(study: Json, counts: pd.DataFrame, points: list[str], titles: dict[str, str], draw: _Pen) -> Json:
    drawn = []
    for point in points:
        if panel := panels.as_trained(counts, study, point, titles[point]):
            drawn.append(draw(panel))
    mean = counts.groupby(["case", "point", "rank"], sort=False)[["unique", "seen"]].mean()
    rows = [
        {"case": case, "point": point, "kind": kind, "values": list(part[kind])}
        for (case, point), part in mean.groupby(["case", "point"], sort=False)
        for kind in ("unique", "seen")
    ]
    bars = next(case for case in study["cases"] if case in set(counts["case"]))
    ranks = range(1, int(counts["rank"].max()) + 2)
    return {"figures": drawn, "rows": rows, "ranks": ranks, "bars": bars}


def _learning(
    study: Json,
    curves: pd.DataFrame,
    table: pd.DataFrame,
    points: list[str],
    titles: dict[str, str],
    draw: _Pen,
) -> list[Json]:
    found = []
    for point in points:
        drawn = [draw(panel) for panel in panels.learning(curves, table, study, point)]
        if drawn:
            found.append({"title": titles[point], "figures": drawn})
    return found


def _end_of_training(study: Json, curves: pd.DataFrame) -> list[Json]:
    last = curves.sort_values("step").groupby(["case", "point", "seed"], sort=False).last()
    rows = last.groupby(["case", "point"])[["step", "loss", "accuracy"]].mean()
    n = last.groupby(["case", "point"]).size()
    keys = dict.fromkeys((e["case"], e["point"]) for e in study["entries"])
    return [
        {
            "case": key[0],
            "point": key[1],
            "n": int(n[key]),
            **{k: None if v != v else float(v) for k, v in rows.loc[key].items()},
        }
        for key in keys
        if key in rows.index
    ]


def _matrices(
    study: Json, found: list[results.Row], counts: pd.DataFrame, hardest: list[str], titles: dict[str, str]
) -> Json | None:
    """Return the confusions of every case at the most imbalanced point that has any."""
    import numpy as np

    for point in hardest:
        rows = counts[counts["point"] == point]
        held = {case: results.confusion(found, study, point, case) for case in study["cases"]}
        there = {case: matrix for case, matrix in held.items() if matrix is not None}
        if not there:
            continue
        labels = rows.groupby("rank")["label"].unique()
        drawn = any(len(names) > 1 for names in labels)
        names = [str(r + 1) if drawn else str(labels[r][0]) for r in labels.index]
        bins = np.array_split(np.arange(len(names)), min(BINS, len(names)))
        cases = []
        for case, matrix_CC in there.items():
            rows_of = np.stack([matrix_CC[part].mean(0) for part in bins])
            shares = np.stack([rows_of[:, part].sum(1) for part in bins], axis=1)
            n = rows.loc[rows["case"] == case, "seed"].nunique()
            cases.append({"case": case, "rows": shares.tolist(), "n": n})
        order = (
            "Classes by rank, 1 the most frequent in training: the head is above and left, the tail below and right."
        )
        if not drawn:
            order = "Classes from the most to the least frequent in training."
        if len(bins) < len(names):
            names = [f"{part[0] + 1}–{part[-1] + 1}" for part in bins]
        return {"title": titles[point], "names": names, "cases": cases, "order": order}
    return None


def _costs(study: Json, work: pd.DataFrame) -> list[Json]:
    found = []
    for style, case in enumerate(study["cases"]):
        rows = work[work["case"] == case]
        if rows.empty:
            continue
        values = [
            {"mean": float(rows[k].mean()), "low": float(rows[k].min()), "high": float(rows[k].max()), "digits": d}
            for k, d in (("steps", 0), ("epochs", 1), ("images", 0), ("seconds", 2), ("memory_mb", 0))
        ]
        found.append({"case": case, "style": style, "values": values, "n": int(rows["seeds"].sum())})
    return found


def _recipes(study: Json) -> Json:
    """Return what each case changes at the first grid point, and what is common to all of them."""
    first = study["entries"][0]["point"]
    flat = {e["case"]: _flat(e["recipe"]) for e in study["entries"] if e["point"] == first}
    keys = list(dict.fromkeys(key for recipe in flat.values() for key in recipe))
    absent = object()
    shared = [k for k in keys if len({repr(recipe.get(k, absent)) for recipe in flat.values()}) == 1]
    usual = next(iter(flat.values()))
    cases = [
        {"case": case, "settings": {k: v for k, v in recipe.items() if k not in shared and v != usual.get(k, absent)}}
        for case, recipe in flat.items()
    ]
    cases[0]["settings"] = {}
    own = {k: usual[k] for k in keys if k not in shared and k in usual}
    return {"cases": cases, "common": {k: usual[k] for k in shared if usual[k] is not None} | own}


def _flat(recipe: Json, prefix: str = "") -> dict[str, Any]:
    """Return a recipe with dotted keys; a method's name stands at the method's own key."""
    found: dict[str, Any] = {}
    for key, value in recipe.items():
        name = prefix.removesuffix(".") if key == "name" else f"{prefix}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return found
