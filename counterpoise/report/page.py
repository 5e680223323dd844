"""Pages from templates: what a template is given."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from counterpoise import numerals
from counterpoise.records import Json
from counterpoise.report import words

FOLDER = Path(__file__).parent


def render(template: str, **context: Any) -> str:
    """Return a page; every text is escaped, and the style sheet is inside."""
    from markupsafe import Markup

    style = Markup((FOLDER / "style.css").read_text(encoding="utf-8"))
    return _environment().get_template(template).render(style=style, **context)


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": numerals.number,
        "p": numerals.p_value,
        "plain": words.plain,
        "metric": words.metric,
        "range": drawn_interval,
        "grouped": grouped,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
    }
    environment.globals |= {
        "verdicts": words.VERDICTS,
        "scales": words.SCALES,
        "scopes": words.SCOPES,
        "selections": words.SELECTIONS,
        "splits": words.SPLITS,
        "status": words.STATUS,
    }
    return environment


def drawn_interval(claim: Json) -> Any:
    """Return a drawing of a claim's effect and interval against zero and the margin; the row has the numbers."""
    from markupsafe import Markup

    if not claim["interval"] or claim["form"] == "exists":
        return ""
    (low, high), effect, margin = claim["interval"], claim["effect"], claim["margin"]
    reach = 1.08 * max(abs(low), abs(high), margin)

    def at(value: float) -> str:
        return f"{75 + 74 * value / reach:.1f}"

    return Markup(
        '<svg class="range" viewBox="0 0 150 24" aria-hidden="true">'
        f'<rect class="margin" x="{at(-margin)}" y="3" width="{148 * margin / reach:.1f}" height="18"/>'
        '<path class="zero" d="M75 0V24"/>'
        f'<path class="line" d="M{at(low)} 12H{at(high)}M{at(low)} 8V16M{at(high)} 8V16"/>'
        f'<circle class="dot" cx="{at(effect)}" cy="12" r="3.4"/></svg>'
    )


def grouped(reasons: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Return each reason once, with the seeds that it holds for."""
    return [(r, [seed for seed, reason in reasons.items() if reason == r]) for r in dict.fromkeys(reasons.values())]


def outcome(claims: list[Json]) -> str:
    """Return how many claims came to which verdict, in words."""
    if not claims:
        return "The study states no claim at this scale."
    counts = count_verdicts(claims)
    told = ", ".join(f"{n} {name}" for name, n in counts.items())
    return f"{len(claims)} {'claim' if len(claims) == 1 else 'claims'}: {told}."


def count_verdicts(claims: list[Json]) -> dict[str, int]:
    """Return the number of claims of each verdict that occurs, in the order of `words.VERDICTS`."""
    given = [claim["verdict"] for claim in claims]
    return {name: given.count(name) for name in words.VERDICTS if name in given}
