"""KDD Cup 1999, remote access against denial of service: 391,572 connections, 41 attributes, 114 of them remote access.

Source: Liu et al. 2020, "Self-paced ensemble for highly imbalanced massive data classification", table of data sets
(KDDCUP (DOS vs. R2L), ratio 3448.82), made from the KDD Cup 1999 file of 10 %.
Shapes: tables (41,): 3 categorical, 4 indicator and 34 numeric columns; no official test part.
Units: seconds, bytes, counts and shares, as in kddcup.names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the file of 10 % has a tenth of the denials of service and all 1,126 rows of remote access,
a ratio of 347.7; 114 of these, the same at every reading, restore the ratio (3,433.8; 113 would make 3,464.2).
336,886 of the denials of service repeat another row exactly and can lie on both sides of a split; no row has both
labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise import streams
from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _kddcup99, _tables

_KEPT = 114  # of the rows of remote access


@dataclass(frozen=True)
class Method:
    """Denial of service and remote access in KDD Cup 1999."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("DOS", "R2L")
    columns: ClassVar[tuple[Column, ...]] = _kddcup99.COLUMNS
    shape: ClassVar[tuple[int, ...]] = (41,)
    train_counts: ClassVar[tuple[int, ...]] = (391458, 114)
    data_hash: ClassVar[str] = "cc7ef4b7d2492f8e329dff8608d4c175475f8aec66946204135d39d3cedfaf38"
    folder: ClassVar[str] = _kddcup99.FOLDER
    files: ClassVar[Files] = _kddcup99.FILES

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        x_ND, y_N = _kddcup99.read(locate, _kddcup99.R2L)
        chosen = streams.numpy("preprocess", "r2l", 0).choice(np.flatnonzero(y_N), _KEPT, replace=False)
        rows = np.sort(np.concatenate([np.flatnonzero(y_N == 0), chosen]))
        return _tables.undivided(x_ND[rows], y_N[rows])
