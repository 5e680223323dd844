"""Faults of what is trained: pretraining and fine-tuning, attacks, precision."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.planning.config import Attack, Config

if TYPE_CHECKING:
    from counterpoise.training.phases import Phase


# What a recipe may say to train in less time, and what it says if nothing.
QUICKER = {"precision": "float32", "compile": "off"}


def check_training(recipe: Config, seeds: list[int], where: str) -> None:
    """Ask the parts of every training phase for what they refuse, which a job would only find out when it starts."""
    check_attack(recipe, f"{where}, finetune.attack")
    check_quicker(recipe, where)
    if getattr(registry.method("models", recipe["model"]["name"]), "classical", False):
        return
    table = registry.build("datasets", recipe["data"]).kind == "table"
    for stage, phases in (("pretrain", _pretraining), ("finetune", _finetuning)):
        try:
            described = phases(recipe)
            if table and described:
                _check_for_table(recipe[stage], stage)
            for phase in described:
                if getattr(phase.task, "reads", "") == "unlabelled" and not recipe["unlabelled"]["per_class"]:
                    raise UserError("its corpus is the part `unlabelled`: set unlabelled.per_class")
                if getattr(phase.task, "unlabelled_ratio", 0) and not recipe["unlabelled"]["per_class"]:
                    raise UserError(f"{_who(recipe)} needs unlabelled examples: set unlabelled.per_class")
                for part in (phase.mixing, phase.ensemble):
                    getattr(part, "check", lambda phase: None)(phase)
        except UserError as reason:
            raise UserError(f"{where}, {stage}: {reason}") from None


def check_attack(recipe: Config, where: str) -> None:
    """Hold an attack to a network on images."""
    attack = recipe["finetune"]["attack"]
    model, data, ensemble = (recipe[key]["name"] for key in ("model", "data", "ensemble"))
    if not attack["steps"]:
        if attack != asdict(Attack()):
            raise UserError(f"{where}: says how to attack and not for how many steps; write steps")
    elif getattr(registry.method("models", model), "classical", False):
        raise UserError(f"{where}: {model} has no gradient that an attack could follow; leave the attack out")
    elif registry.build("datasets", recipe["data"]).kind == "table":
        raise UserError(f"{where}: an attack changes pixels and {data} is a table; leave the attack out")
    elif getattr(registry.method("ensembles", ensemble), "keeps_experts", False):
        raise UserError(f"{where}: {ensemble} is corrected expert by expert, and no expert is attacked; leave it out")


def check_quicker(recipe: Config, where: str) -> None:
    """Hold `precision` and `compile` to parts that leave the encoder whole and say nothing else of them."""
    parts = [("models", recipe["model"]["name"]), ("finetuning", recipe["finetune"]["method"]["name"])]
    parts += [("pretraining", recipe["pretrain"]["method"]["name"])]
    parts += [("mixing", recipe[stage]["mixing"]["name"]) for stage in ("pretrain", "finetune")]
    for key, usual in QUICKER.items():
        if recipe[key] == usual:
            continue
        if key == "compile" and recipe["execution"] == "stacked":
            raise UserError(f"{where}: `execution: stacked` gives an encoder no call to compile; write `compile: off`")
        for kind, name in parts:
            method: Any = registry.method(kind, name)
            if getattr(method, "classical", False) or key not in getattr(method, "quicker", QUICKER):
                raise UserError(f"{where}: {name} does not go with `{key}: {recipe[key]}`; write `{key}: {usual}`")


def _pretraining(recipe: Config) -> list[Phase]:
    """Return the phase of pretraining; none where nothing is trained."""
    from counterpoise.training.recipe import phase_of

    section = recipe["pretrain"]
    task = registry.build("pretraining", section["method"])
    trains = hasattr(task, "objective") or hasattr(task, "prepare")
    return [phase_of(recipe, section, section["sample"], task)] if trains else []


def _finetuning(recipe: Config) -> list[Phase]:
    """Return the phases that the strategy makes."""
    from counterpoise.training.recipe import phase_of

    section = recipe["finetune"]
    semi = section["semi_supervised"]
    supervised = semi["name"] == "none"
    task = (
        registry.build("pretraining", {"name": "supervised"}) if supervised else registry.build("semi_supervised", semi)
    )
    return registry.build("finetuning", section["method"]).phases(phase_of(recipe, section, recipe["sample"], task))


def _who(recipe: Config) -> str:
    """Return which method of fine-tuning reads unlabelled examples."""
    semi, strategy = (recipe["finetune"][key]["name"] for key in ("semi_supervised", "method"))
    return strategy if semi == "none" else semi


def _check_for_table(section: Config, stage: str) -> None:
    """Raise UserError for a method that takes nothing but images."""
    kinds = {"augmentation": "augmentation", "mixing": "mixing", "semi_supervised": "semi_supervised"}
    kinds["method"] = "pretraining" if stage == "pretrain" else "finetuning"
    for key, kind in kinds.items():
        if key in section and getattr(registry.build(kind, section[key]), "images", False):
            instead = "all_layers" if kind == "finetuning" else "none"
            raise UserError(
                f"{key}: {section[key]['name']} takes images and the data are a table; write {key}: {instead}"
            )
