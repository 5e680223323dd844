"""Trees on bootstrap samples, each split chosen among some of the columns, averaged.

Source: Breiman 2001 as in scikit-learn's `RandomForestClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `max_features` is a share of the columns.
Raises: nothing.
Differs from the source: trees give probabilities, which are averaged, where the paper counts votes.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from counterpoise.methods.models._classical import FOREST

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier


@dataclass(frozen=True)
class Method:
    """Grow the trees one after another."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = FOREST

    n_estimators: Annotated[int, Ge(1)] = 100
    """Trees."""
    min_samples_leaf: Annotated[int, Ge(1)] = 1
    """Rows (copies counted) that a leaf must hold."""
    max_depth: Annotated[int, Ge(1)] | None = None
    """Most splits above a leaf; None grows until leaves are pure or too small."""
    max_features: Annotated[float, Gt(0), Le(1)] | None = None
    """Share of the columns among which a split is chosen; None is the square root of their number."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "RandomForestClassifier":
        """Return the fitted forest."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features or "sqrt",
            n_jobs=1,
            random_state=seed,
        )
        return forest.fit(x_ND, y_N, sample_weight=weights_N)
