"""Self-paced ensemble beside its authors' code: 50 columns, one row in a hundred of the smaller class, 10 trees, `fit`.

python -m benchmarks.self_paced_ensemble [--quick]
The peer is the repository imbalanced-ensemble in the folder that --peers names. Where seaborn, openml or platformdirs,
which its plots and downloads import, are not installed, empty modules stand in for them.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.harness import Json, Options, Target, compare, main
from counterpoise.registry import build

COLUMNS, MINORITY, TREES, BINS = 50, 0.01, 10, 5
SIZES = {"10^5 rows": 100_000, "10^6 rows": 1_000_000}


def classifier(folder: Path) -> Any:
    """Return the authors' class."""
    sys.path[:0] = [str(folder)]
    for name in ("seaborn", "openml", "platformdirs"):
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = ModuleType(name)
            sys.modules["imbens.datasets"] = ModuleType("imbens.datasets")
    return importlib.import_module("imbens.ensemble").SelfPacedEnsembleClassifier


def sides(rows: int, peer: Any) -> dict[str, Callable[[], object]]:
    """Return ours, as the authors' code has it, and the peer, on the same table of overlapping normal columns."""
    from sklearn.tree import DecisionTreeClassifier

    random = np.random.default_rng(0)
    y_N = (np.arange(rows) < MINORITY * rows).astype(np.int64)
    x_ND = random.normal(size=(rows, COLUMNS)) + 0.5 * y_N[:, None]
    spec = {"name": "self_paced_ensemble", "n_estimators": TREES, "bins": BINS, "variant": "official_code"}
    found: dict[str, Callable[[], object]] = {"ours": lambda: build("models", spec).fit(x_ND, y_N, 1)}
    if peer is not None:
        options = {"n_estimators": TREES, "k_bins": BINS, "random_state": 1}
        found["imbalanced-ensemble"] = lambda: peer(DecisionTreeClassifier(), **options).fit(x_ND, y_N)
    return found


def measure(options: Options) -> Iterator[Json | None]:
    """Yield a row for each size; the larger has at most three rounds."""
    folder = options.peer("imbalanced-ensemble")
    peer = classifier(folder) if folder else None
    for size, rows in list(SIZES.items())[: 1 if options.quick else None]:
        yield compare(
            f"self-paced ensemble, {size} x {COLUMNS} columns",
            sides(rows, peer),
            replace(options, repeats=min(options.repeats, 3)) if rows > 100_000 else options,
            target=Target("cpu_ratio", at_least=1.0) if peer else None,
            work=(rows, "rows"),
        )


if __name__ == "__main__":
    main("benchmarks.self_paced_ensemble", "Self-paced ensemble", measure, __doc__.partition("\n\n")[0])
