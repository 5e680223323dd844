"""Cross-validation that never parts a group: rows with the same value of a column are all tested on at once.

Source: `StratifiedGroupKFold` of scikit-learn.
Shapes: y_N, values_N -> two masks of shape N.
Units: none.
Raises: ImpossibleCell if there are fewer groups than folds, or if a class would miss from a side.
Differs from the source: seed s is fold s mod `folds` of repetition s div `folds`, each shuffled anew.
"""

from dataclasses import dataclass
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
        from sklearn.model_selection import StratifiedGroupKFold

        assert values_N is not None
        groups = np.unique(values_N, return_inverse=True, equal_nan=False)[1]  # rows without a group stand alone
        repetition, fold = divmod(seed, self.folds)
        state = int(streams.numpy("sample", "group_folds", repetition).integers(2**31))
        if groups.max() + 1 < self.folds:
            raise ImpossibleCell(f"split: column '{self.column}' has {groups.max() + 1} groups for {self.folds} folds")
        splitter = StratifiedGroupKFold(self.folds, shuffle=True, random_state=state)
        is_test_N = np.zeros(len(y_N), bool)
        is_test_N[list(splitter.split(y_N, y_N, groups))[fold][1]] = True
        for side, mask in (("training", ~is_test_N), ("test", is_test_N)):
            for label in np.setdiff1d(np.unique(y_N), y_N[mask]).tolist():
                raise ImpossibleCell(f"split: class {label} is in too few groups: fold {fold} has none for {side}")
        return ~is_test_N, is_test_N
