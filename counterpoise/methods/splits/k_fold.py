"""Repeated stratified cross-validation: seed s is fold s mod `folds` of repetition s div `folds`.

Source: Stone 1974, "Cross-validatory choice and assessment of statistical predictions"; stratified as usual.
Shapes: y_N -> two masks of shape N.
Units: none.
Raises: ImpossibleCell for a class with fewer rows than folds, which some fold could not be tested on.
Differs from the source: rows are dealt out class by class, so that classes and fold sizes both differ by one at most.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise import streams
from counterpoise.data.folds import deal


@dataclass(frozen=True)
class Method:
    """Stratified folds, dealt anew for each repetition."""

    version: ClassVar[int] = 1
    folds: Annotated[int, Ge(2)] = 5
    """Parts of equal size; each is tested on once in a repetition."""

    @property
    def overlap(self) -> float:
        """Rows tested on over rows trained on."""
        return 1 / (self.folds - 1)

    def parts(self, y_N: np.ndarray, seed: int, values_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows outside the fold, and those in it."""
        repetition, fold = divmod(seed, self.folds)
        is_test_N = deal(y_N, self.folds, streams.numpy("sample", "folds", repetition)) == fold
        return ~is_test_N, is_test_N
