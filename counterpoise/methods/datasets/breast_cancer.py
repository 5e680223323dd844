"""Breast cancer Wisconsin (diagnostic): 569 tumours, 30 features, malignant or benign, from scikit-learn.

Source: Street, Wolberg and Mangasarian 1993, "Nuclear feature extraction for breast tumor diagnosis" (UCI), as
bundled in `sklearn.datasets.load_breast_cancer`.
Shapes: tables (30,).
Units: mean, standard error and worst value of ten measures of the nuclei, each in its own unit.
Raises: nothing.
Differs from the source: a fixed stratified 30 % is the test part; values are stored as float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _holdout


@dataclass(frozen=True)
class Method:
    """Breast cancer of scikit-learn."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("malignant", "benign")
    shape: ClassVar[tuple[int, ...]] = (30,)
    train_counts: ClassVar[tuple[int, ...]] = (148, 250)
    data_hash: ClassVar[str] = "3711bc0620e975360022449e8b6809045c0b985df54b79cb198c9d7d739201ed"
    files: ClassVar[Files] = {}

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64)."""
        from sklearn.datasets import load_breast_cancer

        x_ND, y_N = load_breast_cancer(return_X_y=True)
        return _holdout.set_aside(x_ND.astype(np.float32), y_N.astype(np.int64))
