"""A support vector machine with a radial kernel, whose margins become probabilities by Platt's sigmoid.

Source: Cortes and Vapnik 1995 as in scikit-learn's `SVC`; Platt 1999 for probabilities, one sigmoid for each class
beyond two, as in scikit-learn's `CalibratedClassifierCV`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `gamma` is a factor on 1 / (D times the variance of x), so that 1 is scikit-learn's "scale".
Raises: ImpossibleCell where the rows are all of one class, or a class has one row: it cannot be held out.
Differs from the source: the sigmoid is fitted on margins of rows that were held out (5 stratified folds, fewer where
the smallest class has fewer rows), the machine itself on all rows; `SVC(probability=True)` did the same and is gone.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Gt

from counterpoise.methods.models._classical import classes_of

if TYPE_CHECKING:
    import numpy as np
    from sklearn.calibration import CalibratedClassifierCV

FOLDS = 5


@dataclass(frozen=True)
class Method:
    """Fit the machine and its sigmoid; both take the weights of the rows."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"C": 10.0},
        {"C": 0.1},
        {"gamma": 0.1},
        {"C": 10.0, "gamma": 0.1},
        {"C": 100.0, "gamma": 0.1},
        {"gamma": 10.0},
        {"C": 100.0},
        {"C": 100.0, "gamma": 0.01},
    )

    C: Annotated[float, Gt(0)] = 1.0
    """Price of a row on the wrong side of its margin."""
    gamma: Annotated[float, Gt(0)] = 1.0
    """Narrowness of the kernel."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "CalibratedClassifierCV":
        """Return the calibrated machine."""
        import numpy as np
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.model_selection import StratifiedKFold
        from sklearn.svm import SVC

        _, codes_N = classes_of(y_N, "svm", least=2)
        spread = x_ND.shape[1] * x_ND.var()
        machine = SVC(C=self.C, gamma=self.gamma / spread if spread else self.gamma, random_state=seed)
        folds = StratifiedKFold(min(FOLDS, int(np.bincount(codes_N).min())), shuffle=True, random_state=seed)
        model = CalibratedClassifierCV(machine, method="sigmoid", cv=folds, ensemble=False, n_jobs=1)
        return model.fit(x_ND, y_N, sample_weight=weights_N)
