"""The files of MESA's mammography table: a header, six standardised numbers, the label 0 or 1.

Source: github.com/ZhiningLiu1998/mesa, data/Mammo_train.csv, Mammo_valid.csv and Mammo_test.csv.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files
from counterpoise.methods.datasets import _tables

FOLDER = "mammography_mesa"
CLASSES = ("normal", "microcalcification")
COLUMNS = _tables.numeric("x1 x2 x3 x4 x5 x6")

_HOME = "https://github.com/ZhiningLiu1998/mesa/raw/5447ce92a21a6a9f0f21cb559f3196a195affbcc/data"

FILES: Files = {
    f"Mammo_{part}.csv": (f"{_HOME}/Mammo_{part}.csv", f"sha256:{checksum}")
    for part, checksum in {
        "train": "b255c40ff97bd8cfc8124c5233c4f122c4a516373a08ff3ce81a402e4f63ece2",
        "valid": "1beeec395d40362ef148cc140bdcae55d2fc43c94750c8428573f9f5db7bd7fa",
        "test": "8a946a31cd674775dacee601abb17c5d2256433a8fc277503bf17251e2020b05",
    }.items()
}


def read(path: Path, columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND and y_N of one file, in its order."""
    x_ND, label_N = _tables.read(path, columns, has_header=True)
    return x_ND, (label_N == "1").astype(np.int64)
