"""RUSBoost: boosting whose every round leaves out rows of the larger classes.

Source: Seiffert, Khoshgoftaar, Van Hulse and Napolitano 2010, the algorithm of figure 1 on AdaBoost.M2 (recalled: its
text was not to be had); first release, of github.com/ZhiningLiu1998/self-paced-ensemble @83dd4fa and mesa,
baselines/canonical_ensemble.py; official code github.com/ZhiningLiu1998/imbalanced-ensemble,
ensemble/_under_sampling/rus_boost.py.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: none.
Raises: ImpossibleCell where the rows are all of one class; UserError for a base that takes no weights.
Differs from the source: the share of the minority after sampling, which the paper varies, is one half; the
pseudo-loss has the factor 1/2 of Freund and Schapire 1997, without which it is not below 1; a round no better than
chance gets no vote and the next draws other rows. The first release has beta = 1 / e in every round, hence equal
votes (it meant SAMME.R, and left out the logarithm), and adds up logarithms of probabilities where we add up
probabilities; it draws the majority with replacement, we do not. The official code boosts by classes (SAMME), draws
with replacement, from the smallest class too, and lets a member worse than chance vote against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.methods.models._boosting import Draw, by_classes, by_probabilities, started
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import OnBase, default, learner
from counterpoise.methods.models._subsets import by_class, undersampled


@dataclass(frozen=True)
class Method(OnBase):
    """Fit each round on as many rows of every class as the smallest has."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 100},
        {"base": {"name": "decision_tree", "max_depth": 3}},
        {"base": {"name": "decision_tree"}},
        {"n_estimators": 20},
        {"n_estimators": 100, "base": {"name": "decision_tree", "max_depth": 3}},
        {"n_estimators": 100, "base": {"name": "decision_tree"}},
        {"n_estimators": 20, "base": {"name": "decision_tree", "max_depth": 6}},
    )

    base: dict = default("decision_tree", max_depth=1)
    """The model that is boosted; it must take weights."""
    n_estimators: Annotated[int, Ge(1)] = 50
    """Rounds."""
    variant: Literal["paper", "first_release", "official_code"] = "paper"
    """AdaBoost.M2, the same with one beta for all rounds, or SAMME."""

    def fit(self, x_ND: np.ndarray, y_N: np.ndarray, seed: int, weights_N: np.ndarray | None = None) -> Any:
        """Return the boosted ensemble."""
        classes_C, codes_N = classes_of(y_N, "rus_boost")
        fit = learner("rus_boost", self.base, weights=True)
        data, weights_N = (x_ND, codes_N, classes_C), started(weights_N, len(y_N))
        draw = reduced(*data, replacement=self.variant == "official_code")
        if self.variant == "official_code":
            return by_classes(fit, data, weights_N, self.n_estimators, seed, draw=draw)
        beta = None if self.variant == "paper" else float(np.exp(-1))
        return by_probabilities(fit, data, weights_N, self.n_estimators, seed, draw, beta)


def reduced(x_ND: np.ndarray, codes_N: np.ndarray, classes_C: np.ndarray, *, replacement: bool) -> Draw:
    """Return what gives as many rows of each class as the smallest has, with their weights."""
    groups = by_class(codes_N)

    def draw(weights_N: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        positions_M = undersampled(groups, random, replacement=replacement)
        return x_ND[positions_M], classes_C[codes_N[positions_M]], weights_N[positions_M]

    return draw
