"""One logistic regression for each boundary between ordered classes, each fitted on its own.

Source: Faletto and Bien 2023, "Predicting rare events by shrinking towards proportional odds", the baseline "Logit"
(github.com/gregfaletto/presto, Simulations/method_functions.R): the rarest class against all others, and so on.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`; the classes are ordered as their numbers.
Units: `penalty` is of the mean log-likelihood (nats) for columns of deviation 1.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: where boundaries cross at a row the class between has probability 0 and the others share it.
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
        """Return the fitted boundaries as one model."""
        import numpy as np

        from counterpoise.methods.models._ordinal import Ordinal, Problem

        classes_C, code_N = classes_of(y_N, "boundary_logistic")
        found = []
        for boundary in range(1, len(classes_C)):
            problem = Problem(x_ND, (code_N >= boundary).astype(np.int64), weights_N, np.ones((1, 1)))
            found.append(problem.split(problem.solve(self.penalty, problem.start())))
        alpha_B, beta_BD = (np.concatenate(part) for part in zip(*found, strict=True))
        return Ordinal(classes_C, problem.mean_D, problem.scale_D, alpha_B, beta_BD)
