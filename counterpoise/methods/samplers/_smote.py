"""Points between the rows of a class and their nearest neighbours."""

from __future__ import annotations

import numpy as np

from counterpoise.methods.samplers import _neighbours

PIECE = 1 << 20  # values made at a time


def synthetic(x_ND: np.ndarray, count: int, k: int, random: np.random.Generator, *, even: bool) -> np.ndarray:
    """Return `count` rows, each at a uniform place between a row and one of its `k` nearest others.

    Rows and neighbours are drawn with replacement; with `even`, each row serves equally often, but for a remainder
    that is drawn without replacement. k is at most the rows less one; a lone row is repeated.
    """
    N, k = len(x_ND), min(k, len(x_ND) - 1)
    if k == 0:
        return np.repeat(x_ND, count, axis=0)
    neighbour_Nk = _neighbours.nearest(x_ND, k)
    if even:
        row_M = np.concatenate([np.tile(np.arange(N), count // N), random.permutation(N)[: count % N]])
        which_M = random.integers(k, size=count)
    else:
        row_M, which_M = np.divmod(random.integers(N * k, size=count), k)
    step_M = random.random(count).astype(x_ND.dtype)
    made_MD = np.empty((count, x_ND.shape[1]), x_ND.dtype)
    rows = max(1, PIECE // x_ND.shape[1])
    for start in range(0, count, rows):
        part = slice(start, start + rows)
        from_, to = x_ND[row_M[part]], x_ND[neighbour_Nk[row_M[part], which_M[part]]]
        made_MD[part] = from_ + step_M[part, None] * (to - from_)
    return made_MD
