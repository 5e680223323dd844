"""The nearest neighbours vote, as in the tables of the resampling and ensemble literature.

Source: Cover and Hart 1967 as in scikit-learn's `KNeighborsClassifier`.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`.
Units: `neighbors` counts rows, distances are in the units of the columns: scale them first.
Raises: nothing.
Differs from the source: a training part of fewer rows than `neighbors` uses all of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

if TYPE_CHECKING:
    import numpy as np
    from sklearn.neighbors import KNeighborsClassifier


@dataclass(frozen=True)
class Method:
    """Keep the rows; the seed changes nothing."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = False
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = (
        {},
        {"neighbors": 1},
        {"neighbors": 15},
        {"neighbors": 3},
        {"neighbors": 31},
        {"votes": "distance"},
        {"neighbors": 15, "votes": "distance"},
        {"neighbors": 31, "votes": "distance"},
        {"neighbors": 51, "votes": "distance"},
    )

    neighbors: Annotated[int, Ge(1)] = 5
    """Rows that vote."""
    votes: Literal["uniform", "distance"] = "uniform"
    """Whether all votes are equal, or inverse to the distance."""

    def fit(
        self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None
    ) -> "KNeighborsClassifier":
        """Return the fitted neighbours."""
        from sklearn.neighbors import KNeighborsClassifier

        return KNeighborsClassifier(min(self.neighbors, len(x_ND)), weights=self.votes).fit(x_ND, y_N)
