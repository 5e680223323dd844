"""A Gaussian copula over numbers and nominal values."""

from __future__ import annotations

import numpy as np

from counterpoise.methods.samplers._columns import Feature


def sample(
    x_ND: np.ndarray, rows: np.ndarray, features: list[Feature], count: int, random: np.random.Generator
) -> np.ndarray:
    """Return `count` rows whose every feature is distributed as in `rows`, and all together as a Gaussian copula.

    Ranks (those of equal values drawn) become normal scores; their correlation is shrunk after Ledoit and Wolf. A
    number is read off the row values with linear interpolation, a nominal value is one that occurs.
    """
    from scipy.stats import norm
    from sklearn.covariance import ledoit_wolf

    N = len(rows)
    keys_NF = np.column_stack([x_ND[rows, f.places[0]] if f.is_number else f.codes_N[rows] for f in features])
    order_NF = np.stack([np.lexsort((random.random(N), key_N)) for key_N in keys_NF.T], axis=1)
    score_NF = norm.ppf((order_NF.argsort(0) + 0.5) / N)
    covariance_FF = ledoit_wolf(score_NF, assume_centered=True)[0] if N > 1 else np.eye(len(features))
    deviation_F = np.sqrt(np.diag(covariance_FF))
    values_F, vectors_FF = np.linalg.eigh(covariance_FF / np.outer(deviation_F, deviation_F))
    latent_MF = random.normal(size=(count, len(features))) @ (vectors_FF * np.sqrt(values_F.clip(0))).T
    place_MF = norm.cdf(latent_MF) * N - 0.5
    made_MD = np.empty((count, x_ND.shape[1]), x_ND.dtype)
    for f, feature in enumerate(features):
        sorted_NW = x_ND[rows[order_NF[:, f]]][:, feature.places]
        if feature.is_number:
            made_MD[:, feature.places[0]] = np.interp(place_MF[:, f], np.arange(N), sorted_NW[:, 0])
        else:
            made_MD[:, feature.places] = sorted_NW[np.rint(place_MF[:, f]).astype(np.int64).clip(0, N - 1)]
    return made_MD
