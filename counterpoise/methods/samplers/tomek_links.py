"""Tomek links: of two examples of different classes that are each other's nearest neighbour, one goes.

Source: Tomek 1976, "Two modifications of CNN"; imbalanced-learn 0.14, `TomekLinks`.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: none.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: imbalanced-learn takes the first neighbour found to be the example itself, and so misses links
between equal rows of different classes; here an example is never its own neighbour. Without equal rows the result is
the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _neighbours, _rows


@dataclass(frozen=True)
class Method:
    """Leave out one end of each link, or both."""

    version: ClassVar[int] = 1
    classes: Literal["not minority", "all"] = "not minority"
    """Classes whose examples may go."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept; nothing is random."""
        rows_ND = _rows.numbers("tomek_links", x_ND, columns)
        if len(y_N) == 1:
            return _rows.selected("tomek_links", x_ND, y_N, np.arange(1))
        nearest_N = _neighbours.nearest(rows_ND, 1)[:, 0]
        linked_N = (nearest_N[nearest_N] == np.arange(len(y_N))) & (y_N[nearest_N] != y_N)
        gone_N = linked_N & np.isin(y_N, _rows.cleaned(y_N, self.classes))
        return _rows.selected("tomek_links", x_ND, y_N, np.flatnonzero(~gone_N))
