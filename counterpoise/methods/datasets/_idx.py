"""The IDX format of MNIST and its kin: a big-endian header (type, dimensions), then the values in C order.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits", section "file formats".
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from counterpoise.data.files import Files, Locate, open_file
from counterpoise.errors import UserError

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

_UNSIGNED_BYTE = 8  # the type code of every file of this family


def files(base: str, checksums: dict[str, str]) -> Files:
    """Return the `files` of a data set whose archives lie at `<base>/<name>.gz`."""
    return {name: (f"{base}/{name}.gz", checksum) for name, checksum in checksums.items()}


def read(path: Path) -> np.ndarray:
    """Return the array of an IDX file of unsigned bytes; raise UserError if header and length disagree."""
    with open_file(path) as source:
        content = source.read()
    if len(content) < 4 or content[:3] != bytes([0, 0, _UNSIGNED_BYTE]):
        raise UserError(f"{path}: found magic {content[:4].hex()}, expected 000008 and the number of dimensions")
    header = 4 + 4 * content[3]
    shape = struct.unpack_from(f">{content[3]}I", content, 4) if len(content) >= header else ()
    if len(content) != header + math.prod(shape):
        raise UserError(f"{path}: found {len(content)} bytes, expected {header + math.prod(shape)} for {shape}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_parts(locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return train_x_NCHW, train_y_N, test_x_NCHW, test_y_N: uint8 intensities from 0 to 255, int64 labels."""
    train_x, train_y, test_x, test_y = (
        read(locate(name)) for name in (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    )
    return train_x[:, None], train_y.astype(np.int64), test_x[:, None], test_y.astype(np.int64)
