"""The effect of each form of claim on the tidy table, seed by seed.

The unit is the seed: a claim's difference is averaged over its grid points within each seed first, and only
seeds present at every point in every arm count. Pooling seeds and points instead would be
pseudo-replication (Hurlbert 1984). Statistics and verdict rules: `counterpoise.judging.statistics`.

The table has one row per (case, point, seed, selection, split, metric, class); `point` names the grid point
and further columns hold its factors under their full dotted names. An optional column `diverged` marks the
rows of seeds that evaluation scored at chance.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from counterpoise.errors import UserError, nearest
from counterpoise.judging import statistics as st
from counterpoise.judging.claims import Claim, full_names
from counterpoise.scoring.names import bounds, difference

ALPHA = 0.05
CLIP = 1e-6  # keeps the logit of a metric finite
DOMINATED = 0.9  # share of grid points at which the dominating case may not be worse
BASE_COLUMNS = ("case", "point", "seed", "selection", "split", "metric", "class", "value", "diverged")


@dataclass(frozen=True)
class Resampling:
    """How the seeds of a study resample the rows of one table, if they do."""

    folds: int = 1
    """Seeds that make one repetition of a cross-validation."""
    overlap: float = 0.0
    """Rows tested on over rows trained on; 0 where the test part is the same for every seed."""


ALONE = Resampling()


@dataclass(frozen=True)
class Evidence:
    """What the table says on one claim, before any level is chosen."""

    values: np.ndarray
    """One value a seed (or a table), shape N; for `dominates` JN, the difference to each of j rivals."""
    quantity: str
    per_point: list[dict[str, Any]]
    notes: list[str]
    diverged: int = 0
    widely: bool = True
    """Whether a dominating case keeps up at enough grid points."""
    unit: str = "seeds"
    """What the values are of."""
    overlap: float = 0.0
    """Of seeds that resample one table: `statistics.widened` must be applied before any test."""
    limits: tuple[float, float] = (-1.0, 1.0)
    """The least and the largest effect that there can be, where an interval that is shown ends."""

    @property
    def n(self) -> int:
        """Number of complete seeds."""
        return self.values.shape[-1]


@dataclass(frozen=True)
class Arms:
    """Values of complete seeds: one row a seed, columns (case, point)."""

    wide: pd.DataFrame
    factors: pd.DataFrame  # indexed by point
    diverged: int
    gaps: list[str]


def arms_of(claim: Claim, table: pd.DataFrame, seeds: Collection[int], *cases: str) -> Arms:
    """Collect those of `seeds` that are present at all points in all `cases`; name the gaps.

    A grid point exists as soon as any case of the study has rows there, so an arm that failed leaves a gap
    and does not shrink the claim. Raises UserError on NaN, infinity and duplicate rows.
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
    value = rows["value"].astype(float)
    faults = {"NaN": value.isna(), "an infinite value": value.abs() == np.inf}
    faults["two values"] = rows.duplicated(["case", "point", "seed"])
    for fault, found in faults.items():
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
    return Arms(complete, points, len(chance & set(complete.index)), gaps)


def _logit(value: Any) -> Any:
    clipped = np.clip(value, CLIP, 1 - CLIP)
    return np.log(clipped / (1 - clipped))


def arm_of(wide: pd.DataFrame, case: str) -> pd.DataFrame:
    """Return one case, seeds x points. Plain indexing turns the point "" into a Series, and fails without points."""
    return wide.loc[:, wide.columns.get_level_values("case") == case].droplevel("case", axis=1)


def _contrast(claim: Claim, wide: pd.DataFrame, rival: str | float) -> pd.DataFrame:
    """Return the signed difference of A and a rival, seeds x points: positive where A does better."""
    fixed = rival if isinstance(rival, str) or claim.transform == "none" else _logit(rival)
    difference = arm_of(wide, claim.A) - (arm_of(wide, rival) if isinstance(rival, str) else fixed)
    return -difference if claim.lower_is_better else difference


def _limits(claim: Claim, rival: str | float) -> tuple[float, float]:
    """Return the least and the largest difference of A and a rival, as `_contrast` signs it."""
    if claim.transform != "none":
        return -np.inf, np.inf
    of = bounds(claim.metric, claim.selection, claim.split)
    low, high = difference(of) if isinstance(rival, str) else (of[0] - rival, of[1] - rival)
    return (-high, -low) if claim.lower_is_better else (low, high)


def _describe(label: str, values: np.ndarray, limits: tuple[float, float]) -> dict[str, Any]:
    """Describe one grid point: effects there are shown, never tested."""
    if len(values) < 2:
        effect = float(values[0]) if len(values) else None
        return {"point": label, "effect": effect, "sd": None, "interval": None}
    mean, low, high = (float(x) for x in st.t_interval(values, ALPHA))
    return {
        "point": label,
        "effect": mean,
        "sd": float(np.std(values, ddof=1)),
        "interval": st.limited(low, high, limits),
    }


def _by_point(values: pd.DataFrame, limits: tuple[float, float]) -> list[dict[str, Any]]:
    return [_describe(str(point), values[point].to_numpy(), limits) for point in values]


def measure(
    claim: Claim,
    table: pd.DataFrame,
    seeds: Collection[int],
    references: Sequence[Mapping],
    resampling: Resampling = ALONE,
) -> Evidence:
    """Measure a claim on the complete ones of `seeds`; `references` hold the published values of `against`."""
    if claim.form in ("exists", "depends") and resampling.overlap and not claim.across:
        raise UserError(
            f"claim '{claim.text}': form {claim.form} takes independent runs, which folds of a table are not"
        )
    if claim.form == "ranks":
        return _ranking(claim, table, seeds, references, resampling)
    if claim.form == "depends":
        return _dependence(claim, table, seeds)
    return (_dominance if claim.form == "dominates" else _difference)(claim, table, seeds, resampling)


def _units(
    claim: Claim, differences: list[pd.DataFrame], factors: pd.DataFrame, resampling: Resampling
) -> tuple[np.ndarray, str, float]:
    """Return one value a unit of each difference (seeds x points), what the unit is, and the overlap of resamplings.

    Across tables the unit is the table. Otherwise it is the seed; but what a published number of the same table is
    held to is a repetition of the cross-validation, since the rows are then given and only the folds are drawn.
    """
    if claim.across:
        level = factors[claim.across]
        # Without a complete seed, every mean would be NaN.
        levels = [d.mean(axis=0).groupby(level).mean().to_numpy() if len(d) else np.empty(0) for d in differences]
        return np.stack(levels), "tables" if claim.across == "data" else f"values of {claim.across}", 0.0
    means = [d.mean(axis=1) for d in differences]
    if claim.form == "close" and not isinstance(claim.to, str) and resampling.folds > 1:
        runs = [repetitions(mean, resampling.folds).to_numpy() for mean in means]
        return np.stack(runs), "repetitions", 0.0
    return np.stack([mean.to_numpy() for mean in means]), "seeds", resampling.overlap


def repetitions(values: pd.Series, folds: int) -> pd.Series:
    """Return the mean over the folds of each repetition that is complete, from one value a seed."""
    held = values.groupby(values.index // folds).agg(["mean", "count"])
    return held.loc[held["count"] == folds, "mean"]


def _difference(claim: Claim, table: pd.DataFrame, seeds: Collection[int], resampling: Resampling) -> Evidence:
    """Measure `better`, `no_worse`, `close`, `interaction` and `exists`: a mean difference a unit."""
    arms = arms_of(claim, table, seeds)
    rival = claim.to if claim.form == "close" else claim.B
    assert not isinstance(rival, tuple)
    contrast, limits = _contrast(claim, arms.wide, rival), _limits(claim, rival)
    words = f"{rival} minus {claim.A}" if claim.lower_is_better else f"{claim.A} minus {rival}"
    if claim.form == "interaction":
        contrast, limits = contrast - _contrast(replace(claim, A=claim.C), arms.wide, claim.D), difference(limits)
        other = f"{claim.D} minus {claim.C}" if claim.lower_is_better else f"{claim.C} minus {claim.D}"
        words = f"({words}) minus ({other})"
    (values,), unit, overlap = _units(claim, [contrast], arms.factors, resampling)
    per_point = _by_point(contrast, limits)
    if claim.form == "exists":
        limits = (0.0, 1.0)
        values, words = (values >= claim.margin).astype(float), f"share of {unit} with {words} >= {claim.margin:g}"
    return Evidence(values, words, per_point, arms.gaps, arms.diverged, unit=unit, overlap=overlap, limits=limits)


def _dominance(claim: Claim, table: pd.DataFrame, seeds: Collection[int], resampling: Resampling) -> Evidence:
    """Measure A against each rival; the points at which A trails the best of them by a margin."""
    arms = arms_of(claim, table, seeds)
    assert isinstance(claim.B, tuple)
    rivals = [_contrast(claim, arms.wide, rival) for rival in claim.B]
    values, unit, overlap = _units(claim, rivals, arms.factors, resampling)
    if not values.size:
        return Evidence(values, f"{claim.A} minus the best other", [], arms.gaps)
    points = np.stack([difference.mean(axis=0).to_numpy() for difference in rivals]).min(axis=0)
    kept, best = int((points >= -claim.margin).sum()), int(values.mean(axis=1).argmin())
    notes = [*arms.gaps, f"within {claim.margin:g} of the best at {kept} of {len(points)} grid points"]
    words = f"{claim.A} minus the best other ({claim.B[best]})"
    widely = kept >= DOMINATED * len(points)
    limits = _limits(claim, claim.B[best])
    per_point = _by_point(rivals[best], limits)
    return Evidence(values, words, per_point, notes, arms.diverged, widely, unit, overlap, limits)


def _dependence(claim: Claim, table: pd.DataFrame, seeds: Collection[int]) -> Evidence:
    """Measure how the best level moves with a factor: each seed's Spearman correlation (1904) of the two.

    Its mean over seeds is a linear function of Page's L (1963). Levels that tie share the optimum, which is
    then their mean; an optimum that never moves counts as 0.
    """
    arms = arms_of(claim, table, seeds)
    words = f"mean rank correlation of the best level ({', '.join(claim.levels)}) with {claim.factor}"
    extent = pd.to_numeric(arms.factors[claim.factor], errors="coerce")
    if extent.isna().any():
        raise UserError(f"table: {claim.factor}: found values that have no order, expected numbers")
    if extent.nunique() < 2 or arms.wide.empty:
        few = [] if arms.gaps else [f"gap: {claim.factor} was run at fewer than two values"]
        return Evidence(np.empty(0), words, [], arms.gaps + few)
    sign = -1 if claim.lower_is_better else 1
    scores = np.stack(
        [sign * arm_of(arms.wide, case).T.groupby(extent).mean().T.to_numpy() for case in claim.levels], -1
    )
    best = scores >= scores.max(-1, keepdims=True) - st.IDENTICAL
    optimum = pd.DataFrame((best * list(claim.levels.values())).sum(-1) / best.sum(-1), columns=sorted(set(extent)))
    ranks = optimum.rank(axis=1).to_numpy()
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    order = np.arange(extent.nunique()) - (extent.nunique() - 1) / 2
    norm = np.linalg.norm(ranks, axis=1) * np.linalg.norm(order)
    rho = np.divide(ranks @ order, norm, out=np.zeros(len(ranks)), where=norm > 0)
    extent_of_levels = min(claim.levels.values()), max(claim.levels.values())
    per_point = [
        _describe(f"{claim.factor}={value:g}", optimum[value].to_numpy(), extent_of_levels) for value in optimum
    ]
    return Evidence(-rho if claim.direction == "down" else rho, words, per_point, arms.gaps, arms.diverged)


def _ranking(
    claim: Claim, table: pd.DataFrame, seeds: Collection[int], references: Sequence[Mapping], resampling: Resampling
) -> Evidence:
    """Measure each seed's Kendall tau (1938) over published pairs: pairs kept minus pairs turned round."""
    kept: list[pd.Series] = []
    notes: list[str] = []
    diverged = 0
    pairs = list(_published_pairs(claim, table, references)) or [(a, b, claim.on, None) for a, b in claim.pairs]
    for better, worse, on, published in pairs:
        arms = arms_of(replace(claim, on=on), table, seeds, better, worse)
        difference = _contrast(replace(claim, A=better), arms.wide, worse).mean(axis=1)
        if resampling.folds > 1:  # the order of a table is that of its repetitions' means
            difference = repetitions(difference, resampling.folds)
        diverged, notes = max(diverged, arms.diverged), notes + arms.gaps
        if published is None or len(difference) < 2 or _exceeds_noise(published, float(difference.std())):
            kept.append(difference.rename(f"{better} > {worse}"))
    table_of_pairs = pd.concat(kept, axis=1, join="inner") if kept else pd.DataFrame()
    notes = list(dict.fromkeys(notes)) + ([] if kept else ["gap: no published pair differs by more than noise"])
    signs = table_of_pairs.where(table_of_pairs.abs() > st.IDENTICAL, 0.0).apply(np.sign)
    per_pair = [_describe(str(pair), signs.iloc[:, i].to_numpy(), (-1.0, 1.0)) for i, pair in enumerate(signs)]
    words = f"mean Kendall tau over {len(kept)} published pairs"
    unit = "repetitions" if resampling.folds > 1 else "seeds"
    return Evidence(signs.mean(axis=1).to_numpy(), words, per_pair, notes, diverged, unit=unit)


def _published_pairs(claim: Claim, table: pd.DataFrame, references: Sequence[Mapping]) -> Iterator[tuple]:
    """Yield (better, worse, on, the two references) for each two published values at the same point."""
    chosen = [references[index] for index in claim.against]
    for one, two in combinations(chosen, 2):
        if one.get("at", {}) != two.get("at", {}) or one["value"] == two["value"]:
            continue
        better, worse = (one, two) if (one["value"] > two["value"]) != claim.lower_is_better else (two, one)
        yield better["case"], worse["case"], place_of(claim, one, table), (better, worse)


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


def place_of(claim: Claim, reference: Mapping, table: pd.DataFrame) -> dict[str, tuple]:
    """Return the part of the grid that a published value describes."""
    factors = [str(column) for column in table if column not in BASE_COLUMNS]
    place = dict(claim.on)
    for name, value in reference.get("at", {}).items():
        found = full_names(name, factors)
        if len(found) != 1:
            raise UserError(f"reference: at: found {name!r}, expected one factor of this grid{nearest(name, factors)}")
        place[found[0]] = (value,)
    return place
