"""Long-tailed (exponential) imbalance: from class to class the count falls by a constant factor.

Source: Cao et al. 2019 (LDAM-DRW), github.com/kaidic/LDAM-DRW, imbalance_cifar.py: `get_img_num_per_cls`, "exp";
after Cui et al. 2019, section 5.1.
Shapes: counts (C,).
Units: examples.
Raises: ImpossibleCell if a class would be empty or lacks examples.
Differs from the source: `factor` is the inverse of its `imb_factor`; which class is how frequent is drawn per
seed instead of following the class ids. Counts are truncated as there, in the same order of operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.methods.imbalance import _counts


@dataclass(frozen=True)
class Method:
    """The order runs from the most to the least frequent class."""

    version: ClassVar[int] = 1

    factor: Annotated[float, Interval(ge=1)] = 100.0
    """Largest count over smallest count."""
    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Examples of the largest class; None: as many as every class can give."""

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return int(largest * factor ** (-i / (C - 1))) for the i-th class of the order."""
        most, last = _counts.largest(available_C, self.per_class), len(order_C) - 1
        counts_C = np.empty(len(order_C), np.int64)
        counts_C[order_C] = [int(most * (1 / self.factor) ** (i / last)) for i in range(len(order_C))]
        return _counts.checked(counts_C, available_C)
