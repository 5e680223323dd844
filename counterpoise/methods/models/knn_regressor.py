"""The nearest neighbours are averaged.

Source: Cover and Hart 1967 as in scikit-learn's `KNeighborsRegressor`.
Shapes: x_ND, target_N, weights_N -> an estimator with `predict`.
Units: `neighbors` counts rows, distances are in the units of the columns: scale them first.
Raises: nothing.
Differs from the source: a training part of fewer rows than `neighbors` uses all of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Keep the rows; the seed changes nothing."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    weighted: ClassVar[bool] = False
    missing: ClassVar[bool] = False

    neighbors: Annotated[int, Ge(1)] = 5
    """Rows that are averaged."""

    def fit(self, x_ND: "np.ndarray", target_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> Any:
        """Return the fitted model."""
        from sklearn.neighbors import KNeighborsRegressor

        return KNeighborsRegressor(min(self.neighbors, len(x_ND))).fit(x_ND, target_N)
