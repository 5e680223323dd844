"""Gradient-boosted trees of the target grown leaf by leaf, LightGBM's.

Source: Ke et al. 2017 as in the package `lightgbm`.
Shapes: x_ND, target_N, weights_N -> an estimator with `predict`.
Units: `n_estimators` counts rounds.
Raises: nothing.
Differs from the source: one thread, and the package's deterministic mode with columns' histograms.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Method:
    """Boost for a fixed number of rounds."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    regressor: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = True

    n_estimators: Annotated[int, Ge(1)] = 100
    """Rounds."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    """Share of each tree that is kept."""
    num_leaves: Annotated[int, Ge(2)] = 31
    """Most leaves of a tree."""
    min_child_samples: Annotated[int, Ge(1)] = 20
    """Rows that a leaf must hold."""

    def fit(self, x_ND: "np.ndarray", target_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> Any:
        """Return the fitted model."""
        from lightgbm import LGBMRegressor

        trees = LGBMRegressor(
            n_estimators=self.n_estimators,
            learning_rate=self.learning_rate,
            num_leaves=self.num_leaves,
            min_child_samples=self.min_child_samples,
            deterministic=True,
            force_col_wise=True,
            n_jobs=1,
            random_state=seed,
            verbosity=-1,
        )
        return trees.fit(x_ND, target_N, sample_weight=weights_N)
