"""Takes a row for the stranger, the sparser it lies than its neighbours do; it learns without labels.

Source: Breunig, Kriegel, Ng and Sander 2000, "LOF: identifying density-based local outliers", as in scikit-learn's
`LocalOutlierFactor`.
Shapes: x_ND, y_N -> an estimator with `predict_proba`.
Units: `neighbors` counts rows, distances are in the units of the columns: scale them first.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: of the labels the shares of the classes are used: the rarest is the anomaly, and the logarithms
of the factors become probabilities by a sigmoid at the threshold that as many training rows exceed
(models/_anomalies.py). A training part of no more rows than `neighbors` uses all others.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np

    from counterpoise.methods.models._anomalies import Detector


@dataclass(frozen=True)
class Method:
    """Keep the rows; the seed changes nothing."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = False
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"neighbors": 50},
        {"neighbors": 10},
        {"neighbors": 100},
        {"neighbors": 5},
        {"neighbors": 35},
        {"neighbors": 200},
        {"neighbors": 400},
    )

    neighbors: Annotated[int, Ge(1)] = 20
    """Rows that a row's density is compared with."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "Detector":
        """Return the neighbours as a classifier."""
        from sklearn.neighbors import LocalOutlierFactor

        from counterpoise.methods.models._anomalies import Detector

        classes_of(y_N, "local_outlier_factor")
        factor = LocalOutlierFactor(min(self.neighbors, len(x_ND) - 1), novelty=True, n_jobs=1).fit(x_ND)
        return Detector(factor, factor.negative_outlier_factor_, y_N, ratio=True)
