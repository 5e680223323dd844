"""SMOTE of the minority, combined with leaving out examples of the majority at random.

Source: Chawla, Bowyer, Hall and Kegelmeyer 2002, "SMOTE: synthetic minority over-sampling technique", sections 4.2
and 5.1 [recalled; no code of the authors was to be had].
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors.
Units: per cent: `oversampling` 200 makes two points for each minority example; `undersampling` 200 leaves half as many
majority examples as the minority then has.
Raises: ImpossibleCell for missing values or categorical columns.
Differs from the source: "the modified data set will contain twice as many elements from the minority class" is read as
the minority with its points. With more than two classes the smallest is the minority, and each other class is held to
the same number. At least one example of a class stays. Where the minority has k examples or fewer, k is all its other
examples, and a lone one is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _rows, _smote


@dataclass(frozen=True)
class Method:
    """One point of the source's ROC curves: over by so much, under by so much."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours of an example, of which one is drawn."""
    oversampling: Annotated[float, Ge(0)] = 200.0
    """Points made for every hundred minority examples (the source: 50 to 500)."""
    undersampling: Annotated[float, Gt(0)] = 100.0
    """Minority examples and points for every hundred majority examples that stay (the source: 10 to 2000)."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows kept, and after them those made."""
        rows_ND = _rows.numbers("smote_undersampling", x_ND, columns)
        counts_C = np.bincount(y_N)
        minority = np.setdiff1d(y_N, _rows.cleaned(y_N, "not minority"))[0]
        count = round(int(counts_C[minority]) * self.oversampling / 100)
        most = max(1, int((counts_C[minority] + count) * 100 / self.undersampling))
        order_N = random.permutation(len(y_N))
        kept = [order_N[y_N[order_N] == label][: None if label == minority else most] for label in np.unique(y_N)]
        made = _smote.synthetic(rows_ND[y_N == minority], count, self.k, random, even=True)
        x_ND, y_N = _rows.selected("smote_undersampling", x_ND, y_N, np.concatenate(kept))
        return _rows.added(x_ND, y_N, {int(minority): made})
