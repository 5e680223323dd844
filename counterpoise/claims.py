"""The claims of a study: read strictly, measured on the tidy table, and given a verdict each.

The unit is the seed: a claim's difference is averaged over its grid points within each seed first, and only
seeds present at every point in every arm count. Pooling seeds and points instead would be
pseudo-replication (Hurlbert 1984). Statistics and verdict rules: `counterpoise.statistics`.

The table has one row per (case, point, seed, selection, split, metric, class); `point` names the grid point
and further columns hold its factors under their full dotted names. An optional column `diverged` marks the
rows of seeds that evaluation scored at chance.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from counterpoise import statistics as st
from counterpoise.errors import UserError, nearest

ALPHA = 0.05
LOOK_ALPHA = 0.019
"""Alpha of each look at n, 2n and 4n seeds: holds the three together at .05 from n = 5 on. Pocock's .022 is
for equal steps (n, 2n, 3n) and gives .053 to .057 when n doubles (simulated in the tests)."""
MARGIN = 0.01  # of balanced accuracy, where a claim states none
CLIP = 1e-6  # keeps the logit of a metric finite
HEADROOM = 5  # margins that an oracle must gain over the baseline
DOMINATED = 0.9  # share of grid points at which the dominating case may not be worse
TIES = 1 / 3  # share of exact ties from which coverage falls under 94 % at small n (simulated in the tests)

SCOPES = ("as_published", "scaled", "analogue")
SELECTIONS = ("last", "best_on_test", "last-best")
SPLITS = ("test", "val", "train", "train-test")
COSTS = ("ece", "classwise_ece", "brier", "log_loss", "expected_cost")
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
OPTIONAL = {"depends": ("direction",), "ranks": ("pairs",)}
IN_RANKS = ("depends", "ranks")  # forms whose effect and margin are rank correlations
BASE_COLUMNS = ("case", "point", "seed", "selection", "split", "metric", "class", "value", "diverged")


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

    @property
    def cases(self) -> list[str]:
        """The cases that the claim needs, each once."""
        rivals = self.B if isinstance(self.B, tuple) else (self.B,)
        named = [self.A, *rivals, self.C, self.D, self.to, *self.levels, *(c for p in self.pairs for c in p)]
        return list(dict.fromkeys(c for c in named if isinstance(c, str) and c))


# ---------------------------------------------------------------------------------------------- reading


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
            self.fault(key, f"{what}{nearest(value, valid)}", value)
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
        found = _full_names(name, self.factors)
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
            **self.specific(form),
        )


def _full_names(name: Any, factors: Collection[str]) -> list[str]:
    """Return the factors meant by a full dotted name or by the end of one."""
    return [name] if name in factors else [f for f in factors if f.endswith(f".{name}")]


# ------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Evidence:
    """What the table says on one claim, before any level is chosen."""

    values: np.ndarray
    """One value a seed, shape N; for `dominates` JN, the difference to each of j rivals."""
    quantity: str
    per_point: list[dict[str, Any]]
    notes: list[str]
    diverged: int = 0
    widely: bool = True
    """Whether a dominating case keeps up at enough grid points."""

    @property
    def n(self) -> int:
        """Number of complete seeds."""
        return self.values.shape[-1]


@dataclass(frozen=True)
class _Arms:
    """Values of complete seeds: one row a seed, columns (case, point)."""

    wide: pd.DataFrame
    factors: pd.DataFrame  # indexed by point
    diverged: int
    gaps: list[str]


def _arms(claim: Claim, table: pd.DataFrame, seeds: Collection[int], *cases: str) -> _Arms:
    """Collect those of `seeds` that are present at all points in all `cases`; name the gaps.

    A grid point exists as soon as any case of the study has rows there, so an arm that failed leaves a gap
    and does not shrink the claim. Raises UserError on NaN and on duplicate rows.
    """
    names = list(cases) or claim.cases
    unused = [factor for factor in (*claim.on, claim.factor) if factor and factor not in table]
    table = table.assign(**dict.fromkeys(unused, np.nan))  # a scale may leave a factor of the study out
    rows, gaps = table, []
    for factor, values in claim.on.items():
        absent = [value for value in values if not table[factor].isin([value]).any()]
        gaps += [f"gap: nothing was run at {factor}={value}" for value in absent]
        rows = rows[rows[factor].isin(values)]
    if claim.factor:
        rows = rows[rows[claim.factor].notna()]
    points = rows.drop_duplicates("point").set_index("point")
    mine = rows["case"].isin(names) & rows["class"].isna() & rows["seed"].isin(seeds)
    for column in ("metric", "selection", "split"):
        mine &= rows[column] == getattr(claim, column)
    rows = rows[mine]
    here = f"{claim.metric} ({claim.selection}, {claim.split})"
    for fault, found in (("NaN", rows["value"].isna()), ("two values", rows.duplicated(["case", "point", "seed"]))):
        if found.any():
            row = rows[found].iloc[0]
            at = f"case {row['case']}, point '{row['point']}', seed {row['seed']}"
            raise UserError(f"table: {here}: {at}: found {fault}, expected one number")
    wide = rows.pivot(index="seed", columns=["case", "point"], values="value").reindex(
        index=list(seeds), columns=pd.MultiIndex.from_product([names, points.index], names=["case", "point"])
    )
    complete = wide.dropna() if not gaps and len(points) else wide.iloc[:0]
    lost = [seed for seed in wide.index if seed not in complete.index]
    if lost and not gaps:
        holes = [" at ".join(str(part) for part in column if part) for column in wide.columns[wide.isna().any()]]
        shown = ", ".join(holes[:3]) + (f" and {len(holes) - 3} more" if len(holes) > 3 else "")
        gaps.append(f"gap: {len(lost)} of {len(seeds)} seeds are missing {here} ({shown or 'no grid point'})")
    chance: set[int] = set()
    if "diverged" in rows:
        chance = set(rows.loc[rows["diverged"].fillna(False).astype(bool), "seed"])
    if claim.transform == "logit":
        complete = _logit(complete)
    return _Arms(complete, points, len(chance & set(complete.index)), gaps)


def _logit(value: Any) -> Any:
    clipped = np.clip(value, CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped))


def _arm(wide: pd.DataFrame, case: str) -> pd.DataFrame:
    """Return one case, seeds x points. Plain indexing turns the point "" into a Series, and fails without points."""
    return wide.loc[:, wide.columns.get_level_values("case") == case].droplevel("case", axis=1)


def _contrast(claim: Claim, wide: pd.DataFrame, rival: str | float) -> pd.DataFrame:
    """Return the signed difference of A and a rival, seeds x points: positive where A does better."""
    fixed = rival if isinstance(rival, str) or claim.transform == "none" else _logit(rival)
    difference = _arm(wide, claim.A) - (_arm(wide, rival) if isinstance(rival, str) else fixed)
    return -difference if claim.lower_is_better else difference


def _describe(label: str, values: np.ndarray) -> dict[str, Any]:
    """Describe one grid point: effects there are shown, never tested."""
    if len(values) < 2:
        effect = float(values[0]) if len(values) else None
        return {"point": label, "effect": effect, "sd": None, "interval": None}
    mean, low, high = (float(x) for x in st.t_interval(values, ALPHA))
    return {"point": label, "effect": mean, "sd": float(np.std(values, ddof=1)), "interval": [low, high]}


def _by_point(difference: pd.DataFrame) -> list[dict[str, Any]]:
    return [_describe(str(point), difference[point].to_numpy()) for point in difference]


def _difference(claim: Claim, table: pd.DataFrame, seeds: Collection[int]) -> Evidence:
    """Measure `better`, `no_worse`, `close`, `interaction` and `exists`: a mean difference a seed."""
    arms = _arms(claim, table, seeds)
    rival = claim.to if claim.form == "close" else claim.B
    assert not isinstance(rival, tuple)
    difference = _contrast(claim, arms.wide, rival)
    words = f"{rival} minus {claim.A}" if claim.lower_is_better else f"{claim.A} minus {rival}"
    if claim.form == "interaction":
        difference = difference - _contrast(replace(claim, A=claim.C), arms.wide, claim.D)
        other = f"{claim.D} minus {claim.C}" if claim.lower_is_better else f"{claim.C} minus {claim.D}"
        words = f"({words}) minus ({other})"
    values = difference.mean(axis=1).to_numpy()
    if claim.form == "exists":
        values, words = (values >= claim.margin).astype(float), f"share of seeds with {words} >= {claim.margin:g}"
    return Evidence(values, words, _by_point(difference), arms.gaps, arms.diverged)


def _dominance(claim: Claim, table: pd.DataFrame, seeds: Collection[int]) -> Evidence:
    """Measure A against each rival; the points at which A trails the best of them by a margin."""
    arms = _arms(claim, table, seeds)
    assert isinstance(claim.B, tuple)
    rivals = [_contrast(claim, arms.wide, rival) for rival in claim.B]
    values = np.stack([difference.mean(axis=1).to_numpy() for difference in rivals])
    if not values.size:
        return Evidence(values, f"{claim.A} minus the best other", [], arms.gaps)
    points = np.stack([difference.mean(axis=0).to_numpy() for difference in rivals]).min(axis=0)
    kept, best = int((points >= -claim.margin).sum()), int(values.mean(axis=1).argmin())
    notes = [*arms.gaps, f"within {claim.margin:g} of the best at {kept} of {len(points)} grid points"]
    words = f"{claim.A} minus the best other ({claim.B[best]})"
    widely = kept >= DOMINATED * len(points)
    return Evidence(values, words, _by_point(rivals[best]), notes, arms.diverged, widely)


def _dependence(claim: Claim, table: pd.DataFrame, seeds: Collection[int]) -> Evidence:
    """Measure how the best level moves with a factor: each seed's Spearman correlation (1904) of the two.

    Its mean over seeds is a linear function of Page's L (1963). Levels that tie share the optimum, which is
    then their mean; an optimum that never moves counts as 0.
    """
    arms = _arms(claim, table, seeds)
    words = f"mean rank correlation of the best level ({', '.join(claim.levels)}) with {claim.factor}"
    extent = pd.to_numeric(arms.factors[claim.factor], errors="coerce")
    if extent.isna().any():
        raise UserError(f"table: {claim.factor}: found values that have no order, expected numbers")
    if extent.nunique() < 2 or arms.wide.empty:
        few = [] if arms.gaps else [f"gap: {claim.factor} was run at fewer than two values"]
        return Evidence(np.empty(0), words, [], arms.gaps + few)
    sign = -1 if claim.lower_is_better else 1
    scores = np.stack([sign * _arm(arms.wide, case).T.groupby(extent).mean().T.to_numpy() for case in claim.levels], -1)
    best = scores >= scores.max(-1, keepdims=True) - st.IDENTICAL
    optimum = pd.DataFrame((best * list(claim.levels.values())).sum(-1) / best.sum(-1), columns=sorted(set(extent)))
    ranks = optimum.rank(axis=1).to_numpy()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    order = np.arange(extent.nunique()) - (extent.nunique() - 1) / 2
    norm = np.linalg.norm(ranks, axis=1) * np.linalg.norm(order)
    rho = np.divide(ranks @ order, norm, out=np.zeros(len(ranks)), where=norm > 0)
    per_point = [_describe(f"{claim.factor}={value:g}", optimum[value].to_numpy()) for value in optimum]
    return Evidence(-rho if claim.direction == "down" else rho, words, per_point, arms.gaps, arms.diverged)


def _ranking(claim: Claim, table: pd.DataFrame, seeds: Collection[int], references: Sequence[Mapping]) -> Evidence:
    """Measure each seed's Kendall tau (1938) over published pairs: pairs kept minus pairs turned round."""
    kept: list[pd.Series] = []
    notes: list[str] = []
    diverged = 0
    pairs = list(_published_pairs(claim, table, references)) or [(a, b, claim.on, None) for a, b in claim.pairs]
    for better, worse, on, published in pairs:
        arms = _arms(replace(claim, on=on), table, seeds, better, worse)
        difference = _contrast(replace(claim, A=better), arms.wide, worse).mean(axis=1)
        diverged, notes = max(diverged, arms.diverged), notes + arms.gaps
        if published is None or len(difference) < 2 or _exceeds_noise(published, float(difference.std())):
            kept.append(difference.rename(f"{better} > {worse}"))
    table_of_pairs = pd.concat(kept, axis=1, join="inner") if kept else pd.DataFrame()
    notes = list(dict.fromkeys(notes)) + ([] if kept else ["gap: no published pair differs by more than noise"])
    signs = table_of_pairs.where(table_of_pairs.abs() > st.IDENTICAL, 0.0).apply(np.sign)
    per_pair = [_describe(str(pair), signs.iloc[:, i].to_numpy()) for i, pair in enumerate(signs)]
    words = f"mean Kendall tau over {len(kept)} published pairs"
    return Evidence(signs.mean(axis=1).to_numpy(), words, per_pair, notes, diverged)


def _published_pairs(claim: Claim, table: pd.DataFrame, references: Sequence[Mapping]) -> Iterator[tuple]:
    """Yield (better, worse, on, the two references) for each two published values at the same point."""
    chosen = [references[index] for index in claim.against]
    for one, two in combinations(chosen, 2):
        if one.get("at", {}) != two.get("at", {}) or one["value"] == two["value"]:
            continue
        better, worse = (one, two) if (one["value"] > two["value"]) != claim.lower_is_better else (two, one)
        yield better["case"], worse["case"], _place(claim, one, table), (better, worse)


def _exceeds_noise(published: Sequence[Mapping], ours: float) -> bool:
    """Whether a published gap exceeds 1.96 standard errors and both reading errors.

    Where the paper gives no deviation, ours of the paired difference stands in.
    """
    better, worse = published
    runs = [reference.get("n", 1) for reference in published]
    sds = [reference["sd"] for reference in published if reference.get("sd") is not None]
    error = ours / min(runs) ** 0.5
    if len(sds) == 2:
        error = (sds[0] ** 2 / runs[0] + sds[1] ** 2 / runs[1]) ** 0.5
    reading = sum(reference.get("read_off_error", 0.0) for reference in published)
    return abs(better["value"] - worse["value"]) > 1.96 * error + reading


def _place(claim: Claim, reference: Mapping, table: pd.DataFrame) -> dict[str, tuple]:
    """Return the part of the grid that a published value describes."""
    factors = [str(column) for column in table if column not in BASE_COLUMNS]
    place = dict(claim.on)
    for name, value in reference.get("at", {}).items():
        found = _full_names(name, factors)
        if len(found) != 1:
            raise UserError(f"reference: at: found {name!r}, expected one factor of this grid{nearest(name, factors)}")
        place[found[0]] = (value,)
    return place


# --------------------------------------------------------------------------------------------- judging


def _agreements(
    claim: Claim, table: pd.DataFrame, seeds: Collection[int], references: Sequence[Mapping], scale: str
) -> list[dict[str, Any]]:
    """Compare our values with the published ones of `against`; a difference where both arms are published."""
    places: dict[str, dict[str, Mapping]] = {}
    for index in claim.against:
        reference = references[index]
        places.setdefault(repr(sorted(reference.get("at", {}).items())), {})[reference["case"]] = reference
    found = []
    for here in places.values():
        groups = [[reference] for reference in here.values()]
        if claim.A in here and isinstance(claim.B, str) and claim.B in here:
            groups = [[here.pop(claim.A), here.pop(claim.B)], *([reference] for reference in here.values())]
        found += [_compare(claim, table, seeds, group, scale) for group in groups]
    return found


def _compare(
    claim: Claim, table: pd.DataFrame, seeds: Collection[int], group: list[Mapping], scale: str
) -> dict[str, Any]:
    """Compare one published value, or the difference of two, with our untransformed seed values."""
    published = group[0]["value"] - sum(reference["value"] for reference in group[1:])
    cases = [reference["case"] for reference in group]
    result = {"cases": cases, "at": dict(group[0].get("at", {})), "published": published}
    runs = min(reference.get("n", 1) for reference in group)
    stats = {reference.get("stat", "mean") for reference in group}
    why = ""
    if any(reference.get("scale", "full") != scale for reference in group):
        why = f"it describes another scale than {scale}"
    elif (stats == {"best_on_test"}) != (claim.selection == "best_on_test"):
        why = "best on test compares with best on test only"
    elif runs >= 3 and (claim.transform != "none" or claim.form in IN_RANKS):
        why = "the margin is in other units than the value"
    if why:
        return result | {"outcome": "not comparable", "why": why}
    place = replace(claim, transform="none", on=_place(claim, group[0], table), factor="")
    wide = _arms(place, table, seeds, *cases).wide
    if len(wide) < 2:
        return result | {"outcome": "not comparable", "why": f"fewer than 2 complete seeds of {' and '.join(cases)}"}
    ours = _arm(wide, cases[0]).mean(axis=1)
    for case in cases[1:]:
        ours = ours - _arm(wide, case).mean(axis=1)
    sds = [reference["sd"] for reference in group if reference.get("sd") is not None]
    outcome, low, high = st.agreement(
        ours.to_numpy(),
        published,
        n=runs,
        sd=float(np.linalg.norm(sds)) if len(sds) == len(group) else None,
        error=sum(reference.get("read_off_error", 0.0) for reference in group),
        median="median" in stats,
        margin=claim.margin,
    )
    return result | {"outcome": outcome, "ours": float(ours.mean()), "interval": [low, high]}


def _p(claim: Claim, evidence: Evidence) -> float:
    """Return the level at which the claim's interval begins to decide it; 1 without an interval."""
    values = evidence.values
    if evidence.n < 2:
        return 1.0
    if claim.form == "exists":
        return st.binomial_p(int(values.sum()), evidence.n, claim.share)
    if claim.form == "close":
        return float(st.equivalence_p(values, claim.margin))
    if claim.form == "dominates":
        return float(st.best_p(values))
    p = float(st.two_sided(*st.t_tails(values, -claim.margin if claim.form == "no_worse" else 0.0)))
    return max(p, st.sign_flip_p(values)) if claim.form in IN_RANKS else p


def _interval(claim: Claim, values: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """Return effect, lower and upper limit at the claim's Holm level."""
    if claim.form == "exists":
        return float(values.mean()), *st.clopper_pearson(int(values.sum()), len(values), alpha)
    estimate = {"dominates": st.best_interval, "depends": st.rank_interval, "ranks": st.rank_interval}
    effect, low, high = estimate.get(claim.form, st.t_interval)(values, alpha)
    return float(effect), float(low), float(high)


def _no_headroom(claim: Claim, gate: Mapping[str, Any] | None) -> str:
    """Say why the gate is closed, or nothing. A claim in other units is held to the usual margin."""
    if not gate:
        return ""
    same = claim.metric == gate.get("metric") and claim.transform == "none" and claim.form not in IN_RANKS
    need = HEADROOM * (claim.margin if same else MARGIN)
    head, tail, gain = gate.get("head_recall"), gate.get("tail_recall"), gate.get("headroom")
    faults = []
    if gain is not None and gain < need - st.IDENTICAL:
        faults.append(f"the oracle gains {gain:.3g}, under {HEADROOM} margins ({need:.3g})")
    if head is not None and not head > 0.85:
        faults.append(f"head recall {head:.3g} is not over .85")
    if tail is not None and not 0.2 <= tail <= 0.75:
        faults.append(f"tail recall {tail:.3g} is outside .2 to .75")
    return "no headroom: " + ", ".join(faults) if faults else ""


def _sentence(claim: Claim, evidence: Evidence, scale: str, settings: Mapping[str, Any] | None, estimate: Any) -> str:
    chosen = [str(settings[key]) for key in ("data", "model", "counts", "budget") if settings and key in settings]
    place = f"At scale {scale}" + (f", on {', '.join(chosen)}" if chosen else "")
    unit = claim.metric if claim.transform == "none" else f"logit {claim.metric}"
    part = ", ".join(f"{factor} in {list(values)}" for factor, values in claim.on.items())
    seen = f"{claim.selection}, {claim.split}" + (f", {part}" if part else "")
    seen += ", chosen on the test part: published protocol only" if claim.selection == "best_on_test" else ""
    result = "was not measured" if estimate is None else "was {:+.4f} [{:+.4f}, {:+.4f}]".format(*estimate)
    lost = f"; diverged {evidence.diverged} of {evidence.n}" if evidence.diverged else ""
    return f"{place}: {evidence.quantity} in {unit} ({seen}) {result} (n = {evidence.n} seeds{lost})."


def judge(
    claims: Sequence[Claim],
    table: pd.DataFrame,
    *,
    scale: str,
    seeds: int | Collection[int],
    references: Sequence[Mapping[str, Any]] = (),
    look: int = 1,
    extendable: bool = False,
    family_size: int | None = None,
    settings: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Give every claim of a study its verdict; the returned rows are ready for JSON.

    `seeds` are those fixed by the study, or their number when they start at 0; others are ignored.
    `extendable` says that the study reserved looks at n, 2n and 4n before the first of them, each then at `LOOK_ALPHA`.
    `family_size` is the number of claims of the key over all its studies. Raises UserError for a table with
    NaN, a reference that does not exist, or a look that was not reserved.
    """
    if look not in ((1, 2, 3) if extendable else (1,)):
        expected = "1, 2 or 3" if extendable else "1 (a later look must be reserved before the first)"
        raise UserError(f"claims: look: found {look}, expected {expected}")
    for number, claim in enumerate(claims, start=1):
        if any(index >= len(references) for index in claim.against):
            valid = f"positions 0 to {len(references) - 1}" if references else "none: there is no reference"
            raise UserError(f"claim {number}: against: found {list(claim.against)}, expected {valid}")
    fixed = range(seeds) if isinstance(seeds, int) else seeds
    evidence = [_measure(claim, table, fixed, references) for claim in claims]
    p = np.array([_p(claim, found) for claim, found in zip(claims, evidence, strict=True)])
    size = max(family_size or 0, len(claims))
    alphas = st.holm_alphas(p, LOOK_ALPHA if extendable else ALPHA, size)
    adjusted = st.holm(p, size)
    rows = []
    for i, (claim, found) in enumerate(zip(claims, evidence, strict=True)):
        compared = [] if claim.form == "ranks" else _agreements(claim, table, fixed, references, scale)
        row = _row(claim, found, float(alphas[i]), len(fixed), scale, compared, _no_headroom(claim, gate))
        estimate = None if row["interval"] is None else (row["effect"], *row["interval"])
        rows.append(
            row
            | {"p": float(p[i]), "p_holm": float(adjusted[i]), "family_size": size, "look": look}
            | {"sentence": _sentence(claim, found, scale, settings, estimate), "agreement": compared}
        )
    return rows


def _measure(claim: Claim, table: pd.DataFrame, seeds: Collection[int], references: Sequence[Mapping]) -> Evidence:
    if claim.form == "ranks":
        return _ranking(claim, table, seeds, references)
    special = {"dominates": _dominance, "depends": _dependence}
    return special.get(claim.form, _difference)(claim, table, seeds)


def _row(
    claim: Claim,
    evidence: Evidence,
    alpha: float,
    seeds: int,
    scale: str,
    compared: list[dict[str, Any]],
    no_headroom: str,
) -> dict[str, Any]:
    """Apply the rules to one claim at its level: interval, verdict, caps, power and the reason."""
    n, notes = evidence.n, list(evidence.notes)
    effect = interval = detectable = settle = None
    outcome = "inconclusive"
    if n >= 2:
        effect, low, high = _interval(claim, evidence.values, alpha)
        interval = [low, high]
        line = claim.share if claim.form == "exists" else claim.margin
        either = claim.form == "depends" and not claim.direction
        outcome = str(st.verdict("depends either way" if either else claim.form, effect, low, high, line))
        detectable, settle = _power(claim, evidence, alpha)
        notes += _warnings(claim, evidence.values)
    else:
        notes.append(f"{n} complete seeds: an interval needs 2")
    if outcome == "inconclusive" and n >= 2:
        notes.append(_unsettled(claim, n, seeds, detectable, settle))
    failing = [entry for entry in compared if entry["outcome"] in ("disagrees", "not shown")]
    if outcome == "reproduced" and (failing or not evidence.widely):
        outcome = "ordering only"
        notes += [f"agreement with the published {e['published']:.4g}: {e['outcome']}" for e in failing]
    if claim.scope == "analogue" and outcome in ("reproduced", "refuted"):
        notes.append(f"capped: an analogue cannot be {outcome}")
        outcome = {"reproduced": "ordering only", "refuted": "not reproduced"}[outcome]
    if no_headroom:
        outcome, notes = "inconclusive", [no_headroom, *notes]
    return {
        "text": claim.text,
        "form": claim.form,
        "scope": claim.scope,
        "scale": scale,
        "key": claim.key,
        "metric": claim.metric,
        "selection": claim.selection,
        "split": claim.split,
        "verdict": "no verdict" if scale == "smoke" else outcome,
        "effect": effect,
        "interval": interval,
        "level": 1 - alpha,
        "n": n,
        "margin": claim.margin,
        "smallest_detectable": detectable,
        "n_to_settle": settle,
        "reason": "; ".join(notes),
        "diverged": f"{evidence.diverged} of {n}",
        "per_point": evidence.per_point,
        "concerns": claim.concerns,
    }


def _warnings(claim: Claim, values: np.ndarray) -> list[str]:
    """Say where the interval deserves less trust: too many seeds with the same value or with exact ties."""
    n = values.shape[-1]
    if claim.form == "exists":
        return []
    if np.ptp(values, axis=-1).max() <= st.IDENTICAL:
        unlike = 1 - ALPHA ** (1 / n)
        return [f"all {n} seeds gave the same value: up to {unlike:.0%} of seeds could still differ"]
    ties = int((np.abs(values) <= st.IDENTICAL).sum(axis=-1).max())
    if claim.form in IN_RANKS or ties < TIES * n:
        return []
    return [f"{ties} of {n} seeds tie exactly: at a ceiling the interval is too narrow"]


def _power(claim: Claim, evidence: Evidence, alpha: float) -> tuple[float | None, int | None]:
    """Return the smallest detectable effect at 80 % power and the seeds that would settle the claim."""
    if claim.form == "exists":
        return st.smallest_detectable_share(evidence.n, claim.share, alpha), None
    values = np.atleast_2d(evidence.values)
    sd = float(values[values.mean(axis=1).argmin()].std(ddof=1))  # of the toughest rival
    return (
        st.smallest_detectable(sd, evidence.n, alpha),
        st.seeds_to_settle(sd, evidence.n, claim.margin, alpha),
    )


def _unsettled(claim: Claim, n: int, seeds: int, detectable: float | None, settle: int | None) -> str:
    """Say what an inconclusive claim could have shown, and why it could not show less."""
    power = "never show such a share" if detectable is None else f"show {detectable:.3g} with 80 % power"
    told = f"undecided: {n} seeds can {power}"
    if claim.form != "exists":
        more = "over 100,000" if settle is None else str(settle)
        told += f", the margin is {claim.margin:g}, and {more} seeds would settle it"
    return f"{told}; the study fixed {seeds}"
