"""Faults of one recipe: its target, sampling, model and validation part."""

from __future__ import annotations

from typing import Any

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError, some
from counterpoise.planning.config import Config


def _has_target(recipe: Config) -> bool:
    return hasattr(registry.method("datasets", recipe["data"]["name"]), "quantity")


PLAIN = {  # what a regression leaves as it is: all of it is about classes
    "head": "linear",
    "ensemble": "none",
    "pretrain.method": "none",
    "finetune.method": "all_layers",
    "finetune.semi_supervised": "none",
    "finetune.mixing": "none",
    "evaluate.rebalancing": "none",
}


def check_target(recipe: Config, seeds: list[int], where: str) -> None:
    """Hold a recipe's parts to what its data have: a target, or classes."""
    data, has_target = recipe["data"]["name"], _has_target(recipe)
    what, other = ("a target", "classes") if has_target else ("classes", "a target")

    def refuse(key: str, name: str, valid: list[str]) -> None:
        raise UserError(f"{where}, {key}: {name} is for {other}, and {data} has {what}; one of: {some(valid)}")

    def suited(kind: str, mark: str) -> list[str]:
        return [name for name in registry.names(kind) if hasattr(registry.method(kind, name), mark) == has_target]

    model, loss = recipe["model"]["name"], recipe["finetune"]["loss"]["name"]
    if getattr(registry.method("models", model), "classical", False):
        classical = [n for n in registry.names("models") if getattr(registry.method("models", n), "classical", False)]
        if model not in (valid := [name for name in suited("models", "regressor") if name in classical]):
            refuse("model", model, valid)
    if loss not in (valid := suited("losses", "outputs")):
        refuse("finetune.loss", loss, valid)
    preprocessing = recipe["preprocessing"]["name"]
    if not has_target:
        if hasattr(registry.method("preprocessing", preprocessing), "supervised"):
            refuse("preprocessing", preprocessing, suited("preprocessing", "supervised"))
        return
    for key, only in PLAIN.items():
        section, _, part = key.rpartition(".")
        name = (recipe[section] if section else recipe)[part]["name"]
        if name not in (only, "fit"):
            refuse(key, name, [only])
    sampler = recipe["sample"]["name"]
    if hasattr(registry.method("samplers", sampler), "resample"):
        draws = [n for n in registry.names("samplers") if hasattr(registry.method("samplers", n), "draw")]
        raise UserError(f"{where}, sample: {sampler} makes rows, and none has a target; one of: {some(draws)}")
    for key, value in (
        ("label_noise", recipe["label_noise"]),
        ("finetune.inner.folds", recipe["finetune"]["inner"]["folds"]),
    ):
        if value:
            raise UserError(f"{where}, {key}: found {value}, expected 0: {data} has a target")


def _shape_of(recipe: Config) -> str:
    """Return what `check_model` reads of a recipe: many cells share it."""
    inner = recipe["finetune"]["inner"], recipe["finetune"]["loss"], recipe["pretrain"]["method"]["name"]
    return repr([recipe[key] for key in ("data", "model", "head", "ensemble", "preprocessing")] + list(inner))


def check_sample(recipe: Config, seeds: list[int], where: str) -> None:
    """Count what every seed would train on."""
    import numpy as np

    from counterpoise.data.draw import class_counts, class_order

    dataset = registry.build("datasets", recipe["data"])
    sampler = recipe["sample"]
    redraws = hasattr(registry.method("samplers", sampler["name"]), "redraw")
    cfg = {**recipe, "redraw": sampler} if redraws else recipe
    available_C = np.array(dataset.train_counts)
    split = registry.build("splits", recipe["split"])
    if limit := recipe["rows"]:
        available_C = available_C * min(1.0, limit / available_C.sum())
    if recipe["split"]["name"] == "k_fold" and available_C.min() < split.folds:
        raise UserError(
            f"{where}, split: class '{dataset.classes[int(available_C.argmin())]}' has {int(available_C.min())} rows, "
            f"{split.folds} folds need one each; use fewer folds, or drop or merge the class"
        )
    available_C = np.maximum(1, available_C / (1 + getattr(split, "overlap", 0))).astype(np.int64)
    if (folds := getattr(split, "folds", 1)) and len(seeds) % folds:
        raise UserError(f"{where}, split: {len(seeds)} seeds do not fill repetitions of {folds} folds")
    for seed in seeds:
        try:
            class_counts(cfg, available_C, class_order(cfg, len(available_C), seed))
        except (ImpossibleCell, UserError) as reason:
            raise UserError(f"{where}: seed {seed}: {reason}") from None


def check_model(recipe: Config, seeds: list[int], where: str) -> None:
    """Build the network and give it two inputs of the shape that preprocessing will leave.

    For real: on torch's device without memory the same would first import a second of compilers.
    """
    import torch

    model, dataset = (registry.build(kind, recipe[key]) for kind, key in (("models", "model"), ("datasets", "data")))
    if getattr(model, "classical", False):
        return check_classical(recipe, model, where)
    if recipe["finetune"]["inner"]["folds"]:
        raise UserError(f"{where}, finetune.inner: only classical models are searched on inner folds")
    if hasattr(registry.method("preprocessing", recipe["preprocessing"]["name"]), "fit"):
        return  # how many inputs there will be depends on the training rows
    channels, *sides = dataset.shape
    shape = (channels, *(side // getattr(dataset, "pool", 1) for side in sides))
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            encoder, _ = model.encoder(shape)
            encoder(torch.zeros(2, *shape))
    except (UserError, RuntimeError, ValueError) as reason:
        shown = "x".join(map(str, shape))
        raise UserError(
            f"{where}, model: {recipe['model']['name']} does not fit {recipe['data']['name']} ({shown}): {reason}"
        ) from None


def check_classical(recipe: Config, model: Any, where: str) -> None:
    """Hold what a classical model is given to what it takes."""
    loss, name = recipe["finetune"]["loss"], recipe["model"]["name"]
    if loss["name"] not in ("cross_entropy", "mse"):
        weighted = [n for n in registry.names("losses") if hasattr(registry.method("losses", n), "weights")]
        weighted = [n for n in weighted if hasattr(registry.method("losses", n), "outputs") == _has_target(recipe)]
        if not hasattr(registry.method("losses", loss["name"]), "weights"):
            raise UserError(
                f"{where}, finetune.loss: {name} is fitted by its own loss; of losses it takes the class weights, "
                f"and {loss['name']} has none (those that do: {some(weighted)})"
            )
        if not getattr(model, "weighted", True):
            raise UserError(f"{where}, finetune.loss: {name} takes no class weights; resample, or move the threshold")
    if recipe["pretrain"]["method"]["name"] != "none":
        raise UserError(f"{where}, pretrain.method: {name} is fitted in one go and cannot be pretrained")
    if getattr(model, "binary", False) and len(registry.build("datasets", recipe["data"]).classes) != 2:
        raise UserError(f"{where}, model: {name} is for two classes, {recipe['data']['name']} has more")


def check_validation(recipe: Config, where: str) -> None:
    """Hold a strategy or a correction that reads a validation part to there being one."""
    specs = {"finetune.method": ("finetuning", recipe["finetune"]["method"])}
    specs["evaluate.rebalancing"] = "rebalancing", recipe["evaluate"]["rebalancing"]
    for key, (kind, spec) in specs.items():
        needs = getattr(registry.build(kind, spec), "needs_validation", False)
        inner = recipe["finetune"]["inner"]["folds"]
        if needs and not inner and not recipe["validation"] and not recipe["validation_fraction"]:
            raise UserError(
                f"{where}, {key}: {spec['name']} is fitted on a validation part and there is none; "
                "set validation or validation_fraction (of a classical model, finetune.inner.folds)"
            )
