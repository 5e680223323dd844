"""The binary format of CIFAR: records of one or two label bytes and 3,072 pixels, channel by channel, row by row.

Source: www.cs.toronto.edu/~kriz/cifar.html, section "Binary version".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from counterpoise.data.files import Files, open_file
from counterpoise.errors import UserError

SHAPE = (3, 32, 32)

_HOME = "https://www.cs.toronto.edu/~kriz"
_PIXELS = 3072


def files(archive: str, folder: str, checksums: dict[str, str]) -> Files:
    """Return the `files` of a data set whose parts are members of `archive`."""
    return {name: (f"{_HOME}/{archive}#{folder}/{name}", checksum) for name, checksum in checksums.items()}


def read(paths: list[Path], labels: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x_NCHW (uint8) and y_N (int64) of files one after the other; the label is the last of `labels` bytes.

    Raises UserError if a file does not hold whole records or a label is not below `classes`.
    """
    parts = []
    for path in paths:
        with open_file(path) as source:
            content = np.frombuffer(source.read(), np.uint8)
        if not len(content) or len(content) % (labels + _PIXELS):
            raise UserError(f"{path}: found {len(content)} bytes, expected records of {labels + _PIXELS} bytes")
        parts.append(content.reshape(-1, labels + _PIXELS))
        if (highest := parts[-1][:, labels - 1].max()) >= classes:
            raise UserError(f"{path}: found label {highest}, expected labels below {classes}")
    records = np.concatenate(parts)
    return records[:, labels:].reshape(-1, *SHAPE), records[:, labels - 1].astype(np.int64)
