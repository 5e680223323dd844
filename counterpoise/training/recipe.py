"""From a recipe to the network and the phases that train it."""

from __future__ import annotations

from typing import Any

from counterpoise.registry import build
from counterpoise.training import network
from counterpoise.training.network import Net
from counterpoise.training.phases import Phase


def network_of(cfg: dict[str, Any], shape: tuple[int, ...], classes: int, seed: int, stage: str) -> Net:
    """Return the network of a recipe, as its seed initialises it."""
    head, ensemble = build("heads", cfg["head"]), build("ensembles", cfg["ensemble"])
    model, experts = build("models", cfg["model"]), getattr(ensemble, "experts", 1)
    return network.build(model, head, shape, classes, seed, stage, experts)


def phase_of(cfg: dict[str, Any], section: dict[str, Any], sample: dict[str, Any], task: Any) -> Phase:
    """Return the phase that a `pretrain` or `finetune` section of a recipe describes."""
    return Phase(
        steps=section["steps"],
        batch_size=section["batch_size"],
        task=task,
        sampler=_drawn_by(sample),
        loss=build("losses", section["loss"]),
        augmentation=build("augmentation", section["augmentation"]),
        optimizer=build("optimizers", section["optimizer"]),
        schedule=build("schedules", section["schedule"]),
        mixing=build("mixing", section["mixing"]),
        ensemble=None if cfg["ensemble"]["name"] == "none" else build("ensembles", cfg["ensemble"]),
        snapshots=section.get("snapshots", 0),  # pretraining has no such key
    )


def _drawn_by(spec: dict[str, Any]) -> Any:
    """Return the sampler of batches: a plain one where rows were resampled before training."""
    sampler = build("samplers", spec)
    return build("samplers", {"name": "none"}) if hasattr(sampler, "resample") else sampler
