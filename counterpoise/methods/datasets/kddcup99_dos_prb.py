"""KDD Cup 1999, probing against denial of service: 395,565 connections, 41 attributes, 4,107 of them probes.

Source: Liu et al. 2020, "Self-paced ensemble for highly imbalanced massive data classification", table of data sets
(KDDCUP (DOS vs. PRB), ratio 94.48), made from the KDD Cup 1999 file of 10 % (ratio 95.3).
Shapes: tables (41,): 3 categorical, 4 indicator and 34 numeric columns; no official test part.
Units: seconds, bytes, counts and shares, as in kddcup.names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: the file of 10 % in place of the 3,924,472 rows of the whole. 336,886 of the denials of
service and 1,977 of the probes repeat another row exactly and can lie on both sides of a split; no row has both
labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _kddcup99, _tables


@dataclass(frozen=True)
class Method:
    """Denial of service and probing in KDD Cup 1999."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("DOS", "PRB")
    columns: ClassVar[tuple[Column, ...]] = _kddcup99.COLUMNS
    shape: ClassVar[tuple[int, ...]] = (41,)
    train_counts: ClassVar[tuple[int, ...]] = (391458, 4107)
    data_hash: ClassVar[str] = "e3684ae4c2178604cf31f928c3b2f0ff8aac5b3b63aaad0e4b76caba0aeaf2a1"
    folder: ClassVar[str] = _kddcup99.FOLDER
    files: ClassVar[Files] = _kddcup99.FILES

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        return _tables.undivided(*_kddcup99.read(locate, _kddcup99.PRB))
