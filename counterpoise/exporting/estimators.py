"""Fitted classical models in files without pickled code.

Trees of LightGBM and XGBoost are in these libraries' own text formats. Anything else is in skops, whose loader builds
types by name: only those of a list are built, so that a file can hold numbers but no code.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from counterpoise.errors import UserError
from counterpoise.scoring.log_probabilities import of_margins

SKOPS, LIGHTGBM, XGBOOST = "estimator.skops", "lightgbm.txt", "xgboost.json"
FILES = (SKOPS, LIGHTGBM, XGBOOST)
OURS = r"counterpoise\.methods\.models\._[a-z_]+\.[A-Z][A-Za-z]*"  # fitted models: plain containers
TRUSTED = frozenset(  # beside these and what skops builds by itself: types that run nothing when they are built
    {
        "imblearn.ensemble._forest.BalancedRandomForestClassifier",
        "imblearn.pipeline.Pipeline",
        "imblearn.under_sampling._prototype_selection._random_under_sampler.RandomUnderSampler",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.tree._tree.Tree",
    }
)


def save(folder: Path, estimator: Any) -> str:
    """Write a fitted classical model and return its file's name; raise UserError if that takes pickled code."""
    import skops.io

    inner = getattr(estimator, "estimator", estimator)
    package = type(inner).__module__.partition(".")[0]
    if package == "lightgbm":
        inner.booster_.save_model(folder / LIGHTGBM)
        return LIGHTGBM
    if package == "xgboost":
        inner.get_booster().save_model(folder / XGBOOST)
        return XGBOOST
    content = skops.io.dumps(estimator)
    if strange := _strange(skops.io.get_untrusted_types(data=content)):
        raise UserError(
            f"export: {type(inner).__name__} holds {strange[0]}, which cannot be written without pickled code; "
            "choose another case"
        )
    (folder / SKOPS).write_bytes(content)
    return SKOPS


def load(folder: Path, name: str, classes: list[int]) -> Any:
    """Return what `save` wrote; raise UserError for a file that holds a type which is not on the list."""
    if name == LIGHTGBM:
        import lightgbm

        return _Booster(partial(lightgbm.Booster(model_file=folder / name).predict, raw_score=True), classes)
    if name == XGBOOST:
        import xgboost

        booster = xgboost.Booster(model_file=folder / name)
        return _Booster(lambda x: booster.predict(xgboost.DMatrix(x), output_margin=True), classes)
    if name == SKOPS:
        return _from_skops(folder / name)
    raise UserError(f"{folder}: unknown file '{name}' of a model; nothing was loaded")


def _strange(names: list[str]) -> list[str]:
    """Return the types that are not on the list."""
    return [name for name in names if name not in TRUSTED and not re.fullmatch(OURS, name)]


def _from_skops(path: Path) -> Any:
    import skops.io

    try:
        named = skops.io.get_untrusted_types(file=path)
        if strange := _strange(named):
            raise UserError(f"{path}: holds {strange[0]}, which is not on the list of types that may be built; refused")
        return skops.io.load(path, trusted=named)
    except UserError:
        raise
    except Exception as reason:  # a file that was made to break a loader breaks it in many ways
        raise UserError(f"{path}: cannot be read ({type(reason).__name__}: {' '.join(str(reason).split())})") from None


class _Booster:
    """Boosted trees as their own library reads them back."""

    def __init__(self, predict: Any, classes: list[int]) -> None:
        """Take what gives margins of rows."""
        self.predict, self.classes_ = predict, np.array(classes)

    def log_probability(self, x_NF: np.ndarray) -> np.ndarray:
        """Return log-probabilities [N, C] in the order of `classes_`."""
        return of_margins(self.predict(x_NF))
