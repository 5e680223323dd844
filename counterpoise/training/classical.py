"""Fit a classical model on one seed: its options searched on inner folds, its rows resampled, its classes weighted.

Of every inner fold the preprocessing is fitted, and the rows are resampled, on the other folds alone.

Legend: N rows, F inputs, C classes, P search points.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from counterpoise import errors, streams
from counterpoise.data.columns import Column
from counterpoise.data.folds import deal
from counterpoise.data.inputs import Inputs
from counterpoise.errors import ImpossibleCell
from counterpoise.registry import build
from counterpoise.scoring.log_probabilities import SMALLEST, log_probability
from counterpoise.training.progress import State


@dataclass(frozen=True)
class Predictor:
    """A fitted model with its preprocessing: raw rows -> logits_NC."""

    estimator: Any
    transform: Callable[[np.ndarray], np.ndarray]
    classes: int
    floor: float
    """The probability that stands for 0."""

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Return log-probabilities."""
        return logits_of(self.estimator, self.transform(raw), self.classes, self.floor)


def fit(cfg: dict[str, Any], inputs: Inputs) -> tuple[State, Predictor, np.ndarray | None, dict[str, Any]]:
    """Return the work done, the predictor, out-of-fold logits of the training rows, and what the search chose."""
    began, inner = time.monotonic(), cfg["finetune"]["inner"]
    model, out_of_fold, search = build("models", cfg["model"]), None, {}
    if inner["folds"]:
        points = candidates(model, cfg["model"], inner["points"])
        fold_N = deal(inputs.train[1], inner["folds"], streams.numpy("finetune", "inner_folds", inputs.seed))
        held = [_out_of_fold(cfg, build("models", point), inputs, fold_N) for point in points]
        scores = [score(inner["metric"], logits, shift, inputs) for logits, shift in held]
        best = int(np.argmax(scores))
        model, out_of_fold = build("models", points[best]), held[best][0]
        search = {"chosen": points[best], "scores": scores}
    transform, columns = inputs.fitted
    estimator, seen_C = estimate(cfg, model, inputs, inputs.train, transform, columns, ())
    state = State(images=int(seen_C.sum()), seconds=time.monotonic() - began, seen=seen_C.tolist())
    return state, Predictor(estimator, transform, len(seen_C), _floor(model)), out_of_fold, search


def _floor(model: Any) -> float:
    return getattr(model, "floor", SMALLEST)


def candidates(model: Any, spec: dict[str, Any], points: int) -> list[dict[str, Any]]:
    """Return the first search points of a model: its own options, with some of them changed."""
    listed: tuple[dict[str, Any], ...] = getattr(model, "search", ({},))
    return [{**spec, **changes} for changes in listed[:points]]


def _out_of_fold(cfg: dict[str, Any], model: Any, inputs: Inputs, fold_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits of each training row by a model that did not see its fold, and what corrects their prior."""
    ids, labels = inputs.train
    logits_NC = np.empty((len(ids), len(inputs.counts)), np.float32)
    shift_NC = np.empty_like(logits_NC)
    for fold in range(int(fold_N.max()) + 1):
        out = fold_N == fold
        transform, columns = inputs.fit(ids[~out])
        part = ids[~out], labels[~out]
        estimator, seen_C = estimate(cfg, model, inputs, part, transform, columns, (fold,))
        rows = transform(inputs.raw_pool[ids[out]])
        logits_NC[out] = logits_of(estimator, rows, len(seen_C), _floor(model))
        weights = class_weights(cfg["finetune"]["loss"], seen_C)
        seen, true = seen_C * (1 if weights is None else weights), inputs.counts.numpy()
        shift_NC[out] = np.log((true / true.sum()).clip(SMALLEST)) - np.log((seen / seen.sum()).clip(SMALLEST))
    return logits_NC, shift_NC


def estimate(
    cfg: dict[str, Any],
    model: Any,
    inputs: Inputs,
    part: tuple[np.ndarray, np.ndarray],
    transform: Callable,
    columns: tuple[Column, ...],
    fold: tuple[int, ...],
) -> tuple[Any, np.ndarray]:
    """Return the model fitted on rows of the pool, resampled and weighted, and how often it saw each class."""
    x_NF, y_N = transform(inputs.raw_pool[part[0]]), part[1]
    seed = _seed_of(cfg, inputs)
    _check_missing(x_NF, model)
    sampler = build("samplers", cfg["sample"])
    if hasattr(sampler, "resample"):
        random = streams.numpy("finetune", "resample", seed, *fold)
        with errors.recorded(f"sampler {cfg['sample']['name']}"):
            x_NF, y_N = sampler.resample(x_NF, y_N, columns, random)
    else:
        positions = _drawn(sampler, y_N, seed, fold)
        x_NF, y_N = x_NF[positions], y_N[positions]
    seen_C = np.bincount(y_N, minlength=len(inputs.counts))
    weights = class_weights(cfg["finetune"]["loss"], seen_C)
    extra = () if weights is None else (weights[y_N],)
    with errors.recorded(f"model {cfg['model']['name']}"):
        return model.fit(x_NF, y_N, seed, *extra), seen_C


def fit_target(
    cfg: dict[str, Any], inputs: Inputs
) -> tuple[State, Callable[[np.ndarray], np.ndarray], None, dict[str, Any]]:
    """Return, of a regression, the work done, the predictor of values in the target's units, and two times nothing."""
    began, model, scale = time.monotonic(), build("models", cfg["model"]), inputs.scale
    assert scale is not None
    (ids, y_N), seed, (transform, _) = inputs.train, _seed_of(cfg, inputs), inputs.fitted
    target_N = scale.standardised(inputs.pool_t[ids])
    _check_missing(inputs.own, model)
    positions = _drawn(build("samplers", cfg["sample"]), y_N, seed, ())
    seen_C = np.bincount(y_N[positions], minlength=len(inputs.counts))
    loss = build("losses", cfg["finetune"]["loss"])
    extra = (
        (loss.weights(torch.from_numpy(seen_C).double()).numpy()[y_N[positions]],) if hasattr(loss, "weights") else ()
    )
    with errors.recorded(f"model {cfg['model']['name']}"):
        estimator = model.fit(inputs.own[positions], target_N[positions], seed, *extra)
    state = State(images=len(positions), seconds=time.monotonic() - began, seen=seen_C.tolist())
    return state, lambda raw: scale.restored(estimator.predict(transform(raw)))[:, None], None, {}


def _seed_of(cfg: dict[str, Any], inputs: Inputs) -> int:
    """Return the seed of the draws; of an A/A case, on the same rows, another one."""
    if again := cfg["finetune"]["replicate"]:
        return streams.key("finetune", f"replicate-{again}", inputs.seed) % 2**31
    return inputs.seed


def _check_missing(x_NF: np.ndarray, model: Any) -> None:
    if np.isnan(x_NF).any() and not getattr(model, "missing", False):
        raise ImpossibleCell("the model takes no missing values; say preprocessing: typed_columns")


def _drawn(sampler: Any, y_N: np.ndarray, seed: int, fold: tuple[int, ...]) -> np.ndarray:
    """Return the positions of a sampler's first epoch."""
    return sampler.draw(
        torch.from_numpy(y_N),
        epoch=0,
        epochs=1.0,
        fixed=streams.torch_generator("finetune", "sampler-0", seed, *fold),
        shuffle=streams.torch_generator("finetune", "order-0", seed, 0, *fold),
    ).numpy()


def class_weights(spec: dict[str, Any], counts_C: np.ndarray) -> np.ndarray | None:
    """Return the weight that a loss gives each class; None for the plain one."""
    if spec["name"] == "cross_entropy":
        return None
    return build("losses", spec).weights(torch.from_numpy(counts_C).double()).numpy()


def logits_of(estimator: Any, x_NF: np.ndarray, classes: int, floor: float) -> np.ndarray:
    """Return log-probabilities, `floor`'s for a probability of 0: of a class that the model never saw, or true zeros.

    Log-probabilities that come from margins go as far below it as they will, or rows would tie.
    """
    with errors.recorded(f"prediction of {type(estimator).__name__}"):
        found_NK = log_probability(estimator, x_NF)
    logits_NC = np.full((len(x_NF), classes), np.log(floor))
    logits_NC[:, estimator.classes_] = np.where(np.isneginf(found_NK), np.log(floor), found_NK)
    return logits_NC.astype(np.float32)


def score(metric: str, logits_NC: np.ndarray, shift_NC: np.ndarray, inputs: Inputs) -> float:
    """Return how good out-of-fold logits are, greater is better; of two classes the positive one is the rarer.

    Log loss is taken after `shift_NC` put the shares of the classes back to the true ones, or a resampled or weighted
    model would be judged on a prior that it was lied to about.
    """
    from scipy.special import log_softmax
    from sklearn import metrics

    from counterpoise.scoring import threshold
    from counterpoise.scoring.evidence import log_odds

    y_N, counts_C = inputs.train[1], inputs.counts.numpy()
    present = np.flatnonzero(counts_C)
    if metric == "log_loss":
        log_truth_N = log_softmax(logits_NC + shift_NC, axis=1)[np.arange(len(y_N)), y_N]
        return float(log_truth_N.clip(np.log(SMALLEST)).mean())
    if len(counts_C) > 2:
        if metric == "average_precision":
            odds_NC = log_odds(torch.from_numpy(logits_NC).double()).numpy()
            return float(np.mean([metrics.average_precision_score(y_N == c, odds_NC[:, c]) for c in present]))
        if metric == "f1":
            return float(metrics.f1_score(y_N, logits_NC.argmax(1), average="macro", labels=present))
        return float(metrics.balanced_accuracy_score(y_N, logits_NC.argmax(1)))
    positive = int(counts_C[1] <= counts_C[0])
    margin_N = logits_NC[:, positive].astype(np.float64) - logits_NC[:, 1 - positive]
    is_positive_N = y_N == positive
    if metric == "average_precision":
        return float(metrics.average_precision_score(is_positive_N, margin_N))
    return threshold.best(torch.from_numpy(margin_N), torch.from_numpy(is_positive_N), metric)[1]
