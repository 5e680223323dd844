"""NearMiss: of the larger classes those examples stay that are nearest to the smallest class.

Source: Mani and Zhang 2003, "kNN approach to unbalanced data distributions: a case study involving information
extraction"; imbalanced-learn 0.14, `NearMiss`, which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: `ratio` is largest class / smallest class after sampling.
Raises: ImpossibleCell for missing values or categorical columns.
Differs from the source: where the smallest class has `k` examples or fewer, k is all of them (imbalanced-learn
raises). Rule 3 may keep fewer than the target, as there.
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
    """Keep what is near the smallest class."""

    version: ClassVar[int] = 1
    rule: Literal[1, 2, 3] = 1
    """Smallest mean distance to the k nearest of the smallest class; to all of it; or, of those that are among the
    `preselected` nearest of one of it, the greatest mean distance to the k nearest."""
    k: Annotated[int, Ge(1)] = 3
    """Nearest examples of the smallest class that the distance is averaged over."""
    preselected: Annotated[int, Ge(1)] = 3
    """Of rule 3: nearest neighbours of each example of the smallest class."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that are kept; nothing is random."""
        from imblearn.under_sampling import NearMiss

        rows_ND, strategy = _rows.numbers("near_miss", x_ND, columns), _rows.allowed(y_N, self.ratio)
        if not strategy:
            return _rows.selected("near_miss", x_ND, y_N, np.arange(len(y_N)))
        counts_C = np.bincount(y_N)
        sampler = NearMiss(
            sampling_strategy=strategy,
            version=self.rule,
            n_neighbors=min(self.k, int(counts_C[counts_C > 0].min())),
            n_neighbors_ver3=min(self.preselected, *(int(counts_C[label]) for label in strategy)),
        )
        sampler.fit_resample(rows_ND, y_N)
        return _rows.selected("near_miss", x_ND, y_N, sampler.sample_indices_)
