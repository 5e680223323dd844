"""SMOTE-NC: numbers lie between an example and its neighbour, a nominal value is the neighbours' most frequent.

Source: Chawla, Bowyer, Hall and Kegelmeyer 2002, "SMOTE: synthetic minority over-sampling technique", section 6;
imbalanced-learn 0.14, `SMOTENC` (and `SMOTEN` where no column is a number), which is what runs.
Shapes: x_ND, y_N -> x_MD, y_M.
Units: `ratio` is largest class / smallest class after sampling.
Raises: ImpossibleCell for missing values.
Differs from the source: indicators of one raw column are one nominal value, so that what is made is always a value
that occurs; where all columns are numbers it is SMOTE. Where a class has k examples or fewer, k is all its other
examples, and a lone example is repeated (imbalanced-learn raises). Its memory grows with points made x k x columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _columns, _imbalanced_learn, _rows
from counterpoise.registry import build


@dataclass(frozen=True)
class Method:
    """Interpolate numbers and vote on the rest."""

    version: ClassVar[int] = 1
    k: Annotated[int, Ge(1)] = 5
    """Nearest neighbours of an example, of which one is drawn, and which vote."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and after them those made."""
        from imblearn.over_sampling import SMOTEN, SMOTENC

        rows_ND, state = _rows.known("smote_nc", x_ND, columns), _imbalanced_learn.state(random)
        features = _columns.features(rows_ND, columns)
        numbers = [f for f in features if f.is_number]
        nominal = [f for f in features if not f.is_number]
        if not nominal:
            plain = build("samplers", {"name": "smote", "k": self.k, "ratio": self.ratio})
            return plain.resample(x_ND, y_N, columns, random)
        at = [f.places[0] for f in numbers]
        coded_NF = np.column_stack([rows_ND[:, at], *(f.codes_N for f in nominal)])

        def make(strategy: dict[int, int], k: int) -> Any:
            options = {"sampling_strategy": strategy, "random_state": state, "k_neighbors": k}
            if not numbers:
                return SMOTEN(**options)
            return SMOTENC(list(range(len(numbers), len(features))), **options)

        made = _imbalanced_learn.oversample(coded_NF, y_N, self.ratio, self.k, make)
        for label, coded_MF in made.items():
            made[label] = np.empty((len(coded_MF), rows_ND.shape[1]))
            made[label][:, at] = coded_MF[:, : len(at)]
            for f, feature in enumerate(nominal, len(at)):
                made[label][:, feature.places] = feature.patterns_PW[coded_MF[:, f].astype(np.int64)]
        return _rows.added(x_ND, y_N, made)
