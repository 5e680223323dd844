"""Exact nearest neighbours of every row among the other rows, in memory linear in the data.

Many columns: tiles of products in single precision give, for every pair, a number that is never above half the squared
distance (rounding is bounded and taken off). Of each row the few candidates with the smallest numbers get their
distance in double precision; whoever has not been looked at has a larger number. A row for which that does not show
that its neighbours are right (ties, or rows far closer to one another than to the rest) is handed to scikit-learn, and
so are tables of few rows or columns. Each pair is computed once: a row finds its neighbours among the rows before it in
a random order, and later rows that are nearer announce themselves.

Legend: N rows, D columns, k neighbours, B rows of a block, G groups of rows, Q candidates.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 512  # rows; a tile of single precision is then 1 MiB, which a processor's second cache holds
GROUP = 16  # rows of which only the smallest number is kept at first
SPARE = 2  # candidates beyond k
FEW_COLUMNS, FEW_ROWS = 6, 1024  # up to here a tree, or scikit-learn's own tiles, are as good
FAR = np.float32(1e38)
HELD = 1 << 22  # values gathered at a time


def nearest(x_ND: np.ndarray, k: int) -> np.ndarray:
    """Return the positions of the `k` (less than N) nearest other rows of each row, the nearest first."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # products this small are slower on several
        return _nearest(x_ND - x_ND.mean(0, dtype=np.float64), k)


def _nearest(centred_ND: np.ndarray, k: int) -> np.ndarray:
    N, D = centred_ND.shape
    if N <= FEW_ROWS or D <= FEW_COLUMNS:
        return _by_library(centred_ND, np.arange(N), k)
    # Only the time depends on the order: at random, and by length within a block, so that rows of a group are alike.
    order_N = np.random.default_rng(0).permutation(N)
    order_N = order_N[np.lexsort((np.einsum("nd,nd->n", centred_ND, centred_ND)[order_N], np.arange(N) // BLOCK))]
    search = _Search(centred_ND[order_N], k)
    for start in range(0, N, BLOCK):
        search.block(start, min(start + BLOCK, N))
    found_Nk = np.empty((N, k), np.int64)
    found_Nk[order_N] = order_N[search.found_Nk]
    unsure = order_N[search.unseen_N < search.half_Nk[:, -1]]
    if len(unsure):
        found_Nk[unsure] = _by_library(centred_ND, unsure, k)
    return found_Nk


def _by_library(x_ND: np.ndarray, rows: np.ndarray, k: int) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k + 1, n_jobs=1).fit(x_ND).kneighbors(x_ND[rows], return_distance=False)
    is_out = found == rows[:, None]
    is_out[~is_out.any(1), -1] = True  # more than k copies of a row: any k of the others
    return found[~is_out].reshape(len(rows), k)


class _Search:
    """The state of a search: of each row the nearest seen so far."""

    def __init__(self, x_ND: np.ndarray, k: int) -> None:
        N, D = x_ND.shape
        self.k, self.groups = k, k + SPARE
        squared_N = np.einsum("nd,nd->n", x_ND, x_ND)
        scale = np.sqrt(squared_N.max()) or 1.0
        self.x_ND = x_ND / scale
        # (1/2 - slack)(|a|^2 + |b|^2) - ab, of which every rounding together is at most slack (|a|^2 + |b|^2)
        slack = (D + 8) * np.finfo(np.float32).eps / 2
        padded = N + -N % (BLOCK * GROUP)
        self.right_NE = np.zeros((padded, D + 2), np.float32)
        self.right_NE[:N, :D], self.right_NE[:N, D] = self.x_ND, (0.5 - slack) * squared_N / scale**2
        self.right_NE[:, D + 1], self.right_NE[N:, D] = 1, FAR
        self.half_Nk = np.full((N, k), np.inf)
        """Half the squared distances to the nearest seen, ascending."""
        self.found_Nk = np.zeros((N, k), np.int64)
        self.unseen_N = np.full(N, np.inf, np.float32)
        """What half the squared distance to any row that was left out is at least."""
        self.limit_N = np.full(padded, -np.inf, np.float32)
        """A later row with a smaller number may be a neighbour."""
        self.heard: list[tuple[np.ndarray, np.ndarray]] = []
        """Rows, and later rows that may be nearer."""
        self.waiting = 0
        """How many of these."""

    def block(self, start: int, stop: int) -> None:
        """Look for neighbours of rows `start` to `stop` among all rows before `stop`, and the other way round."""
        rows = slice(start, stop)
        left_EB = np.ascontiguousarray(self.right_NE[rows].T)
        left_EB[:-2] *= -1
        left_EB[[-2, -1]] = left_EB[[-1, -2]]
        least_GB = np.full((-(-stop // (BLOCK * GROUP)) * BLOCK, stop - start), FAR)
        tile_BB = np.empty((BLOCK, stop - start), np.float32)
        for at in range(0, stop, BLOCK):
            np.matmul(self.right_NE[at : at + BLOCK], left_EB, out=tile_BB)
            if at == start:
                np.fill_diagonal(tile_BB, FAR)
            groups = slice(at // GROUP, (at + BLOCK) // GROUP)
            np.minimum.reduce(tile_BB.reshape(-1, GROUP, stop - start), axis=1, out=least_GB[groups])
            self._announce(at, start, least_GB[groups], tile_BB)
        self._merge()
        self._look(start, stop, least_GB, left_EB)
        self._limit(np.arange(start, stop))

    def _announce(self, at: int, start: int, least_GB: np.ndarray, tile_BB: np.ndarray) -> None:
        """Give the rows from `at` on what the block that begins at `start` has for them."""
        limit_GS = self.limit_N[at : at + BLOCK].reshape(-1, GROUP)
        group, column = np.divmod(np.flatnonzero(least_GB < limit_GS.max(1)[:, None]), least_GB.shape[1])
        near_SG = tile_BB.reshape(len(limit_GS), GROUP, -1)[group, :, column] < limit_GS[group]
        hit, within = np.divmod(np.flatnonzero(near_SG), GROUP)
        self.heard.append((at + group[hit] * GROUP + within, start + column[hit]))
        self.waiting += len(hit)
        if self.waiting * self.x_ND.shape[1] > HELD:
            self._merge()

    def _merge(self) -> None:
        """Take over the neighbours that were announced, where they are nearer."""
        rows, others = (np.concatenate(part) for part in zip(*self.heard, strict=True))
        self.heard, self.waiting = [], 0
        half = np.concatenate([_half(self.x_ND[r], self.x_ND[o]) for r, o in _pieces(self.x_ND.shape[1], rows, others)])
        nearer = half < self.half_Nk[rows, -1]
        rows, others, half = rows[nearer], others[nearer], half[nearer]
        touched, slot = np.unique(rows, return_inverse=True)
        slot = np.concatenate([np.repeat(np.arange(len(touched)), self.k), slot])
        half = np.concatenate([self.half_Nk[touched].ravel(), half])
        others = np.concatenate([self.found_Nk[touched].ravel(), others])
        sorted_ = np.lexsort((half, slot))
        best = sorted_[np.searchsorted(slot[sorted_], np.arange(len(touched)))[:, None] + np.arange(self.k)]
        self.half_Nk[touched], self.found_Nk[touched] = half[best], others[best]
        self._limit(touched)

    def _look(self, start: int, stop: int, least_GB: np.ndarray, left_EB: np.ndarray) -> None:
        """Find the nearest among the groups with the smallest numbers."""
        coarse_GB = np.minimum.reduce(least_GB.reshape(-1, GROUP, stop - start), axis=1)
        coarse_BQ, unseen_B = _smallest(np.ascontiguousarray(coarse_GB.T), self.groups)
        fine_BQ = (coarse_BQ[:, :, None] * GROUP + np.arange(GROUP)).reshape(stop - start, -1)
        chosen_BQ, unseen_too_B = _smallest(least_GB[fine_BQ, np.arange(stop - start)[:, None]], self.groups)
        group_BQ = np.take_along_axis(fine_BQ, chosen_BQ, 1)
        unseen_B = np.minimum(unseen_B, unseen_too_B)
        width = self.right_NE.shape[1]
        right_GE = self.right_NE.reshape(-1, GROUP * width)
        of_block = np.arange(stop - start)
        for part, of_part_BQ in _pieces(group_BQ.shape[1] * GROUP * width, of_block, group_BQ):
            rows = start + part
            other_BQ = (of_part_BQ[:, :, None] * GROUP + np.arange(GROUP)).reshape(len(rows), -1)
            right_BQE = right_GE[of_part_BQ].reshape(*other_BQ.shape, width)
            number_BQ = np.matmul(right_BQE, left_EB.T[part, :, None])[:, :, 0]
            number_BQ[(other_BQ == rows[:, None]) | (other_BQ >= stop)] = FAR
            best_BQ, unseen_part = _smallest(number_BQ, self.groups)
            self.unseen_N[rows] = np.minimum(unseen_B[part], unseen_part)
            other_BQ, number_BQ = (np.take_along_axis(a, best_BQ, 1) for a in (other_BQ, number_BQ))
            half_BQ = _half(self.x_ND[np.minimum(other_BQ, stop - 1)], self.x_ND[rows, None])
            half_BQ[number_BQ == FAR] = np.inf
            nearest_Bk = half_BQ.argsort(1, kind="stable")[:, : self.k]
            self.half_Nk[rows] = np.take_along_axis(half_BQ, nearest_Bk, 1)
            self.found_Nk[rows] = np.take_along_axis(other_BQ, nearest_Bk, 1)

    def _limit(self, rows: np.ndarray) -> None:
        """Set what a later row's number must be below; where the neighbours are copies there are none nearer."""
        last = self.half_Nk[rows, -1]
        above = np.nextafter(last.astype(np.float32), np.float32(np.inf))
        self.limit_N[rows] = np.where(last > 0, above, -np.inf)


def _half(a_QD: np.ndarray, b_QD: np.ndarray) -> np.ndarray:
    difference = a_QD - b_QD
    return np.einsum("...d,...d->...", difference, difference) / 2


def _pieces(values: int, *arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Return the arrays in pieces of so many rows that, with `values` gathered for each, little is held."""
    step = max(1, HELD // values)
    for first in range(0, max(1, len(arrays[0])), step):
        yield tuple(array[first : first + step] for array in arrays)


def _smallest(number_BQ: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the `count` smallest numbers of each row are, and the smallest of the others."""
    if number_BQ.shape[1] <= count:
        everything = np.broadcast_to(np.arange(number_BQ.shape[1]), number_BQ.shape)
        return everything, np.full(len(number_BQ), np.inf, np.float32)
    order_BQ = np.argpartition(number_BQ, count, axis=1)
    return order_BQ[:, :count], np.take_along_axis(number_BQ, order_BQ[:, count : count + 1], 1)[:, 0]
