"""Diabetes: 442 patients, ten measures, and how far the disease came in a year, in three stages of which one is rare.

Source: Efron, Hastie, Johnstone and Tibshirani 2004, "Least angle regression", as bundled in
`sklearn.datasets.load_diabetes`.
Shapes: tables (10,).
Units: columns are centred and scaled, as bundled.
Raises: nothing.
Differs from the source: the progression is cut at its median and at its 95th percentile; a fixed stratified 30 % is the
test part; values are stored as float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _holdout


@dataclass(frozen=True)
class Method:
    """Diabetes of scikit-learn in stages."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("mild", "marked", "severe")
    shape: ClassVar[tuple[int, ...]] = (10,)
    train_counts: ClassVar[tuple[int, ...]] = (155, 139, 16)
    data_hash: ClassVar[str] = "385180c61d28fe9bfca586539b95eb276b7aecdf7104cf8f39e1937caee229d2"
    files: ClassVar[Files] = {}

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64)."""
        from sklearn.datasets import load_diabetes

        x_ND, progress_N = load_diabetes(return_X_y=True)
        y_N = np.searchsorted(np.quantile(progress_N, [0.5, 0.95]), progress_N, side="left")
        return _holdout.set_aside(x_ND.astype(np.float32), y_N.astype(np.int64))
