"""PRESTO: ordered classes whose boundaries have weights of their own, drawn towards those of the boundary before.

Source: Faletto and Bien 2023, "Predicting rare events by shrinking towards proportional odds";
github.com/gregfaletto/presto, presto_func.R (`presto`) on a modified ordinalNet 2.12.
Shapes: x_ND, y_N, weights_N -> an estimator with `predict_proba`; the classes are ordered as their numbers.
Units: `penalty` is of the mean log-likelihood (nats) for columns of deviation 1.
Raises: ImpossibleCell where the rows are all of one class.
Differs from the source: two classes are allowed, and rows may be weighted. Folds are stratified, a lone row of a class
is never held out, and of a new row at which boundaries cross the class between has probability 0 (the code stops).
Paper and code disagree: the paper's likelihood needs a probability of the class that a row has, the code of every class
at every training row, and it halts short of the least value where a small penalty lets boundaries cross. Where none do,
both are the same; `variant` chooses.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Interval

from counterpoise.methods.models._classical import PENALTIES, classes_of

if TYPE_CHECKING:
    import numpy as np

    from counterpoise.methods.models._ordinal import Ordinal


@dataclass(frozen=True)
class Method:
    """L1 penalty on the weights of the first boundary and on what each next one changes."""

    version: ClassVar[int] = 2
    classical: ClassVar[bool] = True
    weighted: ClassVar[bool] = True
    missing: ClassVar[bool] = False
    search: ClassVar[tuple[dict[str, Any], ...]] = PENALTIES

    penalty: Annotated[float, Ge(0)] | None = None
    """Strength of the penalty; None: that of least Brier score on held-out folds."""
    points: Annotated[int, Ge(1)] = 20
    """Penalties tried, equally spaced in their logarithm, from the least one that leaves no weight."""
    span: Annotated[float, Interval(gt=0, lt=1)] = 0.01
    """The last penalty tried over the first."""
    folds: Annotated[int, Ge(2)] = 5
    """Parts of the rows, each held out once."""
    variant: Literal["paper", "official_code"] = "paper"
    """Whether boundaries may cross at training rows of other classes than the one between."""

    def fit(self, x_ND: "np.ndarray", y_N: "np.ndarray", seed: int, weights_N: "np.ndarray | None" = None) -> "Ordinal":
        """Return the fitted model."""
        import numpy as np

        from counterpoise.methods.models._ordinal import Problem, Strict

        classes_C, code_N = classes_of(y_N, "presto")
        weights_N = np.ones(len(x_ND)) if weights_N is None else weights_N
        kind, basis = Strict if self.variant == "official_code" else Problem, np.tri(len(classes_C) - 1)
        problem = kind(x_ND, code_N, weights_N, basis)
        penalty = self.penalty
        if penalty is None:
            tried = problem.largest_penalty() * np.geomspace(1, self.span, self.points)
            fold_N = dealt(code_N, self.folds, np.random.default_rng(seed))
            score_T = np.zeros(len(tried))
            for out_N in (fold_N == fold for fold in range(self.folds)):
                part = kind(x_ND[~out_N], code_N[~out_N], weights_N[~out_N], basis)
                theta_Q, held = part.start(), np.eye(len(classes_C))[code_N[out_N]]
                for t, strength in enumerate(tried):
                    theta_Q = part.solve(strength, theta_Q)
                    said = part.fitted(theta_Q, classes_C).predict_proba(x_ND[out_N])
                    score_T[t] += weights_N[out_N] @ ((said - held) ** 2).sum(1) / max(weights_N[out_N].sum(), 1e-300)
            penalty = float(tried[score_T.argmin()])
        return problem.fitted(problem.solve(penalty, problem.start()), classes_C)


def dealt(code_N: "np.ndarray", folds: int, random: "np.random.Generator") -> "np.ndarray":
    """Return the fold of each row, dealt out class by class; -1 for the only row of a class."""
    import numpy as np

    fold_N = np.empty(len(code_N), np.int64)
    fold_N[np.lexsort((random.random(len(code_N)), code_N))] = np.arange(len(code_N)) % folds
    fold_N[np.bincount(code_N)[code_N] == 1] = -1
    return fold_N
