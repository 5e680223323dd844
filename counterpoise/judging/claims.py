"""The claims of a study, read strictly: what each says, of which cases, on which part of the grid.

They are measured in `counterpoise.judging.effects` and given a verdict each in `counterpoise.judging.verdicts`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from counterpoise.errors import UserError, nearest
from counterpoise.planning.schema import SCOPES
from counterpoise.scoring.names import COSTS, RANGES

MARGIN = 0.01  # of balanced accuracy, where a claim states none
SELECTIONS = ("last", "best_on_test", "last-best")
SPLITS = ("test", "val", "train", "attacked", "train-test")
RANGES |= dict.fromkeys(("mcc", *(f"{part}pearson" for part in ("", "many_", "medium_", "few_"))), (-1.0, 1.0))
COMMON = (
    "text",
    "form",
    "scope",
    "metric",
    "selection",
    "split",
    "transform",
    "lower_is_better",
    "on",
    "margin",
    "concerns",
    "against",
    "key",
)
FORMS: dict[str, tuple[str, ...]] = {  # the keys that each form needs beside `text`, `form` and `scope`
    "better": ("A", "B"),
    "no_worse": ("A", "B"),
    "close": ("A", "to"),
    "dominates": ("A", "B"),
    "depends": ("factor", "levels"),
    "interaction": ("A", "B", "C", "D"),
    "exists": ("A", "B", "share"),
    "ranks": (),
}
ACROSS = ("better", "no_worse", "close", "dominates", "interaction", "exists")  # forms that may have `across`
OPTIONAL = {"depends": ("direction",), "ranks": ("pairs",)} | dict.fromkeys(ACROSS, ("across",))
IN_RANKS = ("depends", "ranks")  # forms whose effect and margin are rank correlations


@dataclass(frozen=True)
class Claim:
    """One claim of a study. Cases are names; `B` and `to` may be a number, a fixed value to compare with."""

    text: str
    form: str
    scope: str
    metric: str
    selection: str
    split: str
    margin: float
    """Smallest effect that counts: units of the metric, logits after a logit, a correlation for ranks."""
    transform: str = "none"
    lower_is_better: bool = False
    on: Mapping[str, tuple] = field(default_factory=dict)
    """Part of the grid: full factor name -> admitted values; empty for all of it."""
    concerns: str = ""
    against: tuple[int, ...] = ()
    key: str = ""
    A: str = ""
    B: str | float | tuple[str, ...] = ""
    C: str = ""
    D: str = ""
    to: str | float = ""
    factor: str = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    direction: str = ""
    share: float = 0.5
    pairs: tuple[tuple[str, str], ...] = ()
    across: str = ""
    """The factor whose values are the unit, one mean each, for instance `data.name`; seeds where it is empty."""

    @property
    def cases(self) -> list[str]:
        """The cases that the claim needs, each once."""
        rivals = self.B if isinstance(self.B, tuple) else (self.B,)
        named = [self.A, *rivals, self.C, self.D, self.to, *self.levels, *(c for p in self.pairs for c in p)]
        return list(dict.fromkeys(c for c in named if isinstance(c, str) and c))


def parse_claims(
    raw: Sequence[Mapping[str, Any]],
    *,
    cases: Collection[str],
    factors: Mapping[str, Collection[Any]],
    metrics: Collection[str],
    primary: Mapping[str, str],
    where: str,
) -> list[Claim]:
    """Read the `claims:` of a study file strictly.

    `factors` maps the full dotted name of each grid factor to its values (an empty collection leaves values
    unchecked); `where` is the file. Raises UserError naming file, claim number, key, found and expected.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        raise UserError(f"{where}: claims: found {raw!r}, expected a list of claims")
    return [
        _Reader(entry, f"{where}: claim {number}", cases, factors, metrics, primary).claim()
        for number, entry in enumerate(raw, start=1)
    ]


class _Reader:
    """One raw claim, with a check for each kind of value; every fault is a UserError."""

    def __init__(self, raw: Any, where: str, cases: Any, factors: Any, metrics: Any, primary: Any) -> None:
        if not isinstance(raw, Mapping):
            raise UserError(f"{where}: found {raw!r}, expected a mapping with text, form and scope")
        usual = {"split": "test", "transform": "none", "selection": "last"}
        usual |= {key: primary[key] for key in ("metric", "selection", "split", "transform") if key in primary}
        self.given, self.raw, self.where = raw, {**usual, **raw}, where
        self.cases, self.factors, self.metrics = cases, factors, metrics

    def fault(self, key: str, expected: str, found: Any = None) -> NoReturn:
        found = self.raw.get(key) if found is None else found
        shown = "nothing" if found is None else repr(found)
        raise UserError(f"{self.where}: {key}: found {shown}, expected {expected}")

    def choice(self, key: str, valid: Collection[str], what: str, value: Any = None) -> str:
        value = self.raw.get(key) if value is None else value
        if not isinstance(value, str) or value not in valid:
            listed = "`counterpoise names metrics`" if key == "metric" else ""
            self.fault(key, f"{what}{nearest(value, valid, listed)}", value)
        return value

    def number(self, key: str, low: float, high: float, value: Any = None) -> float:
        value = self.raw.get(key) if value is None else value
        if isinstance(value, bool) or not isinstance(value, int | float) or not low < value < high:
            self.fault(key, "a number" + ("" if low == -np.inf else f" between {low:g} and {high:g}"), value)
        return float(value)

    def case(self, key: str, value: Any = None) -> str:
        return self.choice(key, self.cases, "a case of this study", value)

    def case_or_number(self, key: str) -> str | float:
        value = self.raw.get(key)
        return self.case(key) if isinstance(value, str | None) else self.number(key, -np.inf, np.inf)

    def items(self, key: str) -> list[Any]:
        value = self.raw.get(key)
        return value if isinstance(value, list) and value else self.fault(key, "a list that is not empty")

    def factor(self, key: str, name: Any) -> str:
        found = full_names(name, self.factors)
        if len(found) != 1:
            expected = "a factor of this grid" if not found else f"one of {', '.join(found)}: it is ambiguous"
            self.fault(key, expected + ("" if found else nearest(name, self.factors)), name)
        return found[0]

    def grid_part(self) -> dict[str, tuple]:
        part = self.raw.get("on", {})
        if not isinstance(part, Mapping):
            self.fault("on", "a mapping of grid factors to values")
        chosen = {}
        for name, values in part.items():
            factor = self.factor("on", name)
            values = tuple(values) if isinstance(values, list) else (values,)
            if not values:
                self.fault(f"on.{name}", "at least one value of this grid", [])
            for value in values:
                if self.factors[factor] and value not in self.factors[factor]:
                    self.fault(f"on.{name}", f"a value of this grid{nearest(value, self.factors[factor])}", value)
            chosen[factor] = values
        return chosen

    def margin(self, form: str, metric: str) -> float:
        usual = metric == "balanced_accuracy" and self.raw["transform"] == "none"
        if "margin" not in self.raw and usual and form not in IN_RANKS:
            return MARGIN
        return self.number("margin", 0, 1 if form in IN_RANKS else np.inf)

    def specific(self, form: str) -> dict[str, Any]:
        """Read the keys that belong to one form only."""
        raw = self.raw
        found: dict[str, Any] = {key: self.case(key) for key in ("A", "C", "D") if key in FORMS[form]}
        if form == "dominates":
            names = self.items("B") if isinstance(raw.get("B"), list) else [raw.get("B")]
            found["B"] = tuple(self.case("B", name) for name in names)
        elif form == "interaction":
            found["B"] = self.case("B")
        elif "B" in FORMS[form]:
            found["B"] = self.case_or_number("B")
        if form == "close":
            found["to"] = self.case_or_number("to")
        rivals = found.get("B", found.get("to"))
        if "A" in found and found["A"] in (rivals if isinstance(rivals, tuple) else (rivals,)):
            self.fault("B" if "B" in found else "to", "a case other than A")
        if form == "exists":
            found["share"] = self.number("share", 0, 1)
        if form == "depends":
            found |= self.dependence()
        if "pairs" in raw and "against" in raw:
            self.fault("pairs", "either `pairs` or `against`")
        if "pairs" in raw:
            pairs = self.items("pairs")
            if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
                self.fault("pairs", "a list of [better, worse]")
            found["pairs"] = tuple((self.case("pairs", a), self.case("pairs", b)) for a, b in pairs)
        elif form == "ranks" and "against" not in raw:
            self.fault("pairs", "a list of [better, worse], or `against` with the published values")
        return found

    def dependence(self) -> dict[str, Any]:
        levels = self.raw.get("levels")
        if not isinstance(levels, Mapping) or len(levels) < 2:
            self.fault("levels", "a mapping of two cases or more to their levels")
        found: dict[str, Any] = {"factor": self.factor("factor", self.raw.get("factor"))}
        found["levels"] = {
            self.case("levels", case): self.number(f"levels.{case}", -np.inf, np.inf, level)
            for case, level in levels.items()
        }
        if "direction" in self.raw:
            found["direction"] = self.choice("direction", ("up", "down"), "the way the optimum moves")
        return found

    def claim(self) -> Claim:
        form = self.choice("form", FORMS, "a claim form")
        valid = [*COMMON, *FORMS[form], *OPTIONAL.get(form, ())]
        for key in self.given:
            if key not in valid:
                raise UserError(f"{self.where}: {key}: unknown key of form '{form}'{nearest(key, valid)}")
        metric = self.choice("metric", self.metrics, "a metric")
        split = self.choice("split", SPLITS, "a split")
        down = self.raw.get("lower_is_better", None if metric in COSTS or split == "train-test" else False)
        if not isinstance(down, bool):
            self.fault("lower_is_better", "true or false, stated for a cost or a train-test gap")
        for key in ("text", "concerns", "key"):
            if not isinstance(self.raw.get(key, None if key == "text" else ""), str):
                self.fault(key, "a text")
        indices = self.items("against") if "against" in self.raw else []
        if not all(type(index) is int and index >= 0 for index in indices):
            self.fault("against", "a list of positions in `reference`, from 0")
        return Claim(
            text=self.raw["text"],
            form=form,
            scope=self.choice("scope", SCOPES, "a scope"),
            metric=metric,
            selection=self.choice("selection", SELECTIONS, "a selection"),
            split=split,
            transform=self.choice("transform", ("none", "logit"), "a transform"),
            margin=self.margin(form, metric),
            lower_is_better=down,
            on=self.grid_part(),
            concerns=self.raw.get("concerns", ""),
            against=tuple(indices),
            key=self.raw.get("key", ""),
            across=self.factor("across", self.raw["across"]) if "across" in self.raw else "",
            **self.specific(form),
        )


def full_names(name: Any, factors: Collection[str]) -> list[str]:
    """Return the factors meant by a full dotted name or by the end of one."""
    return [name] if name in factors else [f for f in factors if f.endswith(f".{name}")]
