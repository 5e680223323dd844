"""`hash`: what the file of a data set must contain, measured from the data."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np

from counterpoise import registry
from counterpoise.data import files as data
from counterpoise.errors import UserError

TYPES = {"shape": "tuple[int, ...]", "train_counts": "tuple[int, ...]", "data_hash": "str", "files": "Files"}


def hash_data(options: argparse.Namespace) -> int:
    """Print the attributes of a data set that can be measured; return 1 if its file has others."""
    name = options.dataset
    cls = registry.unchecked("datasets", name)
    path = f"counterpoise/methods/datasets/{name}.py"
    if cls is None or not hasattr(cls, "read"):
        raise UserError(f"{path}: expected a class `Method` with read(self, locate)")
    if hasattr(cls, "path"):
        raise UserError(
            f"hash: '{name}' reads a file of yours, whose hash is in its study; see `counterpoise new --help`"
        )
    dataset = cls()
    found = measured(name, dataset)
    for attribute, value in found.items():
        print(f"    {attribute}: ClassVar[{TYPES[attribute]}] = {text(value)}")
    others = [attribute for attribute, value in found.items() if getattr(dataset, attribute, None) != value]
    print(f"{path} differs in: {', '.join(others)}" if others else f"as in {path}")
    return 1 if others else 0


def measured(name: str, dataset: Any) -> dict[str, Any]:
    """Return the shape, training counts, hash and files of a data set as its data has them."""
    files = getattr(dataset, "files", {})
    find = partial(data.unchecked, getattr(dataset, "folder", name), files)
    train_x, train_y, test_x, test_y = dataset.read(find)
    found: dict[str, Any] = {"shape": tuple(train_x.shape[1:])}
    if not hasattr(dataset, "quantity"):
        found["train_counts"] = tuple(np.bincount(train_y).tolist())
    of_files = data.hash_checksums(files)  # of a data set that is known by its files alone
    known = getattr(dataset, "data_hash", None) == of_files
    found["data_hash"] = of_files if known else data.hash_arrays(train_x, train_y, test_x, test_y)
    sums = {file: (url, data.checksum_of(find(file), checksum)) for file, (url, checksum) in files.items()}
    return found | {"files": sums}


def text(value: Any) -> str:
    """Return a value as it is written in the file of a data set."""
    if not isinstance(value, dict) or not value:
        return f'"{value}"' if isinstance(value, str) else str(value)
    lines = [f'        "{file}": ("{url}", "{checksum}"),' for file, (url, checksum) in value.items()]
    return "\n".join(["{", *lines, "    }"])
