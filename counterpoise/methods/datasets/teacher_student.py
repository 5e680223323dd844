"""Normal inputs labelled by a perceptron with a bias, the teacher, whose rare side is drawn as often as is asked.

Source: Pezzicoli, Ros, Landes and Baity-Jesi 2025, "Class imbalance in anomaly detection: learning from an exactly
solvable model" [recalled; no code was to be had].
Shapes: tables (width,).
Units: standard deviations of an input.
Raises: UserError if a class would have no row.
Differs from the source: finitely many inputs in place of the limit of infinitely many. `intrinsic` is the share of
inputs on the teacher's rare side, `share` that of the rare class among the rows; the test part holds both classes
equally often, so that nothing measured depends on it. The generator fixes the data, not a checksum: sums differ in the
last bit between machines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import streams
from counterpoise.data import files as data
from counterpoise.data.files import Files, Locate
from counterpoise.errors import UserError

_TESTS = 1000  # rows of the test part


@dataclass(frozen=True)
class Method:
    """One side of a hyperplane is rare."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "table"
    classes: ClassVar[tuple[str, ...]] = ("normal", "anomaly")
    data_hash: ClassVar[str] = data.hash_checksums({})
    files: ClassVar[Files] = {}

    draw: Annotated[int, Interval(ge=0)] = 0
    """Which teacher and rows of those that the same options give."""
    rows: Annotated[int, Interval(ge=2)] = 1000
    """Rows of the training part."""
    width: Annotated[int, Interval(ge=1)] = 50
    """Inputs of a row."""
    intrinsic: Annotated[float, Interval(gt=0, lt=1)] = 0.05
    """Share of anomalies where inputs are drawn without regard to their class: the bias of the teacher."""
    share: Annotated[float, Interval(gt=0, lt=1)] = 0.5
    """Share of anomalies in the training part."""

    def __post_init__(self) -> None:
        if not 0 < self._anomalies < self.rows:
            raise UserError(f"share: {self.share:g} of {self.rows} rows leaves a class without any")

    @property
    def _anomalies(self) -> int:
        return round(self.share * self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return (self.width,)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Rows of each class in the training part."""
        return self.rows - self._anomalies, self._anomalies

    def read(self, locate: Locate) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return train_x_ND, train_y_N, test_x_ND, test_y_N (float32, int64)."""
        random = streams.numpy("preprocess", "teacher_student", self.draw)
        teacher_D = random.normal(size=self.width)
        teacher_D /= np.linalg.norm(teacher_D)
        test = self._made(_TESTS // 2, _TESTS, teacher_D, random)
        return *self._made(self._anomalies, self.rows, teacher_D, random), *test

    def _made(
        self, anomalies: int, rows: int, teacher_D: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the side of each row first, then the input given its side: along the teacher a cut normal."""
        from scipy.special import ndtri

        y_N = (np.arange(rows) < anomalies).astype(np.int64)
        upper_N = random.uniform(0, np.where(y_N, self.intrinsic, 1 - self.intrinsic))  # a probability of its side
        along_N = np.where(y_N, -ndtri(upper_N), ndtri(upper_N))
        x_ND = random.normal(size=(rows, self.width))
        x_ND += (along_N - x_ND @ teacher_D)[:, None] * teacher_D
        return x_ND.astype(np.float32), y_N
