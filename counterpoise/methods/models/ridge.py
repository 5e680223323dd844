"""Linear regression with an L2 penalty.

Source: Hoerl and Kennard 1970 as in scikit-learn's `Ridge`.
Shapes: x_ND, target_N, weights_N -> an estimator with `predict`.
Units: `alpha` is in squared units of the columns: scale them first.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Ridge regression; the seed changes nothing."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False

    alpha: Annotated[float, Ge(0)] = 1.0
    """Strength of the penalty; 0 for least squares."""

    def fit(self, x_ND: "np.ndarray", target_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> Any:
        """Return the fitted model."""
        from sklearn.linear_model import Ridge

        return Ridge(self.alpha, solver="svd").fit(x_ND, target_N, weights_N)
