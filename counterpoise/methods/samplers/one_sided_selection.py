"""One-sided selection: of a larger class what one of its examples and the smallest class misclassify, then Tomek links.

Source: Kubat and Matwin 1997, "Addressing the curse of imbalanced training sets: one-sided selection";
imbalanced-learn 0.14, `OneSidedSelection`, which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: none.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: a class with no more examples than `seeds` stays whole (imbalanced-learn raises).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _imbalanced_learn, _rows


@dataclass(frozen=True)
class Method:
    """Leave out redundant examples, then those at the border."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 1
    """Neighbours that classify an example."""
    seeds: Annotated[int, Ge(1)] = 1
    """Examples of a larger class, drawn, that classify together with the smallest class."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept."""
        from imblearn.under_sampling import OneSidedSelection

        name, counts_C = "one_sided_selection", np.bincount(y_N)
        rows_ND, larger = _rows.numbers(name, x_ND, columns), _rows.cleaned(y_N, "not minority")
        larger = larger[counts_C[larger] > self.seeds]
        if not len(larger):
            return _rows.selected(name, x_ND, y_N, np.arange(len(y_N)))
        sampler = OneSidedSelection(
            sampling_strategy=larger.tolist(),
            random_state=_imbalanced_learn.state(random),
            n_neighbors=min(self.k, int(counts_C[counts_C > 0].min()) + self.seeds),
            n_seeds_S=self.seeds,
        )
        sampler.fit_resample(rows_ND, y_N)
        return _rows.selected(name, x_ND, y_N, sampler.sample_indices_)
