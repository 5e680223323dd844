"""Gradient-boosted trees on binned columns, scikit-learn's own.

Source: Friedman 2001 on histograms, as in scikit-learn's `HistGradientBoostingClassifier`; for LightGBM and XGBoost
see those.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `n_estimators` counts rounds (a tree for each class beyond two).
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: early stopping is off, so that all rows train and the number of rounds is the number asked
for.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier


@dataclass(frozen=True)
class Method:
    """Boost for a fixed number of rounds."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"learning_rate": 0.03, "n_estimators": 300},
        {"max_leaf_nodes": 7},
        {"learning_rate": 0.3},
        {"min_samples_leaf": 5},
        {"n_estimators": 300},
        {"l2_regularization": 10.0},
        {"max_leaf_nodes": 63, "learning_rate": 0.05},
        {"max_leaf_nodes": 7, "n_estimators": 300},
    )

    n_estimators: Annotated[int, Ge(1)] = 100
    """Rounds."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    """Share of each tree that is kept."""
    max_leaf_nodes: Annotated[int, Ge(2)] = 31
    """Most leaves of a tree."""
    min_samples_leaf: Annotated[int, Ge(1)] = 20
    """Rows that a leaf must hold."""
    l2_regularization: Annotated[float, Ge(0)] = 0.0
    """Strength of the L2 penalty on values of leaves."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "HistGradientBoostingClassifier":
        """Return the fitted trees."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        classes_of(y_N, "gradient_boosting")
        trees = HistGradientBoostingClassifier(
            max_iter=self.n_estimators,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=False,
            random_state=seed,
        )
        return trees.fit(x_ND, y_N, sample_weight=weights_N)
