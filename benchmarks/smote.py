"""SMOTE beside imbalanced-learn's: 50 columns, a tenth of the rows of the smaller class, full balance.

python -m benchmarks.smote [--quick]
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from benchmarks.harness import Json, Options, Target, compare, main
from counterpoise.registry import build

COLUMNS, MINORITY = 50, 0.1
SIZES = {"10^5 rows": 100_000, "10^6 rows": 1_000_000}


def sides(rows: int) -> dict[str, Callable[[], object]]:
    """Return ours and the peer on the same table of normal columns."""
    from imblearn.over_sampling import SMOTE

    random = np.random.default_rng(0)
    y_N = (np.arange(rows) < MINORITY * rows).astype(np.int64)
    x_ND = random.normal(size=(rows, COLUMNS)) + y_N[:, None]
    ours = build("samplers", {"name": "smote"})
    return {
        "ours": lambda: ours.resample(x_ND, y_N, (), np.random.default_rng(1)),
        "imbalanced-learn": lambda: SMOTE(random_state=1).fit_resample(x_ND, y_N),
    }


def measure(options: Options) -> Iterator[Json | None]:
    """Yield a row for each size; the largest costs minutes, so it has at most three rounds and no warm-up."""
    for size, rows in list(SIZES.items())[: 1 if options.quick else None]:
        large = rows > 100_000
        yield compare(
            f"SMOTE, {size} x {COLUMNS} columns",
            sides(rows),
            replace(options, repeats=min(options.repeats, 3)) if large else options,
            target=Target("cpu_ratio", at_least=3.0) if large else None,
            work=(rows, "rows"),
            warm=not large,
        )


if __name__ == "__main__":
    main("benchmarks.smote", "SMOTE", measure, __doc__.partition("\n\n")[0])
