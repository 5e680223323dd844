"""Stage preprocess: decode a data set, check that it is the published one, set its test part aside, pool.

Writes `train_x.npy`, `train_y.npy`, `test_x.npy`, `test_y.npy` (memory-mappable, not standardised) and
`meta.json` {name, classes, shape of one example, kind, data_hash of the data set; columns of a table; target}. Where
there is a target, its values are `train_t.npy` and `test_t.npy`, and its bins are the classes of `train_y`, `test_y`.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from counterpoise import records, registry
from counterpoise.data import files, pooling, targets
from counterpoise.errors import UserError

PARTS = ("train_x", "train_y", "test_x", "test_y")


def run(cfg: dict[str, Any], *, out: Path, spec: dict[str, Any]) -> None:
    """Write the arrays of `cfg["data"]` to `out`; raise UserError if a file is missing or not the published one."""
    with records.job(out, spec, {}):
        arrays, meta = decode(cfg["data"])
        if "target" in meta:
            train_x, train_t, test_x, test_t = arrays
            edges_E = targets.edges(train_t, len(meta["classes"]))
            arrays = train_x, targets.bins(train_t, edges_E), test_x, targets.bins(test_t, edges_E)
            records.write_array(out / "train_t.npy", train_t)
            records.write_array(out / "test_t.npy", test_t)
        for part, array in zip(PARTS, arrays, strict=True):
            records.write_array(out / f"{part}.npy", array)
        records.write_json(out / "meta.json", meta)


def decode(spec: dict[str, Any]) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    """Return the four arrays that a data set reads, images pooled, and their meta data."""
    name, dataset = spec["name"], registry.build("datasets", spec)
    train_x, train_y, test_x, test_y = dataset.read(
        partial(files.locate, getattr(dataset, "folder", name), dataset.files)
    )
    found = files.hash_arrays(train_x, train_y, test_x, test_y)
    if dataset.data_hash not in (found, files.hash_checksums(dataset.files)):
        raise UserError(f"data set '{name}' decodes to data hash {found}, expected {dataset.data_hash}")
    if not hasattr(dataset, "path"):  # a user's own file is checked when it is read
        _check_counts(name, dataset, train_x, train_y)
    if dataset.kind == "image" and dataset.pool > 1:
        train_x, test_x = (pooling.average_pool(x, dataset.pool) for x in (train_x, test_x))
    meta = {
        "name": name,
        "classes": list(dataset.classes),
        "shape": list(train_x.shape[1:]),
        "kind": dataset.kind,
        "data_hash": dataset.data_hash,
    }
    if hasattr(dataset, "columns"):
        meta["columns"] = [asdict(column) for column in dataset.columns]
    if hasattr(dataset, "quantity"):
        meta["target"] = dataset.quantity
    return (train_x, train_y, test_x, test_y), meta


def _check_counts(name: str, dataset: Any, train_x: np.ndarray, train_y: np.ndarray) -> None:
    """Raise UserError unless shape and training counts, on which the plan was checked, are those of the data."""
    found = {"shape": train_x.shape[1:]}
    if not hasattr(dataset, "quantity"):
        found["train_counts"] = tuple(np.bincount(train_y, minlength=len(dataset.classes)).tolist())
    for attribute, value in found.items():
        if value != tuple(getattr(dataset, attribute)):
            raise UserError(
                f"data set '{name}': {attribute} of the data is {value}, its file has {getattr(dataset, attribute)}; "
                f"`counterpoise hash {name}` prints what it must contain"
            )
