"""A generator makes the missing rows of a class: a Gaussian copula offline, or a command such as a language model's.

Source: Kim, Kim and Choo 2024, "Exploring prompting methods for mitigating class imbalance through synthetic data
generation with large language models" (EPIC); github.com/seharanul17/synthetic-tabular-LLM. Patki, Wedge and
Veeramachaneni 2016, "The synthetic data vault", for the copula.
Shapes: x_ND, y_N -> x_MD, y_M; images are taken as vectors.
Units: `ratio` is largest class / smallest class after sampling.
Raises: ImpossibleCell for missing values, or where the command fails or gives too few usable rows; UserError where it
cannot be run.
Differs from the source: no language model is called here: `command` is whatever the user has, and what it reads and
writes stands in samplers/_external.py. Numbers are those that preprocessing gives. As in the source each request
carries examples of all classes in balanced groups, categories under words that mean nothing, and rows with a value
that is not in the data are dropped and asked for again; unlike there, only classes that lack rows are asked for. With
`copula` the class of one example is that example repeated, and nominal values correlate in the order of their codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.samplers import _columns, _copula, _rows


@dataclass(frozen=True)
class Method:
    """Generate until every class has its target count."""

    version: ClassVar[int] = 1
    generator: Literal["copula", "command"] = "copula"
    """Where rows come from."""
    ratio: Annotated[float, Ge(1)] = 1.0
    """Target ratio of the largest class to the smallest; 1 is full balance."""
    command: str = ""
    """What to run: it reads a JSON request on its input and writes CSV or Parquet."""
    shots: Annotated[int, Ge(1)] = 15
    """Examples of each class in a group of a request."""
    sets: Annotated[int, Ge(1)] = 4
    """Groups of a request."""
    unique_words: bool = True
    """Whether classes and categories go under words that mean nothing."""
    attempts: Annotated[int, Ge(1)] = 20
    """Requests after which it is given up."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows, and after them those made."""
        rows_ND, wanted = _rows.known("table_generator", x_ND, columns), _rows.missing(y_N, self.ratio)
        features = _columns.features(rows_ND, columns)
        if self.generator == "command":
            made = self._asked(rows_ND, y_N, wanted, features, random)
        else:
            made = {
                label: _copula.sample(rows_ND, np.flatnonzero(y_N == label), features, count, random)
                for label, count in wanted.items()
            }
        return _rows.added(x_ND, y_N, made)

    def _asked(
        self,
        x_ND: np.ndarray,
        y_N: np.ndarray,
        wanted: dict[int, int],
        features: list[_columns.Feature],
        random: np.random.Generator,
    ) -> dict[int, np.ndarray]:
        """Return the rows that the command gives, asking again for what is missing."""
        from counterpoise.methods.samplers import _external

        if not self.command:
            raise UserError("table_generator: generator 'command' needs a command, e.g. command: python my_model.py")
        table = _external.describe(features, np.unique(y_N), random, unique=self.unique_words)
        made = {label: np.empty((0, x_ND.shape[1]), x_ND.dtype) for label in wanted}
        for _ in range(self.attempts):
            short = {label: count - len(made[label]) for label, count in wanted.items() if count > len(made[label])}
            if not short:
                return made
            asked = _external.request(table, x_ND, y_N, short, self.shots, self.sets, random)
            answer = _external.ask(self.command, asked)
            for label, count in short.items():
                new_MD = table.read(answer, label, x_ND.shape[1])[:count]
                made[label] = np.concatenate([made[label], new_MD]).astype(x_ND.dtype)
        label = min(wanted, key=lambda c: len(made[c]) / wanted[c])
        if len(made[label]) == wanted[label]:
            return made
        raise ImpossibleCell(
            f"table_generator: {len(made[label])} of {wanted[label]} rows of class {label} "
            f"after {self.attempts} requests"
        )
