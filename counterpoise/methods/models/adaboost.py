"""AdaBoost of small trees.

Source: Freund and Schapire 1997, for several classes SAMME (Zhu, Zou, Rosset and Hastie 2009), as in scikit-learn's
`AdaBoostClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `max_depth` counts splits above a leaf.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: `predict_proba` is scikit-learn's softmax of the mean vote. Where the first tree is no better
than chance, scikit-learn raises; here it gets vote 0, and all classes are as probable.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from counterpoise.methods.models._boosting import Vote
from counterpoise.methods.models._classical import classes_of
from counterpoise.methods.models._ensemble import counted

if TYPE_CHECKING:
    import numpy as np
    from sklearn.ensemble import AdaBoostClassifier


@dataclass(frozen=True)
class Method:
    """Boost until the rounds are over or a tree makes no mistake."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"n_estimators": 200},
        {"max_depth": 2},
        {"max_depth": 3},
        {"learning_rate": 0.3, "n_estimators": 200},
        {"max_depth": 2, "n_estimators": 200},
        {"learning_rate": 0.1, "n_estimators": 200},
        {"max_depth": 3, "learning_rate": 0.3},
    )

    n_estimators: Annotated[int, Ge(1)] = 50
    """Most trees."""
    learning_rate: Annotated[float, Gt(0)] = 1.0
    """Factor on the weight of each tree."""
    max_depth: Annotated[int, Ge(1)] = 1
    """Depth of each tree."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "AdaBoostClassifier | Vote":
        """Return the fitted ensemble."""
        from sklearn.ensemble import AdaBoostClassifier

        classes_C, _ = classes_of(y_N, "adaboost")
        from sklearn.tree import DecisionTreeClassifier

        tree = DecisionTreeClassifier(max_depth=self.max_depth)
        model = AdaBoostClassifier(
            tree, n_estimators=self.n_estimators, learning_rate=self.learning_rate, random_state=seed
        )
        try:
            return model.fit(x_ND, y_N, sample_weight=weights_N)
        except ValueError as reason:
            if "worse than random" not in str(reason):  # the library's words for a first tree without a vote
                raise
        seen_C = counted(y_N, classes_C)
        return Vote([tree.fit(x_ND, y_N, sample_weight=weights_N)], classes_C, [seen_C], [0.0], [0.5])
