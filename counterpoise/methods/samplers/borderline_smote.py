"""Borderline-SMOTE: points start only from examples with more neighbours of other classes than of their own.

Source: Han, Wang and Mao 2005, "Borderline-SMOTE: a new over-sampling method in imbalanced data sets learning";
imbalanced-learn 0.14, `BorderlineSMOTE`, which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors.
Units: `ratio` is largest class / smallest class after sampling.
Raises: ImpossibleCell for missing values or categorical columns.
Differs from the source: imbalanced-learn draws with replacement the examples to start from. A class without an example
in danger (at least half of its `m` neighbours, but not all, of other classes) stays as it is, as there. Where a class
has k examples or fewer, k is all its other examples, and a lone example is repeated (imbalanced-learn raises).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _imbalanced_learn, _rows


@dataclass(frozen=True)
class Method:
    """Interpolate from the border of a class."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours of an example, of which one is drawn."""
    m: Annotated[int, Ge(1)] = 10
    """Nearest neighbours of any class by which an example is in danger."""
    kind: Literal["borderline-1", "borderline-2"] = "borderline-1"
    """Whether neighbours to interpolate to are of the class, or of any class (then at most half way)."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and after them those made."""
        from imblearn.over_sampling import BorderlineSMOTE

        rows_ND, state = _rows.numbers("borderline_smote", x_ND, columns), _imbalanced_learn.state(random)

        def make(strategy: dict[int, int], k: int) -> BorderlineSMOTE:
            m = min(self.m, len(rows_ND) - 1)
            return BorderlineSMOTE(
                sampling_strategy=strategy, random_state=state, k_neighbors=k, m_neighbors=m, kind=self.kind
            )

        return _rows.added(x_ND, y_N, _imbalanced_learn.oversample(rows_ND, y_N, self.ratio, self.k, make))
