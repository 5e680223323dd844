"""Logistic regression with an L2 penalty, the linear model of most studies of tables.

Source: the standard model as in scikit-learn's `LogisticRegression` (solver lbfgs); one of the models of Amin et al.
2024.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `C` is the inverse strength of the penalty, `max_iter` counts steps of the solver.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: up to 1,000 steps instead of 100.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np
    from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True)
class Method:
    """Fit one linear model; of three classes or more a multinomial one."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"C": 0.1},
        {"C": 10.0},
        {"C": 0.01},
        {"C": 100.0},
        {"C": 0.001},
        {"C": 1000.0},
        {"C": 0.3},
        {"C": 3.0},
    )

    C: Annotated[float, Gt(0)] = 1.0
    """Inverse strength of the penalty; rows weigh it as they weigh the loss."""
    max_iter: Annotated[int, Ge(1)] = 1000
    """Most steps of the solver."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "LogisticRegression":
        """Return the fitted model."""
        from sklearn.linear_model import LogisticRegression

        classes_of(y_N, "logistic_regression")
        model = LogisticRegression(C=self.C, max_iter=self.max_iter, random_state=seed)
        return model.fit(x_ND, y_N, sample_weight=weights_N)
