"""A single tree of mean targets.

Source: Breiman, Friedman, Olshen and Stone 1984 as in scikit-learn's `DecisionTreeRegressor`.
Shapes: x_ND, target_N, weights_N -> an estimator with `predict`.
Units: `min_samples_leaf` counts rows.
Raises: nothing.
Differs from the source: not pruned.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Grow one tree."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True

    min_samples_leaf: Annotated[int, Ge(1)] = 5
    """Rows that a leaf must hold."""

    def fit(self, x_ND: "np.ndarray", target_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> Any:
        """Return the fitted model."""
        from sklearn.tree import DecisionTreeRegressor

        tree = DecisionTreeRegressor(min_samples_leaf=self.min_samples_leaf, random_state=seed)
        return tree.fit(x_ND, target_N, weights_N)
