"""SMOTE, and then cleaning: both ends of every Tomek link go.

Source: Batista, Bazzan and Monard 2003, "Balancing training data for automated annotation of
keywords"; imbalanced-learn 0.14, `SMOTETomek`.
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors.
Units: `ratio` is largest class / smallest class between the two steps.
Raises: ImpossibleCell for missing values or categorical columns, and if no example of a class would be left.
Differs from the source: see smote and tomek_links, of which it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.registry import build


@dataclass(frozen=True)
class Method:
    """Make points, then clean all classes."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours of an example, of which SMOTE draws one."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Ratio of the largest class to the smallest that SMOTE makes; 1 is full balance."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what is kept of the rows and those made."""
        smote = build("samplers", {"name": "smote", "k": self.k, "ratio": self.ratio})
        cleaning = build("samplers", {"name": "tomek_links", "classes": "all"})
        return cleaning.resample(*smote.resample(x_ND, y_N, columns, random), columns, random)
