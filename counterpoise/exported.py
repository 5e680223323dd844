"""A model that `exporting` wrote: read without executing code, and asked for probabilities and decisions.

Whatever is not as its checksum says, and whatever type is not on the list, is refused before it is built.

Shapes: x_ND raw columns as the model's own list has them, codes of categories and NaN; x_NCHW images.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoise import checkpoints, fitting, train
from counterpoise.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.rebalancing import Evidence, Scores
from counterpoise.records import Json
from counterpoise.registry import build, method

FORMAT = 1
ABOUT, SUMS, PREPROCESSING, EVIDENCE = "model.json", "SHA256SUMS", "preprocessing.safetensors", "evidence.safetensors"
NETWORK, SKOPS, LIGHTGBM, XGBOOST = "network.safetensors", "estimator.skops", "lightgbm.txt", "xgboost.json"
TRUSTED = frozenset(  # beside what skops builds by itself: types that hold numbers and run nothing when built
    {
        "counterpoise.models._boosting.Vote",
        "counterpoise.models._classical.Relabelled",
        "counterpoise.models._ensemble.Mean",
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


class Model:
    """What a folder holds, ready to predict."""

    def __init__(self, folder: Path, about: Json) -> None:
        self.about = about
        self.classes: list[str] = about["classes"]
        self.evidence = checkpoints.load(folder / EVIDENCE)[0]
        self.transform = _transform(folder, about)
        self.estimator = _estimator(folder, about)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Return float32 logits_NC of raw rows."""
        x = self.transform(x) if self.transform else x
        if isinstance(self.estimator, torch.nn.Module):
            return self._network_logits(x)
        if self.transform is None:
            mean, std = (np.array(self.about[key], np.float32) for key in ("mean", "std"))
            x = (x.astype(np.float32) - mean) / std
        return fitting.logits_of(self.estimator, x, len(self.classes), self.about["floor"])

    def _network_logits(self, x: np.ndarray) -> np.ndarray:
        from counterpoise.pretraining.supervised import scores

        fitted = self.transform is not None
        ids, width = np.arange(len(x)), x.shape[1]
        mean, std = (np.zeros(width), np.ones(width)) if fitted else (self.about["mean"], self.about["std"])
        rows = train.Sample(x.astype(np.float32), ids, np.zeros(len(x), np.int64), mean, std)
        phase = _last_phase(self.about)
        with torch.no_grad():
            out = scores(phase.loss, train.predict(self.estimator, rows, x.astype(np.float32), ids))
            return (out if phase.ensemble is None else phase.ensemble.combine(out)).numpy()

    def scores(self, logits: np.ndarray) -> Scores:
        """Return the corrected scores of logits."""
        return corrected(self.about, self.evidence, torch.from_numpy(logits).double())


def load(folder: Path) -> Model:
    """Read a folder; raise UserError if it is none of ours, not as it was written, or holds what could run code."""
    return Model(folder, _checked(folder))


def corrected(about: Json, evidence: checkpoints.Tensors, logits_BC: torch.Tensor) -> Scores:
    """Return the scores that the correction makes of logits."""
    given = Evidence(
        evidence["unique"], evidence["seen"], evidence.get("val_logits"), evidence.get("val_labels"), logits_BC
    )
    try:
        return build("rebalancing", about["rebalancing"]).fit(given)(logits_BC)
    except ImpossibleCell as reason:
        raise UserError(f"correction {about['rebalancing']['name']}: {reason}") from None


def threshold_of(about: Json, evidence: checkpoints.Tensors, positive: int) -> float | None:
    """Return the probability of the positive class above which it is said; None where no one threshold does it."""
    low, high = -50.0, 50.0

    def at(margin: float) -> tuple[bool, float]:
        logits = torch.zeros(1, 2, dtype=torch.float64)
        logits[0, positive] = margin
        scores = corrected(about, evidence, logits)
        return int(scores.decision_BC.argmax(1)) == positive, float(scores.log_prob_BC[0, positive].exp())

    if at(low)[0] or not at(high)[0]:
        return None
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if at(middle)[0] else (middle, high)
    return at(low)[1]


def save(folder: Path, estimator: Any) -> str:
    """Write a fitted classical model and return its file's name; raise UserError if that takes pickled code."""
    import skops.io  # type: ignore[import-untyped]

    inner = getattr(estimator, "estimator", estimator)
    package = type(inner).__module__.partition(".")[0]
    if package == "lightgbm":
        inner.booster_.save_model(folder / LIGHTGBM)
        return LIGHTGBM
    if package == "xgboost":
        inner.get_booster().save_model(folder / XGBOOST)
        return XGBOOST
    content = skops.io.dumps(estimator)
    if strange := sorted(set(skops.io.get_untrusted_types(data=content)) - TRUSTED):
        raise UserError(
            f"export: {type(inner).__name__} holds {strange[0]}, which cannot be written without pickled code; "
            "choose another case"
        )
    (folder / SKOPS).write_bytes(content)
    return SKOPS


def _checked(folder: Path) -> Json:
    """Return `model.json` once every file is what its checksum says."""
    if not (folder / SUMS).is_file() or not (folder / ABOUT).is_file():
        raise UserError(f"{folder}: no exported model (expected {ABOUT} and {SUMS}, as `counterpoise export` writes)")
    lines = (folder / SUMS).read_text("utf-8", "replace").splitlines()
    sums = {name: found for found, _, name in (line.partition("  ") for line in lines)}
    for path in sorted(folder.iterdir()):
        known = (ABOUT, PREPROCESSING, EVIDENCE, NETWORK, SKOPS, LIGHTGBM, XGBOOST)
        if path.name in known and path.name not in sums:
            raise UserError(f"{path}: {SUMS} does not name it, so it was not there when the model was exported")
    for name, expected in sums.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise UserError(f"{path}: is missing; export the model again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise UserError(f"{path}: has changed since the model was exported; nothing of it was loaded")
    try:
        about = json.loads((folder / ABOUT).read_text("utf-8"))
    except ValueError as reason:
        raise UserError(f"{folder / ABOUT}: not JSON ({reason})") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise UserError(f"{folder / ABOUT}: format {about.get('format')}, expected {FORMAT}; export the model again")
    return about


def _transform(folder: Path, about: Json) -> Any:
    if about["inputs"] is None:
        return None
    import importlib

    arrays = {name: t.numpy() for name, t in checkpoints.load(folder / PREPROCESSING)[0].items()}
    kind = method("preprocessing", about["preprocessing"]["name"])  # a name of a file of ours, or an error
    columns = tuple(Column(**{**c, "categories": tuple(c["categories"])}) for c in about["inputs"])
    return importlib.import_module(kind.__module__).Fitted(columns=columns, **arrays)


def _estimator(folder: Path, about: Json) -> Any:
    name = about["estimator"]["file"]
    if name == LIGHTGBM:
        import lightgbm

        return _Booster(lightgbm.Booster(model_file=folder / name).predict, about)
    if name == XGBOOST:
        import xgboost

        booster = xgboost.Booster(model_file=folder / name)
        return _Booster(lambda x: booster.predict(xgboost.DMatrix(x)), about)
    if name == SKOPS:
        return _from_skops(folder / name)
    if name == NETWORK:
        return _network(folder / name, about)
    raise UserError(f"{folder / ABOUT}: unknown file '{name}' of a model; nothing was loaded")


def _from_skops(path: Path) -> Any:
    import skops.io

    try:
        strange = sorted(set(skops.io.get_untrusted_types(file=path)) - TRUSTED)
        if strange:
            raise UserError(f"{path}: holds {strange[0]}, which is not on the list of types that may be built; refused")
        return skops.io.load(path, trusted=sorted(TRUSTED))
    except UserError:
        raise
    except Exception as reason:  # a file that was made to break a loader breaks it in many ways
        raise UserError(f"{path}: cannot be read ({type(reason).__name__}: {' '.join(str(reason).split())})") from None


class _Booster:
    """Boosted trees as their own library reads them back."""

    def __init__(self, predict: Any, about: Json) -> None:
        self.predict, self.classes_ = predict, np.array(about["estimator"]["classes"])

    def predict_proba(self, x_NF: np.ndarray) -> np.ndarray:
        """Return probability_NC in the order of `classes_`."""
        found = np.asarray(self.predict(x_NF), np.float64)
        return found if found.ndim == 2 else np.stack([1 - found, found], axis=1)


def _last_phase(about: Json) -> Any:
    from counterpoise.stages import finetune

    section = about["finetune"]
    phase = finetune.phase_of(about, section, about["sample"], build("pretraining", {"name": "supervised"}))
    return build("finetuning", section["method"]).phases(phase)[-1]


def _network(path: Path, about: Json) -> torch.nn.Module:
    from counterpoise.stages import finetune

    shape = (len(about["inputs"]),) if about["inputs"] is not None else tuple(about["shape"])
    net = finetune.network_of(about, shape, len(about["classes"]), 0, "train")
    train.add_extra(net, [_last_phase(about)], "train", 0)
    checkpoints.fill(net, "", checkpoints.load(path)[0], str(path))
    return net
