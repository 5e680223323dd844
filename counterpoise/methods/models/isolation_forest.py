"""A forest of random splits that takes a row for the stranger, the sooner it is alone; it learns without labels.

Source: Liu, Ting and Zhou 2008, "Isolation forest", as in scikit-learn's `IsolationForest`.
Shapes: x_ND, y_N -> an estimator with `predict_proba`.
Units: `samples` counts rows.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: of the labels the shares of the classes are used: the rarest is the anomaly, and scores become
probabilities by a sigmoid at the threshold that as many training rows exceed (models/_anomalies.py).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Le

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np

    from counterpoise.methods.models._anomalies import Detector


@dataclass(frozen=True)
class Method:
    """Grow the trees on all rows."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = False
    missing: ClassVar[bool] = True
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"samples": 64},
        {"samples": 1024},
        {"max_features": 0.5},
        {"n_estimators": 300},
        {"samples": 64, "max_features": 0.5},
        {"samples": 1024, "max_features": 0.5},
        {"samples": 1024, "n_estimators": 300},
    )

    n_estimators: Annotated[int, Ge(1)] = 100
    """Trees."""
    samples: Annotated[int, Ge(2)] = 256
    """Rows that a tree is grown on; fewer where there are not so many."""
    max_features: Annotated[float, Gt(0), Le(1)] = 1.0
    """Share of the columns that a tree is grown on."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "Detector":
        """Return the fitted forest as a classifier."""
        from sklearn.ensemble import IsolationForest

        from counterpoise.methods.models._anomalies import Detector

        classes_of(y_N, "isolation_forest")
        forest = IsolationForest(
            n_estimators=self.n_estimators,
            max_samples=min(self.samples, len(x_ND)),
            max_features=self.max_features,
            n_jobs=1,
            random_state=seed,
        ).fit(x_ND)
        return Detector(forest, forest.score_samples(x_ND), y_N)
