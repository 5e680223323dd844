"""Vowels: 1,456 moments of a spoken vowel, 12 cepstral coefficients, 50 of another speaker.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/40_vowels.npz): frames of UCI's
Japanese Vowels, speakers 6, 7 and 8 against a sample of speaker 1.
Shapes: tables (12,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 4 rows repeat another exactly and can lie on both sides of a split.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files, Locate
from counterpoise.methods.datasets import _adbench


@dataclass(frozen=True)
class Method:
    """Vowels of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(12)
    shape: ClassVar[tuple[int, ...]] = (12,)
    train_counts: ClassVar[tuple[int, ...]] = (1406, 50)
    data_hash: ClassVar[str] = "14d33003df5477cb55a6f1f6e77808f9d6a8e3b9e10bbd576ab855309666a730"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "40_vowels.npz", "4bfc4244d1c882773bbbc50d4a5db5e52276e53506e46b2d45e02d074cfcb1b6"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
