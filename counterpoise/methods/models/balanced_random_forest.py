"""A random forest whose every tree sees as many rows of each class as the smallest class has.

Source: Chen, Liaw and Breiman 2004, section 2.2, as in imbalanced-learn's `BalancedRandomForestClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `max_features` is a share of the columns.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: trees give probabilities, which are averaged, where the paper counts votes; no bootstrap
beside the balanced draw, which is with replacement from every class, as in the paper and the library since 0.13.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from counterpoise.methods.models._classical import FOREST, classes_of

if TYPE_CHECKING:
    import numpy as np
    from imblearn.ensemble import BalancedRandomForestClassifier


@dataclass(frozen=True)
class Method:
    """Draw a balanced bootstrap for each tree."""

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
    ) -> "BalancedRandomForestClassifier":
        """Return the fitted forest."""
        from imblearn.ensemble import BalancedRandomForestClassifier

        classes_of(y_N, "balanced_random_forest")
        forest = BalancedRandomForestClassifier(
            self.n_estimators,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features or "sqrt",
            sampling_strategy="all",
            replacement=True,
            bootstrap=False,
            n_jobs=1,
            random_state=seed,
        )
        return forest.fit(x_ND, y_N, sample_weight=weights_N)
