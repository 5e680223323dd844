"""Self-paced ensemble: members on level subsets, at first of rows of all hardness, later with more of the hard ones.

Source: Liu, Cao, Gao, Bian, Chen, Chang and Liu 2020, algorithm 1 (recalled: its text was not to be had); first
release github.com/ZhiningLiu1998/self-paced-ensemble @83dd4fa, src/self_paced_ensemble.py, which mesa's baselines
repeat; official code github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_under_sampling/self_paced_ensemble.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: hardness has none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: takes several classes, as the official code does: each larger one is sampled down to the
smallest. In the paper bins divide [0, 1] (up to the greatest hardness where that is more), alpha = tan(i pi / 2n),
and the member of the first, random subset gives hardness but no vote. In the first release bins divide [least,
greatest hardness], alpha = tan(i pi / 2(n - 1)), a bin gives at most one row more than its share, and all members
vote. In both a bin gives no row twice, and what a bin lacks is not made up. The official code has bins, alpha and
votes of the first release, but draws with replacement, from the smallest class too; tops shares up to the whole from
the fullest bins on; and divides the sum of i members by i + 1, so that everything looks harder than it is. (The older
package self-paced-ensemble 0.1.7 adds one row to each bin instead of topping up.) The first release averages classes,
mesa's copy probabilities, as we do; its default hardness, cross-entropy with label and prediction exchanged, is 9.2
times the absolute error (`hardness: mesa`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import Mean, OnBase, among, counted, default, learner, seeds
from counterpoise.methods.models._subsets import by_class, undersampled

Variant = Literal["paper", "first_release", "official_code"]


@dataclass(frozen=True)
class Method(OnBase):
    """Fit, score the larger classes, sample their bins of hardness."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 20},
        {"n_estimators": 100},
        {"bins": 10},
        {"base": {"name": "decision_tree", "min_samples_leaf": 5}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"bins": 5},
        {"n_estimators": 100, "base": {"name": "decision_tree", "min_samples_leaf": 5}},
        {"hardness": "cross_entropy"},
    )

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members that vote."""
    bins: Annotated[int, Ge(1), Le(65535)] = 20
    """Bins of hardness; the paper takes 20, the first release 10, the official code 5."""
    hardness: Literal["absolute_error", "squared_error", "cross_entropy", "mesa"] = "absolute_error"
    """How hard a row is, from the probability of its own class; the official code knows the first only."""
    variant: Literal["paper", "first_release", "official_code"] = "paper"
    """Whose bins, alpha, draws and votes."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "self_paced_ensemble")
        fit = learner("self_paced_ensemble", self.base, weights=weights_N is not None)
        paper, official = self.variant == "paper", self.variant == "official_code"
        random, members = seeds(seed, self.n_estimators + paper)
        groups = by_class(codes_N)
        least = min(len(rows_K) for rows_K in groups)
        larger = [code for code, rows_K in enumerate(groups) if len(rows_K) > least]
        x_of = {code: x_ND[groups[code]] for code in larger}
        own_of = {code: np.zeros(len(groups[code])) for code in larger}  # sums of the own class's probability
        estimators: list[Any] = []
        seen = []
        for done, member in enumerate(members):
            if done == 0:
                at_M = undersampled(groups, random, replacement=official)
            else:
                for code in larger:
                    own_of[code] += among(estimators[-1], x_of[code], classes_C)[:, code]
                alpha = pace(done, self.n_estimators, self.variant)
                scale = 1 / (done + official)
                hard_of = {code: hardness(own_of[code] * scale, self.hardness) for code in larger}
                drawn = [random.choice(r, least) if official else r for r in groups]
                for code in larger:
                    drawn[code] = groups[code][sample(hard_of[code], self.bins, alpha, least, self.variant, random)]
                at_M = np.concatenate(drawn)
            weights = () if weights_N is None else (weights_N[at_M],)
            estimators.append(fit(x_ND[at_M], y_N[at_M], member, *weights))
            seen.append(counted(y_N[at_M], classes_C))
        return Mean(estimators, classes_C, seen, [0.0] + [1.0] * self.n_estimators if paper else None)


def pace(done: int, rounds: int, variant: Variant) -> float:
    """Return alpha after `done` members: from 0 on it grows beyond all bounds."""
    steps = rounds if variant == "paper" else max(rounds - 1, 1)
    return float(np.tan(np.pi * 0.5 * (done / steps)))


def hardness(own_N: np.ndarray, how: str) -> np.ndarray:
    """Return how hard rows are from the probabilities of their own class."""
    if how == "cross_entropy":
        return -np.log(own_N.clip(1e-15, 1 - 1e-15))
    if how == "mesa":
        return -own_N * np.log1p(-1e-4) - (1 - own_N) * np.log(1e-4)
    return np.abs(1 - own_N) if how == "absolute_error" else (1 - own_N) ** 2


def binned(hardness_N: np.ndarray, bins: int, variant: Variant) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bin of each row (the last holds its upper edge), the rows of each bin, and their mean hardness."""
    least, most = float(hardness_N.min()), float(hardness_N.max())
    if variant == "paper":
        least, most = 0.0, max(1.0, most)
    edges_B = np.linspace(least, most, bins + 1)
    bin_N = ((hardness_N - least) * (bins / (most - least))).astype(np.int64).clip(0, bins - 1)
    bin_N -= (hardness_N < edges_B[bin_N]) & (bin_N > 0)  # a product may round to the wrong side of an edge
    bin_N += (hardness_N >= edges_B[bin_N + 1]) & (bin_N < bins - 1)
    rows_B = np.bincount(bin_N, minlength=bins)
    return bin_N, rows_B, np.bincount(bin_N, hardness_N, bins) / np.maximum(rows_B, 1)


def shares(rows_B: np.ndarray, mean_B: np.ndarray, alpha: float, total: int, variant: Variant) -> np.ndarray:
    """Return how many rows each bin gives: `total` by 1 / (mean hardness + alpha), nothing of an empty bin."""
    with np.errstate(divide="ignore"):
        weight_B = 1 / (mean_B + alpha)
    weight_B[~np.isfinite(weight_B)] = 0
    if variant != "official_code":
        weight_B[rows_B == 0] = 0
    if not weight_B.any():  # every row is in one bin, without hardness
        weight_B = (rows_B > 0).astype(float)
    share_B = total * weight_B / weight_B.sum()
    if variant == "first_release":
        return np.minimum(share_B.astype(np.int64) + 1, rows_B)
    if variant == "paper":
        given_B = share_B.astype(np.int64)
        nearest_B = np.argsort(given_B - share_B, kind="stable")  # largest remainders first, so that all is given
        given_B[nearest_B[: total - int(given_B.sum())]] += 1
        return np.minimum(given_B, rows_B)
    share_B = share_B * (total / (total - share_B[rows_B == 0].sum())) * (rows_B > 0)
    given_B = share_B.astype(np.int64)
    fullest = [b for b in np.flip(np.argsort(rows_B)) if rows_B[b]]
    for extra in range(total - int(given_B.sum())):
        given_B[fullest[extra % len(fullest)]] += 1
    return given_B


def sample(
    hardness_N: np.ndarray, bins: int, alpha: float, total: int, variant: Variant, random: np.random.Generator
) -> np.ndarray:
    """Return positions of about `total` rows, drawn evenly within each bin; evenly of all where none is harder."""
    official = variant == "official_code"
    if np.ptp(hardness_N) == 0:
        return random.choice(len(hardness_N), total, replace=official)
    bin_N, rows_B, mean_B = binned(hardness_N, bins, variant)
    given_B = shares(rows_B, mean_B, alpha, total, variant)
    by_bin = np.split(np.argsort(bin_N.astype(np.uint16), kind="stable"), np.cumsum(rows_B)[:-1])
    return np.concatenate([random.choice(b, g, replace=official) for b, g in zip(by_bin, given_B, strict=True) if g])
