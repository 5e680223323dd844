"""A classification tree grown until its leaves are pure: the classical model that oversampling overfits.

Source: Breiman et al. 1984 (CART) as in scikit-learn's `DecisionTreeClassifier`. Chawla et al. 2002 report
that replicating minority examples makes the decision regions of a tree smaller and more specific.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `max_depth` counts splits above a leaf.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

if TYPE_CHECKING:
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier


@dataclass(frozen=True)
class Method:
    """Fit one tree; the seed breaks ties between equally good splits."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"min_samples_leaf": 5},
        {"max_depth": 6},
        {"min_samples_leaf": 20},
        {"max_depth": 3},
        {"max_depth": 10, "min_samples_leaf": 5},
        {"max_depth": 6, "min_samples_leaf": 20},
        {"min_samples_leaf": 50},
        {"max_depth": 15},
    )

    min_samples_leaf: Annotated[int, Ge(1)] = 1
    """Examples (copies counted) that a leaf must hold."""
    max_depth: Annotated[int, Ge(1)] | None = None
    """Most splits above a leaf; None grows until leaves are pure or too small."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "DecisionTreeClassifier":
        """Return the fitted tree."""
        from sklearn.tree import DecisionTreeClassifier

        tree = DecisionTreeClassifier(
            max_depth=self.max_depth, min_samples_leaf=self.min_samples_leaf, random_state=seed
        )
        return tree.fit(x_ND, y_N, sample_weight=weights_N)
