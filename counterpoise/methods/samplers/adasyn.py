"""ADASYN: an example is the start of the more points, the more of its neighbours are of other classes.

Source: He, Bai, Garcia and Li 2008, "ADASYN: adaptive synthetic sampling approach for imbalanced learning";
imbalanced-learn 0.14, `ADASYN`, which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors.
Units: `ratio` is largest class / smallest class after sampling, but for rounding.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class has a neighbour of
another.
Differs from the source: a class whose shares all round to no point stays as it is (imbalanced-learn raises). Where a
class has k examples or fewer, k is all its other examples, and a lone example is repeated (imbalanced-learn raises).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell
from counterpoise.methods.samplers import _imbalanced_learn, _rows


@dataclass(frozen=True)
class Method:
    """Interpolate most where the class is hardest."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours, both of any class (how hard) and of its own (of which one is drawn)."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and after them those made."""
        from imblearn.over_sampling import ADASYN

        rows_ND, state = _rows.numbers("adasyn", x_ND, columns), _imbalanced_learn.state(random)

        class Lenient(ADASYN):
            def _fit_resample(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                try:
                    return super()._fit_resample(X, y)
                except RuntimeError as reason:
                    label = next(iter(self.sampling_strategy_))
                    raise ImpossibleCell(
                        f"adasyn: no example of class {label} has a neighbour of another class; use smote"
                    ) from reason
                except ValueError as reason:
                    if "No samples will be generated" not in str(reason):
                        raise
                    return X, y

        def make(strategy: dict[int, int], k: int) -> Lenient:
            return Lenient(sampling_strategy=strategy, random_state=state, n_neighbors=k)

        return _rows.added(x_ND, y_N, _imbalanced_learn.oversample(rows_ND, y_N, self.ratio, self.k, make))
