"""Proportional odds: ordered classes told by one direction, cut at one place for each boundary.

Source: McCullagh 1980, "Regression models for ordinal data", the model of MASS's `polr`; a baseline of Faletto and Bien
2023, "Predicting rare events by shrinking towards proportional odds".
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`; the classes are ordered as their numbers.
Units: `penalty` is of the mean log-likelihood (nats) for columns of deviation 1.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: nothing; where classes can be told apart without error it ends after 100 steps.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from counterpoise.methods.models._classical import PENALTIES, classes_of

if TYPE_CHECKING:
    import numpy as np

    from counterpoise.methods.models._ordinal import Ordinal


@dataclass(frozen=True)
class Method:
    """Fit by maximum likelihood, penalised if asked; the seed changes nothing."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = PENALTIES

    penalty: Annotated[float, Ge(0)] = 0.0
    """Strength of an L1 penalty on the weights; the source has none."""

    def fit(self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> "Ordinal":
        """Return the fitted model."""
        import numpy as np

        from counterpoise.methods.models._ordinal import Problem

        classes_C, code_N = classes_of(y_N, "proportional_odds")
        problem = Problem(x_ND, code_N, weights_N, np.ones((len(classes_C) - 1, 1)))
        return problem.fitted(problem.solve(self.penalty, problem.start()), classes_C)
