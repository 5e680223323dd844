"""Edited nearest neighbours: an example goes whose nearest neighbours are not of its class.

Source: Wilson 1972, "Asymptotic properties of nearest neighbor rules using edited data"; imbalanced-learn 0.14,
`EditedNearestNeighbours`.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: none.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: imbalanced-learn takes the first neighbour found to be the example itself, which among equal
rows it need not be; here an example is never its own neighbour. Without equal rows the result is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _neighbours, _rows


@dataclass(frozen=True)
class Method:
    """Leave out what its neighbourhood contradicts."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 3
    """Neighbours that are asked."""
    agreement: Literal["all", "mode"] = "all"
    """Whether all neighbours must be of the example's class, or their most frequent class (the first of equals)."""
    classes: Literal["not minority", "all"] = "not minority"
    """Classes whose examples may go."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept; nothing is random."""
        name = "edited_nearest_neighbours"
        kept_N = self.kept(_rows.numbers(name, x_ND, columns), y_N)
        return _rows.selected(name, x_ND, y_N, np.flatnonzero(kept_N))

    def kept(self, x_ND: np.ndarray, y_N: np.ndarray) -> np.ndarray:
        """Return whether each row stays."""
        if len(y_N) == 1:
            return np.ones(1, bool)
        voted_Nk = y_N[_neighbours.nearest(x_ND, min(self.k, len(y_N) - 1))]
        if self.agreement == "mode":
            from scipy.stats import mode

            voted_Nk = mode(voted_Nk, axis=1, keepdims=True).mode
        return (voted_Nk == y_N[:, None]).all(1) | ~np.isin(y_N, _rows.cleaned(y_N, self.classes))
