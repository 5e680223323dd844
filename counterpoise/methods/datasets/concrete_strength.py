"""Concrete: 1,030 mixtures, eight measurements, and the compressive strength.

Source: Yeh 1998 (UCI), as in Steininger et al. 2021, "Density-based weighting for imbalanced
regression" (DenseWeight), github.com/SteiMi/density-based-weighting-for-imbalanced-regression.
Shapes: tables (8,); no official test part.
Units: kilograms per cubic metre, age in days; the target is in megapascals.
Raises: UserError if the file is missing or not the published one.
Differs from the source: five bins of equal width are the classes. 25 rows repeat another exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _steininger, _tables


@dataclass(frozen=True)
class Method:
    """Strength of concrete."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "strength (MPa)"
    classes: ClassVar[tuple[str, ...]] = (
        "2.33 to 18.38",
        "18.38 to 34.44",
        "34.44 to 50.49",
        "50.49 to 66.55",
        "66.55 to 82.6",
    )
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric(
        "cement blast_furnace_slag fly_ash water superplasticizer coarse_aggregate fine_aggregate age"
    )
    shape: ClassVar[tuple[int, ...]] = (8,)
    train_counts: ClassVar[tuple[int, ...]] = (178, 337, 308, 152, 55)
    data_hash: ClassVar[str] = "325987d8291dd9bbff9c28be25004f2dd69d9170183503bcc47a716b1967a0ad"
    folder: ClassVar[str] = "regression_uci"
    files: ClassVar[Files] = _steininger.file(
        "concreteStrength.csv", "0fbb21d623c1b5c06dd05459688ac264e76d73a9dbdb4ec8926adab2638c76d3"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64)."""
        return _tables.undivided_targets(*_steininger.read(locate("concreteStrength.csv"), self.columns))
