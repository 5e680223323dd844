"""`python -m benchmarks.page`: write docs/benchmarks.md from benchmarks/results/*.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.harness import RESULTS, Json
from benchmarks.sides import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Written from `benchmarks/results/*.json` by `python -m benchmarks.page`; do not edit. `make bench` measures again, and
[benchmarks/README.md](../benchmarks/README.md) says how.

Both sides of a ratio were measured in one run, in turns; figures are medians over rounds, with the quartiles in
brackets. Ratios are of CPU time (of wall time in the next column) and say how many times our cost a peer's is; "of"
marks those that say how many times a peer's cost ours is. Memory is the rise of the peak during a call, or the peak of
a whole process where a command was timed.
"""


def text(results: Path = RESULTS) -> str:
    """Return the page."""
    parts = [HEAD]
    for path in sorted(results.glob("*.json")):
        parts.append(section(json.loads(path.read_text(encoding="utf-8")), path.stem))
    return "\n".join(parts)


def section(report: Json, name: str) -> str:
    """Return the part of one benchmark."""
    machine, versions = report["machine"], report["versions"]
    where = (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {report['threads']} thread"
        f"{'s' if report['threads'] != 1 else ''}, load {machine['load']} when written; "
        + ", ".join(f"{package} {version}" for package, version in versions.items())
        + f"; commit {report['commit'][:10]}{' with changes' if report['dirty'] else ''}, {report['date']}."
    )
    compared = [row for row in report["rows"] if "sides" in row]
    figures = [row for row in report["rows"] if "value" in row]
    lines = [f"## {report['title']}", "", f"`python -m benchmarks.{name.partition('.')[0]}`. {report['about']}", ""]
    if compared:
        lines += ["| What | Side | CPU seconds | Wall | Rate per CPU second | Memory | Ratio, CPU | Wall | Target |",
                  "|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
        for row in compared:
            lines += [_side(row, side, first=i == 0) for i, side in enumerate(row["sides"])]
        lines.append("")
    if figures:
        lines += ["| Figure | Value | Target |", "|---|---|---|"]
        for row in figures:
            shown = "not measured" if row["value"] is None else f"{row['value']:.3g} {row['unit']}".strip()
            lines.append(f"| {row['name']} | {shown} | {_target(row)} |")
        lines.append("")
    notes = [f"- {row['name']}: {row['note']}" for row in report["rows"] if row["note"]]
    plot = ["![Seconds and memory against size](growth.svg)", ""] if name == "growth" else []
    return "\n".join([*lines, *notes, *([""] if notes else []), *plot, where, ""])


def _side(row: Json, side: str, *, first: bool) -> str:
    figures, ratio = row["sides"][side], row["ratios"].get(side)
    cpu, wall = (_spread(figures[key]) for key in ("cpu", "wall"))
    rate = f"{row['work'][0] / figures['cpu'][1]:.3g} {row['work'][1]}" if "work" in row else ""
    peak = "" if figures["peak"] is None else f"{figures['peak'] / 2**20:.0f} MiB"
    of = "of " if row["cost"] else ""
    ratios = [f"{of}{_spread(ratio[key])}" for key in ("cpu", "wall")] if ratio else ["", ""]
    cells = [row["name"] if first else "", side, cpu, wall, rate, peak, *ratios, _target(row) if first else ""]
    return f"| {' | '.join(cells)} |"


def _spread(numbers: list[float]) -> str:
    low, middle, high = (f"{number:.3g}" for number in numbers)
    return middle if low == high else f"{middle} [{low}, {high}]"


def _target(row: Json) -> str:
    if "target" not in row:
        return ""
    aim = row["target"]
    unit, suffix = (2**20, " MiB") if aim["figure"] == "peak" else (1, "")
    bounds = [
        f"{word} {aim[key] / unit:.3g}{suffix}" for key, word in (("at_least", "≥"), ("at_most", "≤")) if key in aim
    ]
    state = "not measured" if row["met"] is None else "met" if row["met"] else "**missed**"
    against = f" over {aim['against']}" if "against" in aim else ""
    return f"{aim['figure'].replace('_', ' ')}{against} {' and '.join(bounds)}: {state}"


def plots(report: Json) -> Any:
    """Return the figure of the growth benchmark: one panel for each curve, both axes logarithmic."""
    from matplotlib.figure import Figure

    curves: dict[str, list[tuple[float, float, int | None]]] = {}
    for row in report["rows"]:
        if "sides" in row:
            ours = row["sides"]["ours"]
            curves.setdefault(row["name"].rpartition(":")[0], []).append((row["work"][0], ours["cpu"][1], ours["peak"]))
    figure = Figure(figsize=(12, 2.8 * -(-len(curves) // 4)), layout="constrained")
    for number, (name, points) in enumerate(curves.items(), start=1):
        panel = figure.add_subplot(-(-len(curves) // 4), 4, number, title=name, xscale="log", yscale="log")
        sizes, seconds, peaks = zip(*points, strict=True)
        panel.plot(sizes, seconds, "o-", label="CPU seconds")
        panel.plot(sizes, [(peak or float("nan")) / 2**30 for peak in peaks], "s--", label="memory, GiB")
        panel.plot(sizes, [seconds[-1] * size / sizes[-1] for size in sizes], ":", color="grey", label="linear")
    figure.axes[0].legend(fontsize="small")
    return figure


if __name__ == "__main__":
    if (RESULTS / "growth.json").exists():
        grown = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))
        from matplotlib import rc_context

        with rc_context({"svg.hashsalt": "counterpoise"}):  # else ids are drawn anew each time
            plots(grown).savefig(PAGE.with_name("growth.svg"), metadata={"Date": None})
    PAGE.write_text(text(), encoding="utf-8")
    print(PAGE.relative_to(ROOT))
