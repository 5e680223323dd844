"""Tables of regression as Steininger et al. 2021 (DenseWeight) hold them: a header, the target in the first column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files
from counterpoise.methods.datasets import _tables

REPOSITORY = "https://github.com/SteiMi/density-based-weighting-for-imbalanced-regression"
COMMIT = "49132214cf28698f22e4b75c566208fb2d590f40"


def file(name: str, checksum: str) -> Files:
    """Return the `files` of a data set."""
    return {name: (f"{REPOSITORY}/raw/{COMMIT}/exp1_and_2/data/real/{name}", f"sha256:{checksum}")}


def read(path: Path, columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray]:
    """Return x_ND and target_N; UserError where a row has not one number for the target and each column."""
    first_ND, last_N = _tables.read(path, (Column("target"), *columns[:-1]), has_header=True)
    return np.column_stack([first_ND[:, 1:], last_N.astype(np.float64)]), first_ND[:, 0]
