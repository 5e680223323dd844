"""What the model of one seed is given: its rows of every part, and raw columns made into inputs.

Whatever is fitted (imputation, encoding, scaling) sees the training rows of that seed alone, and resampling sees what
comes out of it: there is no path by which a validation or test row could reach either.

Legend: N rows, D raw columns, F inputs, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoise import devices, readers, streams
from counterpoise.data.columns import Column
from counterpoise.data.samples import Sample, open_array
from counterpoise.data.targets import Scale
from counterpoise.errors import ImpossibleCell, recorded
from counterpoise.registry import build

Part = tuple[np.ndarray, np.ndarray]  # rows of an array, their labels
Transform = Callable[[np.ndarray], np.ndarray]  # raw rows -> inputs


class Inputs:
    """The parts of one seed, each as rows of an array and their labels."""

    def __init__(
        self, cfg: dict[str, Any], data: Path, sample: Path, seed: int, device: torch.device = devices.CPU
    ) -> None:
        """`device` is where a network takes its rows."""
        held = readers.read_table(sample / "split.parquet", filters=[("seed", "=", seed)])
        ids, labels, parts = (held[name].to_numpy() for name in ("id", "label", "part"))
        self.train, self.val, self.hidden, self.test = (
            (ids[parts == name].copy(), labels[parts == name].copy()) for name in ("train", "val", "unlabelled", "test")
        )
        self.layout, self.device = cfg["layout"], device
        self.seed, self.meta = seed, readers.read_json(data / "meta.json")
        statistics = readers.read_json(sample / "statistics.json")
        if str(seed) not in statistics or not held.num_rows:
            raise readers.Damaged(sample / "statistics.json", f"lacks seed {seed}, or split.parquet beside it does")
        self.statistics = statistics[str(seed)]
        self.counts = torch.tensor(self.statistics["class_counts"], dtype=torch.float32)
        self.raw_pool = self.raw_tests = open_array(data, "train_x")
        self.is_split = len(self.test[0]) > 0
        if not self.is_split:  # the test part is the data set's own
            self.raw_tests, test_y = open_array(data, "test_x"), np.array(open_array(data, "test_y"))
            self.test = np.arange(len(test_y)), test_y
        self.scale = None
        if "target" in self.meta:
            self.pool_t, self.test_t = (np.array(open_array(data, name)) for name in ("train_t", "test_t"))
            self.scale = Scale.of(self.pool_t[self.train[0]])
        self.made_of_training: np.ndarray | None = None
        self.method = build("preprocessing", cfg["preprocessing"])
        held_columns = self.meta.get("columns", [])
        self.raw_columns = tuple(Column(**{**c, "categories": tuple(c["categories"])}) for c in held_columns)
        if not hasattr(self.method, "fit"):
            self._check_plain()
        elif not held_columns:  # a table that does not describe its columns holds numbers
            self.raw_columns = tuple(Column(f"x{d}") for d in range(self.raw_pool.shape[1]))

    def _check_plain(self) -> None:
        for d, column in enumerate(self.raw_columns):
            advice = "; say preprocessing: typed_columns"
            if column.kind == "categorical":
                raise ImpossibleCell(f"column '{column.name}' holds categories, which have no mean{advice}")
            if np.isnan(self.raw_pool[self.train[0], d]).any():
                raise ImpossibleCell(f"column '{column.name}' has missing values{advice}")

    def targets(self, split: str, ids: np.ndarray) -> np.ndarray:
        """Return, of a regression, the targets of some rows of a part, in their own units."""
        return self.test_t[ids] if split == "test" and not self.is_split else self.pool_t[ids]

    def fit(self, ids: np.ndarray) -> tuple[Transform, tuple[Column, ...]]:
        """Return what makes inputs of raw rows, as the rows `ids` of training decide, and what the inputs are."""
        left_out = self.statistics.get("left_out")
        used = [d for d, column in enumerate(self.raw_columns) if column.name != left_out]
        if hasattr(self.method, "fit"):
            given = (self.raw_pool[ids][:, used], tuple(self.raw_columns[d] for d in used))
            supervised = getattr(self.method, "supervised", False)
            targets = (self.pool_t[ids], self.seed) if supervised else ()
            with recorded(f"preprocessing {type(self.method).__module__.rpartition('.')[2]}"):
                fitted = self.method.fit(*given, *targets)
            if supervised:
                self.made_of_training = fitted.made_of_training
            return lambda x: fitted(x[:, used]), fitted.columns
        rows = self._plain(self.raw_pool)
        columns = self.raw_columns if self.raw_pool.ndim == 2 else ()
        return lambda x: rows.standardise(torch.from_numpy(x).float()).flatten(1).numpy(), columns

    @cached_property
    def fitted(self) -> tuple[Transform, tuple[Column, ...]]:
        """What all training rows decide."""
        return self.fit(self.train[0])

    @cached_property
    def own(self) -> np.ndarray:
        """The inputs of the training rows, as a classical model takes them.

        Preprocessing that reads targets says what these rows are by itself: out of fold, or it would give them away.
        """
        transform, _ = self.fitted
        return transform(self.raw_pool[self.train[0]]) if self.made_of_training is None else self.made_of_training

    @cached_property
    def pool(self) -> np.ndarray:
        """What the rows of training, validation and hidden labels are rows of, as a network takes it."""
        made = self._prepared(self.raw_pool)
        if self.made_of_training is not None:
            made[self.train[0]] = self.made_of_training
        return made

    @cached_property
    def tests(self) -> np.ndarray:
        """What the test rows are rows of, as a network takes it."""
        return self.pool if self.is_split else self._prepared(self.raw_tests)

    def rows(self) -> Sample:
        """Return the training rows of a network."""
        if not hasattr(self.method, "fit"):
            return self._plain(self.pool, self.device)
        width = self.pool.shape[1]
        return Sample(self.pool, *self.train, np.zeros(width), np.ones(width), device=self.device)

    def _plain(self, x: np.ndarray, device: torch.device = devices.CPU) -> Sample:
        return Sample(x, *self.train, self.statistics["mean"], self.statistics["std"], self.layout, device)

    def _prepared(self, raw: np.ndarray) -> np.ndarray:
        return self.fitted[0](raw).astype(np.float32) if hasattr(self.method, "fit") else raw


def resampled(sampler: Any, rows: Sample, columns: tuple[Column, ...], seed: int) -> Sample:
    """Return the rows that training draws from: those that a sampler made of them, if it makes any.

    Numbers are resampled as the network takes them, standardised; images in their own units, as augmentation is too.
    """
    if not hasattr(sampler, "resample"):
        return rows
    x, y = rows.batch(torch.arange(len(rows.labels)))
    is_image = x.ndim > 2
    given = (x if is_image else rows.standardise(x)).cpu().numpy().astype(np.float64)
    with recorded(f"sampler {type(sampler).__module__.rpartition('.')[2]}"):
        made_x, made_y = sampler.resample(given, y.cpu().numpy(), columns, streams.numpy("finetune", "resample", seed))
    made = made_x.astype(np.float32), np.arange(len(made_y)), made_y.astype(np.int64)
    if is_image:
        return rows.others(*made)
    width = made_x.shape[1]
    return Sample(*made, np.zeros(width), np.ones(width), rows.layout, rows.device)
