"""What every imbalance asks of its counts, and the size of the largest class."""

from __future__ import annotations

import numpy as np

from counterpoise.errors import ImpossibleCell


def largest(available_C: np.ndarray, per_class: int | None) -> int:
    """Return the size of the largest class: as asked, or as many as every class can give."""
    return int(available_C.min()) if per_class is None else per_class


def half_up(values: np.ndarray | float) -> np.ndarray:
    """Round halves up, so that 2.5 and 3.5 go the same way."""
    return np.floor(np.asarray(values) + 0.5).astype(np.int64)


def checked(counts_C: np.ndarray, available_C: np.ndarray) -> np.ndarray:
    """Return the counts as int64; raise ImpossibleCell for an empty class or one that lacks real examples."""
    for label, (asked, found) in enumerate(zip(counts_C.tolist(), available_C.tolist(), strict=True)):
        if asked < 1:
            raise ImpossibleCell(f"imbalance: class {label} is left empty ({found} examples available)")
        if asked > found:
            raise ImpossibleCell(
                f"imbalance: class {label} has {found} examples available for training, {asked} are asked"
            )
    return counts_C.astype(np.int64)
