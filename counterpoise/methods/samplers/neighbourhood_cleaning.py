"""Neighbourhood cleaning rule: examples of larger classes go that are misclassified, or that misclassify the minority.

Source: Laurikkala 2001, "Improving identification of difficult small classes by balancing class distribution";
imbalanced-learn 0.14, `NeighbourhoodCleaningRule`, which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: none.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: imbalanced-learn counts a minority example among its own `k` neighbours when it asks whether
they misclassify it. Before 0.12 it edited by the rule `all` and cleaned classes above `threshold` of all rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _rows


@dataclass(frozen=True)
class Method:
    """Edit the larger classes, and clean around misclassified examples of the smallest."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 3
    """Neighbours that classify an example."""
    agreement: Literal["mode", "all"] = "mode"
    """Whether the most frequent class of the neighbours must be the example's, or all; for the editing."""
    threshold: Annotated[float, Ge(0)] = 0.5
    """Neighbours go only of classes that have more than this many times the examples of the smallest."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept; nothing is random."""
        from imblearn.under_sampling import EditedNearestNeighbours, NeighbourhoodCleaningRule

        name, k = "neighbourhood_cleaning", min(self.k, len(y_N) - 1)
        rows_ND = _rows.numbers(name, x_ND, columns)
        if len(np.unique(y_N)) == 1:
            return _rows.selected(name, x_ND, y_N, np.arange(len(y_N)))
        editing = EditedNearestNeighbours(n_neighbors=k, kind_sel=self.agreement)
        sampler = NeighbourhoodCleaningRule(
            edited_nearest_neighbours=editing, n_neighbors=k, threshold_cleaning=self.threshold
        )
        sampler.fit_resample(rows_ND, y_N)
        return _rows.selected(name, x_ND, y_N, sampler.sample_indices_)
