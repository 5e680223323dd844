"""Gradient-boosted trees with second-order steps, XGBoost's.

Source: Chen and Guestrin 2016 as in the package `xgboost` (`xgboost-cpu`), histogram trees.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `n_estimators` counts rounds (a tree for each class beyond two), `max_depth` splits above a leaf.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: classes may be any numbers (the package wants 0, 1, ... without a gap).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from counterpoise.methods.models._classical import Relabelled, classes_of

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Boost for a fixed number of rounds."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"learning_rate": 0.1, "n_estimators": 200},
        {"max_depth": 3},
        {"learning_rate": 0.1, "max_depth": 4, "n_estimators": 300},
        {"min_child_weight": 5.0},
        {"subsample": 0.8, "learning_rate": 0.1},
        {"l2": 10.0},
        {"learning_rate": 0.03, "n_estimators": 300},
        {"max_depth": 10, "learning_rate": 0.1},
    )

    n_estimators: Annotated[int, Ge(1)] = 100
    """Rounds."""
    learning_rate: Annotated[float, Gt(0)] = 0.3
    """Share of each tree that is kept."""
    max_depth: Annotated[int, Ge(1)] = 6
    """Depth of each tree."""
    min_child_weight: Annotated[float, Ge(0)] = 1.0
    """Sum of second derivatives that a leaf must hold."""
    subsample: Annotated[float, Gt(0), Le(1)] = 1.0
    """Share of the rows that each tree sees."""
    l2: Annotated[float, Ge(0)] = 1.0
    """Strength of the L2 penalty on values of leaves."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> Relabelled:
        """Return the fitted trees."""
        from xgboost import XGBClassifier

        classes_C, codes_N = classes_of(y_N, "xgboost")
        trees = XGBClassifier(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            max_depth=self.max_depth,
            min_child_weight=self.min_child_weight,
            subsample=self.subsample,
            reg_lambda=self.l2,
            tree_method="hist",
            n_jobs=1,
            random_state=seed,
            verbosity=0,
        )
        return Relabelled(trees.fit(x_ND, codes_N, sample_weight=weights_N), classes_C)
