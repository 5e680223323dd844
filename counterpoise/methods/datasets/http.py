"""HTTP: 567,498 connections to a web server, three measurements, 2,211 attacks.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (datasets/Classical/16_http.npz): the service http of
KDD Cup 1999 with the logarithms of duration, bytes sent and bytes received; any attack is the anomaly.
Shapes: tables (3,); no official test part.
Units: as in the file; its columns have no names.
Raises: UserError if the file is missing or not the published one.
Differs from the source: nothing; 345,596 rows repeat another exactly and can lie on both sides of a split.
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
    """HTTP of ADBench."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = _adbench.CLASSES
    columns: ClassVar[tuple[Column, ...]] = _adbench.columns(3)
    shape: ClassVar[tuple[int, ...]] = (3,)
    train_counts: ClassVar[tuple[int, ...]] = (565287, 2211)
    data_hash: ClassVar[str] = "b49d62b990936784a5dd1a0460b39af50c869887365489e3a668acf419fb213c"
    folder: ClassVar[str] = _adbench.FOLDER
    files: ClassVar[Files] = _adbench.files(
        "16_http.npz", "9d98710091551587f4740cfc851a6b064fff6319a337c2dc77ee6da4bcc2e02c"
    )

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return all rows to train on and none to test, in the order of the file (float64, int64)."""
        (name,) = self.files
        return _adbench.read(locate(name), len(self.columns))
