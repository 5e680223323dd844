"""AllKNN: edited nearest neighbours with one neighbour, then with two, and so on.

Source: Tomek 1976, "An experiment with the edited nearest-neighbor rule"; imbalanced-learn 0.14, `AllKNN`.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: none.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: as imbalanced-learn, each round edits what the last one left, and the rounds end when a class
has become smaller than the minority. An example is never its own neighbour (see edited_nearest_neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _rows
from counterpoise.registry import build


@dataclass(frozen=True)
class Method:
    """Edit with a growing neighbourhood."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 3
    """Neighbours that the last round asks."""
    agreement: Literal["all", "mode"] = "all"
    """Whether all neighbours must be of the example's class, or the most frequent class of them."""
    allow_minority: bool = False
    """Whether to go on when a class has become smaller than the minority."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept; nothing is random."""
        rows_ND, kept = _rows.numbers("all_knn", x_ND, columns), np.arange(len(y_N))
        others, smallest = _rows.cleaned(y_N, "not minority"), np.bincount(y_N)[np.unique(y_N)].min()
        for k in range(1, self.k + 1):
            editing = build("samplers", {"name": "edited_nearest_neighbours", "k": k, "agreement": self.agreement})
            kept = kept[editing.kept(rows_ND[kept], y_N[kept])]
            left = np.bincount(y_N[kept], minlength=y_N.max() + 1)[others]
            if (left == 0).any() or ((left < smallest).any() and not self.allow_minority):
                break
        return _rows.selected("all_knn", x_ND, y_N, kept)
