"""Airfoils: 1,503 measurements in a wind tunnel, five settings, and the sound pressure.

Source: Brooks, Pope and Marcolini 1989 (UCI), as in Steininger et al. 2021, "Density-based weighting for imbalanced
regression" (DenseWeight), github.com/SteiMi/density-based-weighting-for-imbalanced-regression.
Shapes: tables (5,); no official test part.
Units: hertz, degrees, metres, metres per second, metres; the target is in decibels.
Raises: UserError if the file is missing or not the published one.
Differs from the source: five bins of equal width are the classes.
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
    """Noise of airfoils."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    quantity: ClassVar[str] = "sound pressure (dB)"
    classes: ClassVar[tuple[str, ...]] = (
        "103.4 to 110.9",
        "110.9 to 118.4",
        "118.4 to 125.9",
        "125.9 to 133.5",
        "133.5 to 141",
    )
    columns: ClassVar[tuple[Column, ...]] = _tables.numeric(
        "frequency angle_of_attack chord_length free_stream_velocity suction_thickness"
    )
    shape: ClassVar[tuple[int, ...]] = (5,)
    train_counts: ClassVar[tuple[int, ...]] = (53, 231, 486, 597, 136)
    data_hash: ClassVar[str] = "86e991f9ddbf3a374a41ab40b650cd9256e252e078a89ee374035591ccd6c0f3"
    folder: ClassVar[str] = "regression_uci"
    files: ClassVar[Files] = _steininger.file(
        "airfoild.csv", "a92b79fb387d953b5e65399f1df05e751d6302fb395e18987348a25b506b5317"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64)."""
        return _tables.undivided_targets(*_steininger.read(locate("airfoild.csv"), self.columns))
