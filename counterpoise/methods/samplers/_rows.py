"""What samplers that make or select rows by their values have in common."""

from __future__ import annotations

from math import ceil, floor

import numpy as np

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell


def numbers(name: str, x: np.ndarray, columns: tuple[Column, ...]) -> np.ndarray:
    """Return rows as vectors that have distances; raise ImpossibleCell for what has none."""
    for column in columns:
        if column.kind == "categorical":
            raise ImpossibleCell(
                f"{name}: column '{column.name}' holds categories, between which there is no distance; "
                f"say preprocessing: typed_columns"
            )
    return known(name, x, columns)


def known(name: str, x: np.ndarray, columns: tuple[Column, ...]) -> np.ndarray:
    """Return rows as vectors of at least single precision; raise ImpossibleCell for a missing or infinite value."""
    x_ND = x.reshape(len(x), -1).astype(np.result_type(x.dtype, np.float32), copy=False)
    for d in np.flatnonzero(~np.isfinite(x_ND).all(0))[:1].tolist():
        which = f"column '{columns[d].name}'" if columns else f"value {d} of an example"
        raise ImpossibleCell(
            f"{name}: {which} is missing or infinite in {(~np.isfinite(x_ND[:, d])).sum()} rows; "
            f"impute first (preprocessing: typed_columns)"
        )
    return x_ND


def missing(y_N: np.ndarray, ratio: float) -> dict[int, int]:
    """Return how many rows each class lacks to ceil(largest class / ratio), of the classes that have rows but lack any.

    As in the sampler random_oversampling.
    """
    counts_C = np.bincount(y_N)
    target = ceil(int(counts_C.max()) / ratio)
    return {c: target - int(counts_C[c]) for c in np.flatnonzero((counts_C > 0) & (counts_C < target)).tolist()}


def allowed(y_N: np.ndarray, ratio: float) -> dict[int, int]:
    """Return floor(ratio x smallest class), of the classes that have more. As in the sampler random_undersampling."""
    counts_C = np.bincount(y_N)
    target = floor(ratio * int(counts_C[counts_C > 0].min()))
    return dict.fromkeys(np.flatnonzero(counts_C > target).tolist(), target)


def cleaned(y_N: np.ndarray, classes: str) -> np.ndarray:
    """Return the classes whose rows may go: `all`, or those `not minority` (the first of the smallest stays)."""
    counts_C = np.bincount(y_N)
    present = np.flatnonzero(counts_C)
    return present if classes == "all" else present[present != present[counts_C[present].argmin()]]


def selected(name: str, x: np.ndarray, y_N: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that are kept; raise ImpossibleCell if none of a class is."""
    kept = np.sort(kept)
    gone = np.setdiff1d(y_N, y_N[kept])
    if len(gone):
        raise ImpossibleCell(f"{name}: none of the {(y_N == gone[0]).sum()} examples of class {gone[0]} would be left")
    return x[kept].astype(np.result_type(x.dtype, np.float32), copy=False), y_N[kept].astype(np.int64)


def added(x: np.ndarray, y_N: np.ndarray, made: dict[int, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and, after them, those made for each class, in the shape of the rows."""
    x_MD = np.concatenate([x.reshape(len(x), -1), *made.values()])
    labels = np.repeat(list(made), [len(rows) for rows in made.values()])
    return x_MD.reshape(-1, *x.shape[1:]), np.concatenate([y_N, labels]).astype(np.int64)
