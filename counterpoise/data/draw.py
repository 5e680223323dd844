"""The rows that a seed trains, validates and tests on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from counterpoise import registry, streams
from counterpoise.data.rank import rank
from counterpoise.errors import ImpossibleCell, UserError, nearest


@dataclass(frozen=True)
class Split:
    """What one seed trains and validates on."""

    train_ids: np.ndarray
    """Rows of train_x, ascending."""
    val_ids: np.ndarray
    """Rows of train_x, ascending; none of them in `train_ids`."""
    train_labels: np.ndarray
    """The label to learn of each of `train_ids`: with noise, if there is any."""
    val_labels: np.ndarray
    """Labels of `val_ids`: clean if they are the oracle's, as noisy as training's if held out from it."""
    unlabelled_ids: np.ndarray
    """Rows of train_x whose labels are hidden, ascending; none of them in the other parts."""
    unlabelled_labels: np.ndarray
    """Their true labels."""
    order: np.ndarray
    """Class ids by `design_counts`, most frequent first; ties as drawn."""
    design_counts: np.ndarray
    """What the imbalance asked for, before a sampler redrew it, labels got noisy or rows were held out."""
    test_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows of train_x that the split tests on, ascending; none where the data set has a test part of its own."""
    test_labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    """Their true labels."""


def split_column(cfg: dict[str, Any], meta: dict[str, Any], x: np.ndarray) -> np.ndarray | None:
    """Return the values of the column that the split goes by, if it does; UserError if there is no such column."""
    name = getattr(split_of(cfg), "column", None)
    if name is None:
        return None
    names = [column["name"] for column in meta.get("columns", [])]
    if name not in names:
        raise UserError(f"split: data set '{meta['name']}' has no column '{name}'{nearest(name, names)}")
    return np.asarray(x[:, names.index(name)], np.float64)


def draw(cfg: dict[str, Any], y_N: np.ndarray, classes: int, seed: int, values_N: np.ndarray | None = None) -> Split:
    """Return the split of one seed; raise ImpossibleCell if a class would miss from training or validation.

    `values_N` are those of the column that the split goes by, if it does.
    """
    split, rows = split_of(cfg), np.arange(len(y_N))
    if limit := cfg["rows"]:
        rows = _capped(y_N, limit)
    if not hasattr(split, "parts"):
        return _renumbered(_draw(cfg, y_N[rows], classes, seed), rows)
    is_candidate, is_test = split.parts(y_N[rows], seed, None if values_N is None else values_N[rows])
    drawn = _renumbered(_draw(cfg, y_N[rows[is_candidate]], classes, seed), rows[is_candidate])
    return replace(drawn, test_ids=rows[is_test], test_labels=y_N[rows[is_test]])


def _capped(y_N: np.ndarray, limit: int) -> np.ndarray:
    """Return at most `limit` rows, ascending: every class in proportion, but at least one; the same for every seed."""
    if len(y_N) <= limit:
        return np.arange(len(y_N))
    counts_C = np.bincount(y_N)
    kept_C = np.where(counts_C > 0, np.maximum(1, np.floor(counts_C * (limit / len(y_N)) + 0.5)), 0)
    rank_N = rank(y_N, streams.numpy("sample", "cap", 0).permutation(len(y_N)))
    return np.flatnonzero(rank_N < kept_C[y_N])


def _renumbered(split: Split, rows: np.ndarray) -> Split:
    """Return a split of some rows as one of all."""
    return replace(split, **{name: rows[getattr(split, name)] for name in ("train_ids", "val_ids", "unlabelled_ids")})


def _draw(cfg: dict[str, Any], y_N: np.ndarray, classes: int, seed: int) -> Split:
    drawn_C, priority_N = class_order(cfg, classes, seed), _priority(cfg, y_N, seed)
    all_C = np.bincount(y_N, minlength=classes)
    design_C, counts_C = class_counts(cfg, all_C, drawn_C)

    rank_N = rank(y_N, priority_N)
    is_train_N = rank_N < counts_C[y_N]
    labels_N = _with_noise(y_N, classes, cfg["label_noise"], seed)
    if share := cfg["validation_fraction"]:
        is_val_N = _held_out(share, is_train_N, labels_N, priority_N, classes)
        is_train_N, val_labels_N = is_train_N & ~is_val_N, labels_N
    else:
        is_val_N, val_labels_N = rank_N >= (all_C - cfg["validation"])[y_N], y_N
    order_C = drawn_C[np.argsort(-design_C[drawn_C], kind="stable")]
    hidden_C = _hidden(cfg["unlabelled"], order_C, all_C - counts_C - cfg["validation"])
    is_hidden_N = (rank_N >= counts_C[y_N]) & (rank_N < (counts_C + hidden_C)[y_N])
    absent = np.flatnonzero(np.bincount(labels_N[is_train_N], minlength=classes) == 0)
    if len(absent):
        raise ImpossibleCell(f"label_noise: no training label of class {absent[0]} is left (seed {seed})")
    return Split(
        train_ids=np.flatnonzero(is_train_N),
        val_ids=np.flatnonzero(is_val_N),
        train_labels=labels_N[is_train_N],
        val_labels=val_labels_N[is_val_N],
        unlabelled_ids=np.flatnonzero(is_hidden_N),
        unlabelled_labels=y_N[is_hidden_N],
        order=order_C,
        design_counts=design_C,
    )


def class_order(cfg: dict[str, Any], classes: int, seed: int) -> np.ndarray:
    """Return the class ids in the order that the imbalance gets: drawn, unless it says which rows, or goes in order."""
    if hasattr(_imbalance(cfg), "priority") or getattr(_imbalance(cfg), "ordered", False):
        return np.arange(classes)
    return streams.numpy("sample", "class_order", seed).permutation(classes)


def class_counts(cfg: dict[str, Any], all_C: np.ndarray, order_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts that the imbalance asks for, and those to train on (not the same if a sampler redraws).

    `all_C` counts the rows of each class. Pure, so that a plan can be checked before any job: raises
    ImpossibleCell if a class is left empty or has too few rows, UserError for two kinds of validation at once.
    """
    validation = cfg["validation"]
    if validation and cfg["validation_fraction"]:
        raise UserError(
            f"expected one of validation (found {validation}) and validation_fraction (found "
            f"{cfg['validation_fraction']}), not both"
        )
    for label in np.flatnonzero(all_C < validation).tolist():
        raise ImpossibleCell(f"validation: class {label} has {all_C[label]} examples, {validation} are asked")
    available_C = all_C - validation
    design_C = _imbalance(cfg).counts(available_C, order_C)
    if redraw := cfg.get("redraw"):
        return design_C, registry.build("samplers", redraw).redraw(design_C, available_C)
    return design_C, design_C


def split_of(cfg: dict[str, Any]) -> Any:
    """Return the split of a recipe."""
    return registry.build("splits", cfg["split"])


def _imbalance(cfg: dict[str, Any]) -> Any:
    return registry.build("imbalance", cfg["imbalance"])


def _priority(cfg: dict[str, Any], y_N: np.ndarray, seed: int) -> np.ndarray:
    """Return which row of a class comes before which (least first): as the imbalance says, or drawn."""
    if hasattr(imbalance := _imbalance(cfg), "priority"):
        return imbalance.priority(y_N)
    return streams.numpy("sample", "rows", seed).permutation(len(y_N))


def _with_noise(y_N: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """Return labels of which each is, with probability `share`, replaced by another class drawn uniformly.

    A row's fate depends on the seed alone: it is the same in every subset, and more noise contains less noise.
    """
    random = streams.numpy("sample", "label_noise", seed)
    is_noisy_N, shift_N = random.random(len(y_N)) < share, random.integers(1, classes, len(y_N))
    return np.where(is_noisy_N, (y_N + shift_N) % classes, y_N)


def _held_out(
    share: float, is_train_N: np.ndarray, labels_N: np.ndarray, priority_N: np.ndarray, classes: int
) -> np.ndarray:
    """Return which training rows validate: a share of each class as labelled, rounded, but at least one."""
    ids = np.flatnonzero(is_train_N)
    counts_C = np.bincount(labels_N[ids], minlength=classes)
    held_C = np.maximum(1, np.floor(share * counts_C + 0.5)).astype(np.int64)
    for label in np.flatnonzero(held_C >= counts_C).tolist():
        raise ImpossibleCell(
            f"validation_fraction: class {label} has {counts_C[label]} training examples, holding out {share:g} "
            f"of them (at least one) would leave none for training or validation"
        )
    is_val_N = np.zeros(len(labels_N), bool)
    rank_M = rank(labels_N[ids], priority_N[ids])
    is_val_N[ids] = rank_M >= (counts_C - held_C)[labels_N[ids]]
    return is_val_N


def _hidden(unlabelled: dict[str, Any], order_C: np.ndarray, left_C: np.ndarray) -> np.ndarray:
    """Return how many rows of each class are given without labels; ImpossibleCell if too few are left.

    `order_C` are the classes from the most frequent of training to the rarest, `left_C` the rows that no part uses.
    """
    if not unlabelled["per_class"]:
        return np.zeros_like(left_C)
    spec = {"name": "long_tailed", "per_class": unlabelled["per_class"], "factor": unlabelled["factor"]}
    ordered_C = order_C if unlabelled["order"] == "same" else order_C[::-1]
    try:
        return registry.build("imbalance", spec).counts(left_C, ordered_C)
    except ImpossibleCell as reason:
        raise ImpossibleCell(f"unlabelled: {reason}") from None
