"""The synthesis over studies: what every remedy gains over logit adjustment, in each setting, at what cost.

It is computed from `published/*.json` alone, so that anyone can repeat it without computing a study. Only cases that a
study ran beside `logit_adjustment` on the same data and seeds are compared; a case that several studies share counts
once. Intervals are t on seed differences at 95 %; q-values are Benjamini and Hochberg's over all rows.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from counterpoise import numerals, readers, records
from counterpoise.scoring.names import bounds, difference

Json = dict[str, Any]
REFERENCE = "logit_adjustment"
CONTROLS = ("baseline", "again", "oracle", "oracle_encouraging")  # the last is an oracle with another loss
COSTS = ("evaluations", "cpu_seconds")
MARGIN = 0.01
METRIC = "balanced_accuracy"
GAINS = difference(bounds(METRIC))


def rows(published: Path, scale: str) -> list[Json]:
    """Return a row for each setting and remedy, largest gain first, with `outcome` win, tie, loss or open."""
    import numpy as np

    from counterpoise.judging.statistics import limited, t_interval, t_tails, two_sided

    found: dict[tuple[str, tuple[float, ...]], Json] = {}
    for path in sorted(published.glob(f"*.{scale}.json")):
        held = readers.read_json(path)
        values = {(r["point"], r["case"]): r["values"] for r in held.get("table", []) if "values" in r and _counts(r)}
        work = held.get("work", {})
        data = held.get("settings", {}).get("data", "")
        only = re.sub(r" \(.*?\)", "", data)  # a study without a grid has one setting
        for (point, case), gained in values.items():
            against = values.get((point, REFERENCE))
            if against is None or len(against) != len(gained) or len(gained) < 2 or case == REFERENCE:
                continue
            about = {"setting": point or only, "case": case, "study": held["study"], "key": held["key"]}
            difference = np.array(gained) - np.array(against)
            mean, low, high = (float(v) for v in t_interval(difference, 0.05))
            shown = limited(low, high, GAINS)
            row = about | {"n": len(gained), "mean": float(np.mean(gained)), "gain": mean, "interval": shown}
            row |= {"p": float(two_sided(*t_tails(difference))), "outcome": _outcome(mean, low, high)}
            row |= {name: _relative(work, case, name) for name in COSTS}
            found.setdefault((about["setting"], tuple(gained)), row)
    return _with_q(_named(sorted(found.values(), key=lambda r: (r["setting"], -r["gain"]))))


def _relative(work: Json, case: str, name: str) -> float | None:
    """Return what a case costs as a multiple of the reference's cost; None where either is not told."""
    own, reference = (work.get(c, {}).get(name) for c in (case, REFERENCE))
    return own / reference if own is not None and reference else None


def _named(found: list[Json]) -> list[Json]:
    """Add a name to each row: its case, and its key where two studies mean different recipes by it."""
    times = Counter((row["setting"], row["case"]) for row in found)
    twice = {case for (_, case), count in times.items() if count > 1}
    for row in found:
        row["name"] = f"{row['case']} ({row['key']})" if row["case"] in twice else row["case"]
    return found


def _counts(row: Json) -> bool:
    return row["metric"] == METRIC and row["selection"] == "last" and row["split"] == "test"


def _outcome(mean: float, low: float, high: float) -> str:
    """Return what an interval says at the margin."""
    if low > 0 and mean >= MARGIN:
        return "win"
    if high < 0 and mean <= -MARGIN:
        return "loss"
    return "tie" if low > -MARGIN and high < MARGIN else "open"


def _with_q(found: list[Json]) -> list[Json]:
    """Add Benjamini-Hochberg q-values over all rows."""
    order = sorted(range(len(found)), key=lambda i: found[i]["p"], reverse=True)
    least = 1.0
    for place, i in enumerate(order):
        least = min(least, found[i]["p"] * len(found) / (len(found) - place))
        found[i]["q"] = least
    return found


def write(published: Path, scale: str) -> list[Path]:
    """Write `synthesis.<scale>` as JSON, Markdown and SVG into `published/synthesis/`, and return the files."""
    folder, found = published / "synthesis", rows(published, scale)
    texts = {"json": json.dumps({"margin": MARGIN, "reference": REFERENCE, "rows": found}, indent=1) + "\n"}
    texts |= {"md": markdown(found, scale), "svg": plot(found)}
    for suffix, text in texts.items():
        records.write_text(folder / f"{scale}.{suffix}", text)
    return [folder / f"{scale}.{suffix}" for suffix in texts]


def markdown(found: list[Json], scale: str) -> str:
    """Return the synthesis for people."""
    lines = [
        "# Every remedy against logit adjustment",
        "",
        f"Written by `counterpoise synthesise --scale {scale}` from the published studies. Gain: {METRIC} less that of "
        f"post-hoc logit adjustment of cross-entropy on the same seeds, mean and 95 % interval. Win, tie and "
        f"loss by a margin of {MARGIN:g}; open is none of these. q: Benjamini and Hochberg over all rows. Costs, as "
        "multiples of the reference's: forward and backward passes over batches (of each expert, step of an attack and "
        "unlabelled view), and CPU seconds of training as it ran (stacked where the recipe allows). Controls are in "
        "italics: `baseline` (the positive control: it must lose), `again` (as the baseline, drawn anew), `oracle`.",
        "",
        f"![Gain over logit adjustment]({scale}.svg)",
    ]
    for setting in dict.fromkeys(row["setting"] for row in found):
        own = [row for row in found if row["setting"] == setting]
        tally = {o: sum(r["outcome"] == o for r in own if r["case"] not in CONTROLS) for o in _OUTCOMES}
        lines += ["", f"## {setting}", "", ", ".join(f"{k} {n}" for k, n in tally.items()) + ".", ""]
        lines += [
            "| case | accuracy | gain | interval | outcome | q | n | passes | CPU | study |",
            "|---|--:|--:|:-:|---|--:|--:|--:|--:|---|",
        ]
        for row in own:
            name = f"*{row['name']}*" if row["case"] in CONTROLS else row["name"]
            gain, limits = numerals.estimate(row["gain"], row["interval"]).split(" ", 1)
            cells = [name, numerals.number(row["mean"], 4), gain, limits]
            costs = ["–" if row[name] is None else f"{row[name]:.2f}" for name in COSTS]
            q = numerals.p_value(row["q"])
            cells += [row["outcome"], q, str(row["n"]), *costs, f"[{row['study']}](../{row['study']}.{scale}.md)"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_OUTCOMES = ("win", "tie", "loss", "open")


def plot(found: list[Json]) -> str:
    """Return a forest plot as SVG: a panel for each setting below the other, a line for each case, best first."""
    import io

    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    panels: dict[str, list[Json]] = {}
    for row in found:
        panels.setdefault(row["setting"], []).append(row)
    heights = [len(lines) + 3 for lines in panels.values()]
    figure = Figure(figsize=(7.2, 0.7 + 0.17 * sum(heights)), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False, height_ratios=heights or [1])[:, 0]
    colours = {"win": "#009e73", "loss": "#d55e00", "tie": "#0072b2", "open": "#777777"}
    for ax, (setting, lines) in zip(axes, panels.items(), strict=False):
        lines.sort(key=lambda row: row["gain"])
        for y, row in enumerate(lines):
            colour = colours[row["outcome"]]
            ax.plot(row["interval"], [y, y], color=colour, linewidth=1.4)
            ax.plot(row["gain"], y, "s" if row["case"] in CONTROLS else "o", color=colour, markersize=4)
        ax.axvspan(-MARGIN, MARGIN, color="#dddddd", zorder=0, linewidth=0)
        ax.axvline(0, color="#555555", linewidth=0.8)
        ax.set_title(setting, fontsize=9)
        ax.set_xlabel("gain over logit adjustment", fontsize=8)
        ax.set_yticks(range(len(lines)), [row["name"] for row in lines])
        ax.set_ylim(-1, len(lines))
        ax.tick_params(labelsize=7)
    marks = [axes[0].plot([], [], "o", color=colour, markersize=4, label=word)[0] for word, colour in colours.items()]
    figure.legend(handles=marks, loc="outside upper center", ncols=len(marks), fontsize=7, frameon=False)
    held = io.StringIO()
    with rc_context({"svg.hashsalt": "synthesis"}):  # else ids are drawn anew each time
        figure.savefig(held, format="svg", metadata={"Date": None})
    return held.getvalue()
