"""Gradient-boosted trees grown leaf by leaf, LightGBM's.

Source: Ke et al. 2017 as in the package `lightgbm`; the GBDT of the self-paced-ensemble paper (Liu et al. 2020).
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `n_estimators` counts rounds (a tree for each class beyond two).
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: one thread, and the package's deterministic mode with columns' histograms.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np
    from lightgbm import LGBMClassifier


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
        {"num_leaves": 7},
        {"learning_rate": 0.3},
        {"min_child_samples": 5},
        {"n_estimators": 300},
        {"l2": 10.0},
        {"num_leaves": 63, "learning_rate": 0.05},
        {"num_leaves": 7, "n_estimators": 300},
    )

    n_estimators: Annotated[int, Ge(1)] = 100
    """Rounds."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    """Share of each tree that is kept."""
    num_leaves: Annotated[int, Ge(2)] = 31
    """Most leaves of a tree."""
    min_child_samples: Annotated[int, Ge(1)] = 20
    """Rows that a leaf must hold."""
    l2: Annotated[float, Ge(0)] = 0.0
    """Strength of the L2 penalty on values of leaves."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "LGBMClassifier":
        """Return the fitted trees."""
        from lightgbm import LGBMClassifier

        classes_of(y_N, "lightgbm")
        trees = LGBMClassifier(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            num_leaves=self.num_leaves,
            min_child_samples=self.min_child_samples,
            reg_lambda=self.l2,
            deterministic=True,
            force_col_wise=True,
            n_jobs=1,
            random_state=seed,
            verbosity=-1,
        )
        return trees.fit(x_ND, y_N, sample_weight=weights_N)
