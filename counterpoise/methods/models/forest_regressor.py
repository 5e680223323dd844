"""Trees on bootstrap samples, averaged.

Source: Breiman 2001 as in scikit-learn's `RandomForestRegressor`.
Shapes: x_ND, target_N, weights_N -> an estimator with `predict`.
Units: `n_estimators` counts trees, `max_features` is a share of the columns.
Raises: nothing.
Differs from the source: one thread.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Grow a forest."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True

    n_estimators: Annotated[int, Ge(1)] = 100
    """Trees."""
    max_features: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Share of the columns that a split chooses from."""

    def fit(self, x_ND: "np.ndarray", target_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> Any:
        """Return the fitted model."""
        from sklearn.ensemble import RandomForestRegressor

        forest = RandomForestRegressor(self.n_estimators, max_features=self.max_features, n_jobs=1, random_state=seed)
        return forest.fit(x_ND, target_N, weights_N)
