"""Diabetes: 442 patients, ten measures, and how far the disease came in a year.

Source: Efron, Hastie, Johnstone and Tibshirani 2004, "Least angle regression", as bundled in
`sklearn.datasets.load_diabetes`.
Shapes: tables (10,); no official test part.
Units: columns are centred and scaled, as bundled; the target is the source's measure of progression, 25 to 346.
Raises: UserError where `bins` leaves one without a row.
Differs from the source: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise.data import targets
from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _tables


@dataclass(frozen=True)
class Method(targets.InBins):
    """Diabetes of scikit-learn."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "progression"
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric("age sex bmi bp s1 s2 s3 s4 s5 s6")
    shape: ClassVar[tuple[int, ...]] = (10,)
    data_hash: ClassVar[str] = "4302a657cbf590ae117357479220c4800a04d3319d98962081655c25aef7b57a"
    files: ClassVar[Files] = {}

    bins: Annotated[int, Interval(ge=2)] = 5
    """Bins of equal width over the target, which are the classes."""

    def training_targets(self) -> np.ndarray:
        """Return the target of every row."""
        from sklearn.datasets import load_diabetes

        return load_diabetes(return_X_y=True)[1]

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test (float64)."""
        from sklearn.datasets import load_diabetes

        return _tables.undivided_targets(*load_diabetes(return_X_y=True))
