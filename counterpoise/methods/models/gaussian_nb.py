"""Naive Bayes with one normal distribution for each class and column.

Source: the standard model as in scikit-learn's `GaussianNB`; one of the models of the MESA paper's table of Protein
homology.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `smoothing` is a share of the largest variance of a column.
Raises: nothing.
Differs from the source: where no column varies, probabilities are the shares of the classes, not NaN.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Gt

if TYPE_CHECKING:
    import numpy as np
    from sklearn.dummy import DummyClassifier
    from sklearn.naive_bayes import GaussianNB


@dataclass(frozen=True)
class Method:
    """Estimate means, variances and shares of the classes; the seed changes nothing."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"smoothing": 1e-06},
        {"smoothing": 0.001},
        {"smoothing": 0.01},
        {"smoothing": 0.1},
        {"smoothing": 1e-07},
        {"smoothing": 1e-05},
        {"smoothing": 1.0},
    )

    smoothing: Annotated[float, Gt(0)] = 1e-9
    """Share of the largest variance that is added to every variance."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "GaussianNB | DummyClassifier":
        """Return the fitted model."""
        from sklearn.dummy import DummyClassifier
        from sklearn.naive_bayes import GaussianNB

        if not x_ND.var(0).any():
            return DummyClassifier(strategy="prior").fit(x_ND, y_N, weights_N)
        return GaussianNB(var_smoothing=self.smoothing).fit(x_ND, y_N, sample_weight=weights_N)
