"""Parallel vector quantisation: a class with many examples is replaced by the code vectors that stand for them.

Source: Sultan 2022, "Sampling streaming data with parallel vector quantization -- PVQ" (arXiv 2210.01792), of which the
abstract alone was to be had, and no code; Sculley 2010, "Web-scale k-means clustering", as in scikit-learn's
`MiniBatchKMeans`, for the codebook.
Shapes: x_ND, y_N -> x_MD, y_M with M <= N; images are taken as vectors.
Units: `codebook` counts code vectors, `batch_size` examples.
Raises: ImpossibleCell for missing values or categorical columns.
Differs from the source: how large a codebook is, and how it is learned, is our reading: mini-batch k-means within each
class, on batches as a stream would give them. A class with no more examples than that stays as it is; of one with no
more different examples each is taken once. Classes are independent of each other, so that they could be quantised in
parallel; a job has one thread and takes them one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from counterpoise.data.columns import Column
from counterpoise.methods.samplers import _rows


@dataclass(frozen=True)
class Method:
    """Quantise each class that is larger than its codebook."""

    version: ClassVar[int] = 1
    codebook: Annotated[int, Ge(1)] | None = None
    """Most code vectors of a class; None: as many as the smallest class has examples."""
    batch_size: Annotated[int, Ge(1)] = 1024
    """Examples that move the code vectors at once."""

    def resample(
        self, x_ND: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples or code vectors of each class, class by class."""
        rows_ND = _rows.numbers("parallel_vector_quantisation", x_ND, columns)
        counts_C = np.bincount(y_N)
        size = self.codebook or int(counts_C[counts_C > 0].min())
        present = np.unique(y_N)
        held = [self._coded(rows_ND[y_N == label], size, random) for label in present]
        labels = np.repeat(present, [len(rows) for rows in held]).astype(np.int64)
        return np.concatenate(held).reshape(-1, *x_ND.shape[1:]), labels

    def _coded(self, x_ND: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
        if len(x_ND) <= size:
            return x_ND
        different_PD = np.unique(x_ND, axis=0)
        if len(different_PD) <= size:
            return different_PD
        from sklearn.cluster import MiniBatchKMeans

        means = MiniBatchKMeans(
            size, batch_size=self.batch_size, n_init=1, init_size=3 * max(size, self.batch_size),
            random_state=int(random.integers(2**31)),
        )  # fmt: skip
        return means.fit(x_ND).cluster_centers_.astype(x_ND.dtype)
