"""Resampling a table to balance, beside imbalanced-learn: 50 columns, a tenth of the rows of the smaller class.

python -m benchmarks.resampling [--quick]
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks.harness import Json, Options, Target, compare, main
from counterpoise.registry import build

COLUMNS, MINORITY = 50, 0.1
SIZES = {"10^5 rows": 100_000, "10^6 rows": 1_000_000}


def smote(x_ND: np.ndarray, y_N: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return ours and the peer on the same table."""
    from imblearn.over_sampling import SMOTE

    ours = build("samplers", {"name": "smote"})
    return {
        "ours": lambda: ours.resample(x_ND, y_N, (), np.random.default_rng(1)),
        "imbalanced-learn": lambda: SMOTE(random_state=1).fit_resample(x_ND, y_N),
    }


def undersampling(x_ND: np.ndarray, y_N: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return ours, with the rows taken as an estimator takes them, and the peer on the same table."""
    from imblearn.under_sampling import RandomUnderSampler

    ours, labels_N = build("samplers", {"name": "random_undersampling"}), torch.from_numpy(y_N)

    def drawn() -> object:
        fixed, shuffle = (torch.Generator().manual_seed(seed) for seed in (1, 2))
        rows_M = ours.draw(labels_N, epoch=0, epochs=1.0, fixed=fixed, shuffle=shuffle).numpy()
        return x_ND[rows_M], y_N[rows_M]

    return {"ours": drawn, "imbalanced-learn": lambda: RandomUnderSampler(random_state=1).fit_resample(x_ND, y_N)}


def measure(options: Options) -> Iterator[Json | None]:
    """Yield a row for each sampler and size; the largest SMOTE costs minutes: at most three rounds and no warm-up."""
    for size, rows in list(SIZES.items())[: 1 if options.quick else None]:
        y_N = (np.arange(rows) < MINORITY * rows).astype(np.int64)
        x_ND = np.random.default_rng(0).normal(size=(rows, COLUMNS)) + y_N[:, None]
        named, work = f"{size} x {COLUMNS} columns", (rows, "rows")
        yield compare(f"random undersampling, {named}", undersampling(x_ND, y_N), options, work=work)
        large = rows > 100_000
        yield compare(
            f"SMOTE, {named}",
            smote(x_ND, y_N),
            replace(options, repeats=min(options.repeats, 3)) if large else options,
            target=Target("cpu_ratio", at_least=3.0) if large else None,
            work=work,
            warm=not large,
        )


if __name__ == "__main__":
    main("benchmarks.resampling", "Resampling a table", measure, __doc__.partition("\n\n")[0])
