"""Cross-validation that never parts a group: rows with the same value of a column are all tested on at once.

Source: `StratifiedGroupKFold` of scikit-learn.
Shapes: y_N, values_N -> two masks of shape N.
Units: none.
Raises: ImpossibleCell if there are fewer groups than folds, or if a class would miss from a side.
Differs from the source: seed s is fold s mod `folds` of repetition s div `folds`, each shuffled anew.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Len

from counterpoise import streams
from counterpoise.errors import ImpossibleCell


@dataclass(frozen=True)
class Method:
    """Folds of whole groups, as stratified as the groups allow."""

    version: ClassVar[int] = 1
    column: Annotated[str, Len(1)] = "group"
    """The column that says which rows belong together, for instance a patient. It is no input of the model."""
    folds: Annotated[int, Ge(2)] = 5
    """Parts; each is tested on once in a repetition."""

    @property
    def overlap(self) -> float:
        """Rows tested on over rows trained on."""
        return 1 / (self.folds - 1)

    def parts(self, y_N: np.ndarray, seed: int, values_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows outside the fold, and those in it."""
        assert values_N is not None
        groups = np.unique(values_N, return_inverse=True, equal_nan=False)[1]  # rows without a group stand alone
        repetition, fold = divmod(seed, self.folds)
        state = int(streams.numpy("sample", "group_folds", repetition).integers(2**31))
        if groups.max() + 1 < self.folds:
            raise ImpossibleCell(f"split: column '{self.column}' has {groups.max() + 1} groups for {self.folds} folds")
        is_test_N = _deal(y_N.astype(np.int64).tobytes(), groups.astype(np.int64).tobytes(), self.folds, state) == fold
        for side, mask in (("training", ~is_test_N), ("test", is_test_N)):
            for label in np.setdiff1d(np.unique(y_N), y_N[mask]).tolist():
                raise ImpossibleCell(f"split: class {label} is in too few groups: fold {fold} has none for {side}")
        return ~is_test_N, is_test_N


@lru_cache(maxsize=1)
def _deal(labels: bytes, groups: bytes, folds: int, state: int) -> np.ndarray:
    """Return the fold of each row. The folds of a repetition are dealt once: it takes seconds for 10,000 rows."""
    from sklearn.model_selection import StratifiedGroupKFold

    y_N, groups_N = (np.frombuffer(held, np.int64) for held in (labels, groups))
    fold_N = np.empty(len(y_N), np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=state)
    for fold, (_, test) in enumerate(splitter.split(y_N, y_N, groups_N)):
        fold_N[test] = fold
    return fold_N
