"""A model that `exporting` wrote: read without executing code, and asked for probabilities and decisions.

Whatever is not as its checksum says, and whatever type is not on the list, is refused before it is built.

Shapes: x_ND raw columns as the model's own list has them, codes of categories and NaN; x_NCHW images.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from counterpoise import readers
from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.exporting import estimators
from counterpoise.records import Json
from counterpoise.registry import build, method
from counterpoise.scoring.evidence import Evidence, Scores
from counterpoise.training import checkpoints, classical, loop, recipe

FORMAT = 1
ABOUT, SUMS, PREPROCESSING, EVIDENCE = "model.json", "SHA256SUMS", "preprocessing.safetensors", "evidence.safetensors"
NETWORK = "network.safetensors"
SHAPE = {  # what commands read of `model.json`; what builds the model is seen when it is built
    "kind": str,
    "target": readers.TEXT,
    "classes": [str],
    "positive": readers.TEXT,
    "columns": [{"name": str, "kind": str, "categories": list}],
    "unused": [str],
    "shape": [int],
}


class Model:
    """What a folder holds, ready to predict."""

    def __init__(self, folder: Path, about: Json) -> None:
        self.about = about
        self.classes: list[str] = about["classes"]
        self.evidence = checkpoints.load(folder / EVIDENCE)[0]
        self.transform = _transform(folder, about)
        name, classes = about["estimator"]["file"], about["estimator"]["classes"]
        self.is_network = name == NETWORK
        self.estimator: Any = (
            _network(folder / name, about) if self.is_network else estimators.load(folder, name, classes)
        )

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Return float32 logits_NC of raw rows."""
        x = self.transform(x) if self.transform else x
        if self.is_network:
            return self._network_logits(x)
        if self.transform is None:
            mean, std = (np.array(self.about[key], np.float32) for key in ("mean", "std"))
            x = (x.astype(np.float32) - mean) / std
        try:
            return classical.logits_of(self.estimator, x, len(self.classes), self.about["floor"])
        except ImpossibleCell as reason:
            raise UserError(str(reason)) from None

    def _network_logits(self, x: np.ndarray) -> np.ndarray:
        from counterpoise.training.objective import scores

        fitted = self.transform is not None
        ids, width = np.arange(len(x)), x.shape[1]
        mean, std = (np.zeros(width), np.ones(width)) if fitted else (self.about["mean"], self.about["std"])
        rows = loop.Sample(x.astype(np.float32), ids, np.zeros(len(x), np.int64), mean, std)
        phase = _last_phase(self.about)
        with torch.no_grad():
            out = scores(phase.loss, loop.predict(self.estimator, rows, x.astype(np.float32), ids))
            return (out if phase.ensemble is None else phase.ensemble.combine(out)).numpy()

    def scores(self, logits: np.ndarray) -> Scores:
        """Return the corrected scores of logits."""
        return corrected(self.about, self.evidence, torch.from_numpy(logits).double())


def load(folder: Path) -> Model:
    """Read a folder; raise UserError if it is none of ours, not as it was written, or holds what could run code."""
    about = _checked(folder)
    try:
        model = Model(folder, about)
        width = (len(about["columns"]),) if about["kind"] == "table" else tuple(about["shape"])
        model.scores(model.logits(np.zeros((1, *width), np.float32)))
    except UserError:
        raise
    except Exception as reason:  # what was changed by hand breaks in many ways
        said = f"{type(reason).__name__}: {' '.join(str(reason).split())[:120]}"
        raise UserError(f"{folder / ABOUT}: describes no model ({said}); export the model again") from None
    return model


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
    low, high = -700.0, 50.0  # smaller probabilities are no float64; greater ones are 1

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


def _checked(folder: Path) -> Json:
    """Return `model.json` once every file is what its checksum says."""
    if not (folder / SUMS).is_file() or not (folder / ABOUT).is_file():
        raise UserError(f"{folder}: no exported model (expected {ABOUT} and {SUMS}, as `counterpoise export` writes)")
    lines = (folder / SUMS).read_text("utf-8", "replace").splitlines()
    sums = {name: found for found, _, name in (line.partition("  ") for line in lines)}
    for path in sorted(folder.iterdir()):
        known = (ABOUT, PREPROCESSING, EVIDENCE, NETWORK, *estimators.FILES)
        if path.name in known and path.name not in sums:
            raise UserError(f"{path}: {SUMS} does not name it, so it was not there when the model was exported")
    for name, expected in sums.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise UserError(f"{path}: is missing; export the model again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise UserError(f"{path}: has changed since the model was exported; nothing of it was loaded")
    try:
        about = readers.read_json(folder / ABOUT, {"format": int})
        if about["format"] == FORMAT:
            readers.require(folder / ABOUT, about, SHAPE)
    except readers.Damaged as fault:
        raise UserError(f"{fault}; export the model again") from None
    if about["format"] != FORMAT:
        raise UserError(f"{folder / ABOUT}: format {about['format']}, expected {FORMAT}; export the model again")
    return about


def _transform(folder: Path, about: Json) -> Any:
    if about["inputs"] is None:
        return None
    import importlib

    arrays = {name: t.numpy() for name, t in checkpoints.load(folder / PREPROCESSING)[0].items()}
    kind = method("preprocessing", about["preprocessing"]["name"])  # a name of a file of ours, or an error
    columns = tuple(Column(**{**c, "categories": tuple(c["categories"])}) for c in about["inputs"])
    return importlib.import_module(kind.__module__).Fitted(columns=columns, **arrays)


def _last_phase(about: Json) -> Any:

    section = about["finetune"]
    phase = recipe.phase_of(about, section, about["sample"], build("pretraining", {"name": "supervised"}))
    return build("finetuning", section["method"]).phases(phase)[-1]


def _network(path: Path, about: Json) -> torch.nn.Module:

    shape = (len(about["inputs"]),) if about["inputs"] is not None else tuple(about["shape"])
    net = recipe.network_of(about, shape, len(about["classes"]), 0, "train")
    loop.add_extra(net, [_last_phase(about)], "train", 0)
    checkpoints.fill(net, "", checkpoints.load(path)[0], str(path))
    return net
