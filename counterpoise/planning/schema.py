"""What a study file, one of its scales and `config/config.yaml` may contain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval, Len

SEEDS = 10_000  # a study may have so many at most
SCOPES = ("as_published", "scaled", "analogue")  # the highest first
UNJUDGED = ("smoke", "pilot")  # scales that never give a verdict


@dataclass(frozen=True, kw_only=True)
class StudyFile:
    """What a file of `config/studies` may say."""

    title: str
    """One line for people."""
    source: dict[str, Any]
    """Where the result was published: paper, url, table and whatever else helps to find it."""
    base: str
    """The file of `config/bases` that every case starts from."""
    cases: Annotated[dict[str, dict[str, Any] | None], Len(1)]
    """Case -> the part of the recipe that it changes; nothing for a case that is the base itself."""
    selections: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further cases that train nothing: each is the best of other cases by the primary metric on one part."""
    grid: Annotated[list[dict[str, Any]], Len(1)] = field(default_factory=lambda: [{}])
    """Products: dotted key of the recipe -> one value, or a list of values to go through. Every case meets every
    point of every product."""
    seeds: int | dict[str, int]
    """Number of seeds, whole blocks of the base; or {first: ..., count: ...}."""
    primary: dict[str, str]
    """What claims are judged on unless they say otherwise: metric, selection, transform."""
    reference: list[dict[str, Any]] = field(default_factory=list)
    """Published values, which claims name by their position."""
    claims: list[dict[str, Any]]
    """What the paper claims, in a form that can be checked."""
    controls: list[dict[str, Any]] = field(default_factory=list)
    """Comparisons in the forms of claims that test the measurement, not the paper: A/A, a remedy known to work."""
    scales: Annotated[dict[str, dict[str, Any] | None], Len(1)]
    """Scale -> what it changes: smoke (seconds, never a verdict), small (two cores), full (as published)."""
    gate: dict[str, str] | None = None
    """The two cases that show whether there is headroom at all: oracle and baseline."""


@dataclass(frozen=True, kw_only=True)
class ScaleFile:
    """What a scale may change."""

    base: str | None = None
    """Another base."""
    config: dict[str, Any] = field(default_factory=dict)
    """Changes of the base's recipe."""
    cases: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    """Changes of single cases."""
    only: Annotated[list[str], Len(1)] | None = None
    """The cases of this scale; claims on others are left out."""
    grid: Annotated[list[dict[str, Any]], Len(1)] | None = None
    """Another grid; claims on a part of the study's own that it lacks are left out."""
    seeds: int | dict[str, int] | None = None
    """Other seeds."""
    block: Annotated[int, Interval(ge=1, le=SEEDS)] | None = None
    """Another number of seeds in a job than the base's."""
    tuned: bool = False
    """Take what `counterpoise tune` chose for each case, from `config/tuned/<study>.yaml`."""
    scope: Literal["as_published", "scaled", "analogue"] | None = None
    """The highest scope of this scale's claims, and that of claims that state none. Default: analogue for smoke and
    pilot, as high as claims say for others."""
    margin: float | None = None
    """The margin of claims that state none."""
    gate: dict[str, str] | None = None
    """Another gate."""
    note: str = ""
    """What the reader of this scale's report must know."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A case that is the best of others."""

    among: Annotated[list[str], Len(1)]
    """The cases chosen among; of equal ones the first."""
    by: Literal["val", "test"] = "val"
    """The part that chooses: val, for each seed anew; or test, once for all seeds of a grid point: an oracle."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the result was published."""

    paper: str
    """Authors, year, title."""
    url: str = ""
    """Where to read it."""
    code: str = ""
    """The official code."""
    table: str = ""
    """The table or figure that the study concerns."""


@dataclass(frozen=True, kw_only=True)
class Primary:
    """What claims are judged on unless they say otherwise."""

    metric: str
    """A metric, for instance balanced_accuracy."""
    selection: Literal["last", "best_on_test", "last-best"] = "last"
    """Which state of the network: the last, or (published protocol only) the best on the test part."""
    transform: Literal["none", "logit"] = "none"
    """logit where the metric saturates."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """One published value."""

    case: str
    """The case that it belongs to."""
    at: dict[str, str | int | float] = field(default_factory=dict)
    """The grid point: factor, or the end of its dotted name, -> value."""
    value: float
    """As published, in the unit of the claim's metric."""
    sd: Annotated[float, Ge(0)] | None = None
    """Standard deviation over runs."""
    n: Annotated[int, Ge(1)] = 1
    """Number of runs."""
    stat: Literal["mean", "median", "single", "best_on_test"] = "mean"
    """What the value is of those runs."""
    read_off_error: Annotated[float, Ge(0)] = 0.0
    """Half-width, where it was read off a figure."""
    scale: str = "full"
    """The scale whose protocol it describes; it is compared at that scale only."""
    where: str = ""
    """Table or figure."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`config/config.yaml`, or `--config` of snakemake."""

    studies: str | list[str]
    """Names or keys of files in `config/studies`, or "all"."""
    scale: str
    """smoke, small or full."""
    tracking: str = ""
    """Where the MLflow view lives; "" for none."""
