"""BalanceCascade: members on level subsets, after each of which the larger classes lose the rows that are well learned.

Source: Liu, Wu and Zhou 2009, algorithm 2 (recalled: its text was not to be had), the members' base being AdaBoost
there; first release, of github.com/ZhiningLiu1998/self-paced-ensemble @83dd4fa and mesa,
baselines/canonical_ensemble.py; official code github.com/ZhiningLiu1998/imbalanced-ensemble,
ensemble/_under_sampling/balance_cascade.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: the paper adds up raw scores less each node's threshold, the peers and we average
probabilities; between rows that score the same chance decides, elsewhere the order of the sort; several classes, each
larger one losing rows by itself, as the official code does it. The first release drops rows by the class that all
members so far give together, and has one member fewer than was asked for. The official code draws with replacement,
from the smallest class too, drops rows before a member is fitted and by the members before it (so at first rows that
nothing was learned about), and keeps (least / n) ** (1 / T) of a class in a round, not 1 / (T - 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import Mean, OnBase, among, counted, default, learner, seeds
from counterpoise.methods.models._subsets import Rows, by_class, undersampled


@dataclass(frozen=True)
class Method(OnBase):
    """Fit, score the larger classes, keep the worst learned."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 20},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "min_samples_leaf": 5}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"n_estimators": 10},
        {"base": {"name": "adaboost", "n_estimators": 10}, "n_estimators": 10},
        {"base": {"name": "decision_tree", "min_samples_leaf": 20}},
    )

    base: dict = default("decision_tree")
    """The model that is fitted on each subset."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Members."""
    variant: Literal["paper", "first_release", "official_code"] = "paper"
    """Rows dropped by the newest member, by the class that all give, or by the earlier ones before it is fitted."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Mean:
        """Return the mean of the members."""
        classes_C, codes_N = classes_of(y_N, "balance_cascade")
        fit = learner("balance_cascade", self.base, weights=weights_N is not None)
        official, release = self.variant == "official_code", self.variant == "first_release"
        random, members = seeds(seed, max(self.n_estimators - release, 1))
        kept = by_class(codes_N)
        sizes_TC = sizes(np.bincount(codes_N), self.n_estimators, self.variant)
        own_N = np.zeros(len(y_N))  # of rows of larger classes: probability of their class
        estimators: list[Any] = []
        seen = []
        for done, member in enumerate(members, 1):
            at_M = undersampled(kept, random, replacement=official)
            if official:
                kept = _dropped(kept, own_N, sizes_TC[done - 1], random)
            weights = () if weights_N is None else (weights_N[at_M],)
            estimators.append(fit(x_ND[at_M], y_N[at_M], member, *weights))
            seen.append(counted(y_N[at_M], classes_C))
            if done == len(members):
                break
            for code, rows_K in enumerate(kept):
                if len(rows_K) > sizes_TC[-1, code]:
                    newest_K = among(estimators[-1], x_ND[rows_K], classes_C)[:, code]
                    own_N[rows_K] = newest_K if self.variant == "paper" else own_N[rows_K] + newest_K
            if not official:
                score_N = own_N / done >= 0.5 if release else own_N
                kept = _dropped(kept, score_N, sizes_TC[done - 1], random)
        return Mean(estimators, classes_C, seen)


def sizes(counts_C: np.ndarray, rounds: int, variant: str) -> np.ndarray:
    """Return sizes_TC, the rows of each class that are kept after each round; never fewer than the smallest has."""
    least, steps = counts_C.min(), rounds if variant == "official_code" else max(rounds - 1, 1)
    share_C = (least / counts_C) ** (1 / steps)
    done_T = np.arange(1, rounds + 1)[:, None]
    return np.maximum((counts_C * share_C**done_T + 1e-5).astype(np.int64), least)


def hardest(own_K: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    """Return the positions of the `size` rows whose own class is least probable; chance decides between equal ones."""
    shuffled_K = random.permutation(len(own_K))
    return shuffled_K[np.argsort(own_K[shuffled_K], kind="stable")[:size]]


def _dropped(kept: Rows, own_N: np.ndarray, sizes_C: np.ndarray, random: np.random.Generator) -> Rows:
    pairs = zip(kept, sizes_C, strict=True)
    return [r if len(r) <= size else r[hardest(own_N[r], size, random)] for r, size in pairs]
