"""SMOTEBoost: boosting whose every round adds synthetic rows of the smaller classes.

Source: Chawla, Lazarevic, Hall and Bowyer 2003, the algorithm of figure 1 on AdaBoost.M2 (recalled: its text was not
to be had); github.com/ZhiningLiu1998/imbalanced-ensemble, ensemble/_over_sampling/smote_boost.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `amount` is synthetic rows for each row of a smaller class.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: a synthetic row has the mean weight (the paper does not say; the code does the same); the
pseudo-loss has the factor 1/2 of Freund and Schapire 1997, without which it is not below 1; a round no better than
chance gets no vote instead of ending the boosting; the neighbours are found once; a class with fewer rows than
neighbours uses those that it has, one row its copies. The official code draws synthetic rows in the first round only,
because it keeps them and the classes are then level: SMOTE once, then AdaBoost (SAMME).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt

from counterpoise.methods.models._boosting import Draw, by_classes, by_probabilities, started
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import default, learner
from counterpoise.methods.models._subsets import by_class
from counterpoise.methods.models._synthetic import between, neighbours


@dataclass(frozen=True)
class Method:
    """Boost on the rows and, in each round, other synthetic ones."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "max_depth": 3}},
        {"base": {"name": "decision_tree", "max_depth": 6}},
        {"amount": 1.0},
        {"n_estimators": 100, "base": {"name": "decision_tree", "max_depth": 3}},
        {"amount": 1.0, "base": {"name": "decision_tree", "max_depth": 3}},
        {"amount": 5.0, "base": {"name": "decision_tree", "max_depth": 6}},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds."""
    amount: Annotated[float, Gt(0)] | None = None
    """Synthetic rows for each row of a smaller class; None levels all classes with the largest."""
    neighbors: Annotated[int, Ge(1)] = 5
    """Neighbours of the same class between which synthetic rows lie."""
    variant: Literal["paper", "official_code"] = "paper"
    """Synthetic rows in every round of AdaBoost.M2, or once before SAMME."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Any:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "smote_boost")
        fit = learner("smote_boost", self.base, weights=True)
        weights_N = started(weights_N, len(y_N))
        draw = enlarged(x_ND, codes_N, classes_C, self.amount, self.neighbors)
        if self.variant == "paper":
            return by_probabilities(fit, (x_ND, codes_N, classes_C), weights_N, self.n_estimators, seed, draw)
        x_MD, y_M, weights_M = draw(weights_N, np.random.default_rng(seed))
        codes_M = np.searchsorted(classes_C, y_M)
        return by_classes(fit, (x_MD, codes_M, classes_C), weights_M, self.n_estimators, seed)


def enlarged(x_ND: np.ndarray, codes_N: np.ndarray, classes_C: np.ndarray, amount: float | None, count: int) -> Draw:
    """Return what gives all rows and, of each smaller class, synthetic ones of the mean weight."""
    groups = by_class(codes_N)
    sizes_C = np.array([len(rows_K) for rows_K in groups])
    more_C = sizes_C.max() - sizes_C if amount is None else np.rint(amount * sizes_C * (sizes_C < sizes_C.max()))
    more_C = more_C.astype(np.int64)
    near = {code: neighbours(x_ND[groups[code]], count) for code in np.flatnonzero(more_C)}

    def draw(weights_N: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        new = [between(x_ND[groups[code]], near[code], more_C[code], random) for code in near]
        codes_M = np.append(codes_N, np.repeat(np.arange(len(more_C)), more_C))
        weights_M = np.append(weights_N, np.full(more_C.sum(), weights_N.mean()))
        return np.concatenate([x_ND, *new]), classes_C[codes_M], weights_M

    return draw
