"""The tables of ADBench: `X` and `y` in an npz file, y 1 for an anomaly, columns without names.

Source: Han et al. 2022, "ADBench: anomaly detection benchmark" (github.com/Minqi824/ADBench, datasets/Classical).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.data.files import Files
from counterpoise.errors import UserError
from counterpoise.methods.datasets import _tables

FOLDER = "adbench"
CLASSES = ("normal", "anomaly")

_HOME = "https://github.com/Minqi824/ADBench/raw/3dac8221081e190f157d78e93bfa8867f90d0965/adbench/datasets/Classical"


def files(name: str, sha256: str) -> Files:
    """Return the `files` of a table, which is one npz file."""
    return {name: (f"{_HOME}/{name}", f"sha256:{sha256}")}


def columns(count: int) -> tuple[Column, ...]:
    """Return numeric columns, named by their position as the files give no names."""
    return tuple(Column(f"x{i}") for i in range(1, count + 1))


def read(path: Path, width: int) -> _tables.Parts:
    """Return all rows to train on, in file order; raise UserError if it is not a table of `width` columns."""
    try:
        with np.load(path, allow_pickle=False) as held:
            x_ND, y_N = held["X"].astype(np.float64), held["y"]
    except (OSError, ValueError, KeyError) as reason:
        raise UserError(f"{path}: expected an npz file with X and y: {reason}") from None
    if x_ND.ndim != 2 or x_ND.shape[1] != width or y_N.shape != x_ND.shape[:1] or not np.isin(y_N, (0, 1)).all():
        raise UserError(
            f"{path}: found X {x_ND.shape} and y {y_N.shape}, expected {width} columns and a label 0 or 1 for each row"
        )
    return _tables.undivided(x_ND, y_N)
