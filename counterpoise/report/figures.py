"""Figures as SVG for a page: text stays text, colours are the page's own variables, so that dark mode has them too.

Colours are those of Okabe and Ito (2008) without the yellow, which cannot be seen on white. A case keeps its colour,
marker and line style in every figure of a page, so that nobody needs the colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import log
from typing import TYPE_CHECKING, Any

from counterpoise.numerals import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = 7  # --c0 to --c6 of style.css
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h", "<", "*", ">")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.3)), (0, (5, 1.5, 1.2, 1.5)))
INK, RULE, SOFT = "#5eff00", "#5eff01", "#5eff02"  # stand for --ink, --rule and --soft
LOGIT_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
NEAREST = 1e-4  # to 0 and 1 on a logit axis


@dataclass(frozen=True)
class Line:
    """One line: points, and their intervals where they have them."""

    name: str
    style: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """One small figure; scales are linear, log or (for y) logit. Without a title the y label is its caption."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    x_scale: str = "linear"
    y_scale: str = "linear"
    x_ticks: Sequence[float] = ()
    bars: Line | None = None
    markers: bool = True


def draw(panel: Panel, name: str) -> str:
    """Return the panel as an inline SVG; `name` keeps its ids apart from those of other figures."""
    figure = _figure(3.5, 2.6)
    figure.subplots_adjust(left=0.13, right=0.985, bottom=0.165, top=0.915 if panel.title else 0.97)
    axes = figure.add_subplot()
    if panel.bars:
        axes.bar(panel.bars.x, panel.bars.y, width=0.82, color=RULE, label=panel.bars.name, zorder=1)
    for i, line in enumerate(panel.lines):
        _add(axes, line, panel, i)
    _style(axes, panel)
    words = f"{panel.y_label} against {panel.x_label}" + (f", {panel.title}" if panel.title else "")
    return _svg(figure, name, words, "; ".join(_told(line) for line in panel.lines))


def symbol(style: int) -> str:
    """Return the key of a style, to be shown by `<use href="#key...">` in every legend of the page."""
    from matplotlib.lines import Line2D

    figure = _figure(0.42, 0.16)
    figure.add_artist(Line2D([0.04, 0.5, 0.96], [0.5, 0.5, 0.5], markevery=[1], **_look(style)))
    svg = _svg(figure, f"key{style}", "", "").replace(' role="img"', f' id="key{style}"', 1)
    return svg.replace("<svg", "<symbol").replace("</svg>", "</symbol>")


@cache
def _canvas() -> Any:
    """Set matplotlib up once; imported here because it takes half a second."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "counterpoise", "font.size": 8.5})
    return FigureCanvasSVG


def _figure(width: float, height: float) -> Figure:
    _canvas()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="none")


def _look(style: int) -> dict[str, Any]:
    return {
        "color": f"#5e0e{style % COLOURS:02x}",
        "marker": MARKERS[style % len(MARKERS)],
        "linestyle": DASHES[style // COLOURS % len(DASHES)],
        "linewidth": 1.3,
        "markersize": 4.4,
        "markeredgewidth": 0,
    }


def _add(axes: Axes, line: Line, panel: Panel, number: int) -> None:
    """Draw a line; lines with intervals stand a little beside each other, so that these do not overlap."""
    look = _look(line.style) | ({} if panel.markers else {"marker": ""})
    x, y = list(line.x), _on_scale(line.y, panel)
    if line.low:
        shift = (number - (len(panel.lines) - 1) / 2) * 0.012
        span = max(panel.x_ticks, default=1) - min(panel.x_ticks, default=0)
        ratio = max(panel.x_ticks, default=1) / max(min(panel.x_ticks, default=1), 1e-9)
        x = [v * ratio**shift for v in x] if panel.x_scale == "log" else [v + span * shift for v in x]
        low, high = _on_scale(line.low, panel), _on_scale(line.high, panel)
        axes.vlines(x, low, high, color=look["color"], linewidth=0.9, alpha=0.7)
    axes.plot(x, y, **look)


def _on_scale(values: Sequence[float], panel: Panel) -> list[float]:
    if panel.y_scale != "logit":
        return list(values)
    return [_logit(v) for v in values]


def _logit(value: float) -> float:
    held = min(max(value, NEAREST), 1 - NEAREST)
    return log(held / (1 - held))


def _style(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SOFT)
    axes.tick_params(color=SOFT, labelcolor=INK, length=3, width=0.8)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(panel.x_label, color=INK)
    if panel.title:
        axes.set_title(panel.y_label, color=SOFT, fontsize=8.5, loc="left", x=-0.135)
    if panel.x_scale == "log":
        axes.set_xscale("log")
    if panel.y_scale == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:,g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    elif panel.y_scale == "logit":
        low, high = axes.get_ylim()
        shown = [t for t in LOGIT_TICKS if low <= _logit(t) <= high]
        shown = shown[:: max(1, len(shown) // 6)] or [LOGIT_TICKS[0]]
        axes.set_yticks([_logit(t) for t in shown], [f"{t:g}" for t in shown])
        axes.set_ylim(low, high)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if panel.x_ticks:
        axes.set_xticks(list(panel.x_ticks), [f"{t:g}" for t in panel.x_ticks])
        axes.xaxis.set_major_locator(FixedLocator(list(panel.x_ticks)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_minor_locator(NullLocator())


def _told(line: Line) -> str:
    """Return a line in words, for those who do not see it."""
    few = range(len(line.x)) if len(line.x) <= 6 else (0, len(line.x) - 1)
    return f"{line.name}: " + ", ".join(f"{short(line.y[i])} at {line.x[i]:g}" for i in few)


def _svg(figure: Figure, name: str, title: str, description: str) -> str:
    """Return a figure as an element for HTML: no outside names, sizes of its box, colours of the page."""
    from html import escape

    held = io.StringIO()
    _canvas()(figure).print_svg(held, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", held.getvalue(), flags=re.S)
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    body = body[body.index(">", body.index("<svg")) + 1 :].replace("xlink:href", "href")
    for placeholder, variable in ((INK, "ink"), (RULE, "rule"), (SOFT, "soft")):
        body = body.replace(placeholder, f"var(--{variable})")
    body = re.sub(r"#5e0e(\d\d)", lambda m: f"var(--c{int(m[1])})", body)
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(|href=")#', rf"\1#{name}-", body)
    body = re.sub(r" font-family: [^;]+;", "", body)
    body = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), re.sub(r"\s*\n\s*", " ", body))
    label = f'aria-labelledby="{name}-t {name}-d"' if title else ""
    told = f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    return f'<svg {box[0]} role="img" {label}>{told if title else ""}{body.strip()}'
