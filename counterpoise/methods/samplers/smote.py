"""SMOTE: a smaller class gets points between its examples and their nearest neighbours of the same class.

Source: Chawla, Bowyer, Hall and Kegelmeyer 2002, "SMOTE: synthetic minority over-sampling technique", section 4.2;
imbalanced-learn 0.14, `SMOTE`.
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors. Memory grows with the rows, not with their square.
Units: `ratio` is largest class / smallest class after sampling.
Raises: ImpossibleCell for missing values or categorical columns (see smote_nc).
Differs from the source: the neighbours are found by our own exact search. Where a class has k examples or fewer, k is
all its other examples, and a lone example is repeated (imbalanced-learn raises). `paper` [recalled]: each example is
the start of equally many points, which imbalanced-learn draws; the place on the line is one number a point, as the
paper's text and imbalanced-learn have it, where its pseudo-code draws one for each attribute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _rows, _smote


@dataclass(frozen=True)
class Method:
    """Interpolate until every class has its target count."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours of an example, of which one is drawn."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""
    variant: Literal["official_code", "paper"] = "official_code"
    """Whether the examples to start from are drawn (imbalanced-learn) or serve equally often (the paper)."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and after them those made."""
        rows_ND = _rows.numbers("smote", x_ND, columns)
        even = self.variant == "paper"
        made = {
            label: _smote.synthetic(rows_ND[y_N == label], count, self.k, random, even=even)
            for label, count in _rows.missing(y_N, self.ratio).items()
        }
        return _rows.added(x_ND, y_N, made)
