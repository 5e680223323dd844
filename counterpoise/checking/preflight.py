"""Faults that reading a study does not show, found before any job starts: claims, imbalances, shapes.

Every function raises UserError for the first fault, naming the file and the place in it.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import registry
from counterpoise.errors import ImpossibleCell, UserError, nearest, some
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import study
from counterpoise.planning.config import Attack, Config
from counterpoise.readers import SHAPES, Damaged, read_json
from counterpoise.records import digest, write_json

if TYPE_CHECKING:
    from counterpoise.training.loop import Phase


# What a recipe may say to train in less time, and what it says if nothing.
QUICKER = {"precision": "float32", "compile": "off"}


def checked_plan(settings: study.Settings) -> planning.Plan:
    """Return the plan of a run, once nothing is wrong with it.

    It is kept with the digest of all that it is made of, configuration and code: while that is the same, Snakemake
    starts without torch, which planning needs and reading a plan does not.
    """
    kept = planning.RESULTS / "plans" / f"{digest(asdict(settings))}.json"
    made_of = _made_of()
    with contextlib.suppress(Damaged):  # it is made again
        if kept.exists() and (held := read_json(kept, {"made_of": str, **SHAPES["plan.json"]}))["made_of"] == made_of:
            return planning.of(held, kept)
    plan = planning.make(settings.studies, settings.scale)
    check_plan(plan)
    if not any("path" in spec for recipe in plan.recipes() for spec in (recipe["data"], recipe["pretrain"]["method"])):
        write_json(kept, {"made_of": made_of, **plan.content()}, indent=None)  # else it is made of a file elsewhere
    return plan


def _made_of() -> str:
    total = sha256()
    for folder, ending in ((Path(__file__).parent, "py"), (study.CONFIG, "yaml")):
        for file in sorted(path for path in folder.rglob(f"*.{ending}") if path.is_file()):
            total.update(f"{file.relative_to(folder)} {sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def check_plan(plan: planning.Plan) -> None:
    """Check every study of a plan whose report is not there: what has been reported was checked."""
    for about in plan.studies.values():
        if status.state(status.Job(plan.cells[about["report"]], None)).status != "done":
            check_study(about)


def check_study(about: dict[str, Any]) -> None:
    """Check one study as a plan holds it."""
    where = f"config/studies/{about['name']}.yaml"
    check_kind(about, where)
    for kind in ("claims", "controls"):
        if about[kind]:
            check_claims(about, kind, f"{where}, {kind}")
    for spec in {repr(entry["recipe"]["data"]): entry["recipe"]["data"] for entry in about["entries"]}.values():
        check_own_data(spec, where)
    checked = set()
    for entry in about["entries"]:
        place = f"{where}, case {entry['case']}" + (f" at {entry['point']}" if entry["point"] else "")
        for key, check in (
            (repr(entry["recipe"]), check_target),
            (entry["sample"], check_sample),
            (_shape_of(entry["recipe"]), check_model),
            (entry["finetune"], check_training),
        ):
            if (key, check) not in checked:
                check(entry["recipe"], about["seeds"], place)
                checked.add((key, check))
        check_validation(entry["recipe"], place)


def _has_target(recipe: Config) -> bool:
    return hasattr(registry.method("datasets", recipe["data"]["name"]), "quantity")


def check_kind(about: dict[str, Any], where: str) -> None:
    """Hold a study to one kind of task, and its primary metric to that kind."""
    from counterpoise.scoring import metrics

    kinds = {_has_target(entry["recipe"]): entry["recipe"]["data"]["name"] for entry in about["entries"]}
    if len(kinds) > 1:
        raise UserError(f"{where}, data: {kinds[True]} has a target and {kinds[False]} has classes; make two studies")
    (has_target,), name = kinds, about["primary"]["metric"]
    if name in (known := metrics.names(has_target)):
        return
    if name in metrics.names(not has_target):
        raise UserError(
            f"{where}, primary.metric: {name} is measured of {'classes' if has_target else 'a target'}, and "
            f"{kinds[has_target]} has {'a target' if has_target else 'classes'}; one of: {some(known)}"
        )
    raise UserError(
        f"{where}, primary.metric: unknown metric '{name}'{nearest(name, known, '`counterpoise names metrics`')}"
    )


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


def check_own_data(spec: Config, where: str) -> None:
    """Hold a file or folder of the user's own to what it was when the study was written."""
    from counterpoise.reading import fingerprint

    if "path" in spec:
        try:
            fingerprint.check(spec["path"], spec["sha256"])
        except UserError as reason:
            raise UserError(f"{where}, data: {reason}") from None


def _shape_of(recipe: Config) -> str:
    """Return what `check_model` reads of a recipe: many cells share it."""
    inner = recipe["finetune"]["inner"], recipe["finetune"]["loss"], recipe["pretrain"]["method"]["name"]
    return repr([recipe[key] for key in ("data", "model", "head", "ensemble", "preprocessing")] + list(inner))


def check_claims(about: dict[str, Any], kind: str, where: str) -> None:
    """Read the claims (or controls) as the report will."""
    from counterpoise.judging.claims import parse_claims
    from counterpoise.scoring import metrics

    known = metrics.names(_has_target(about["entries"][0]["recipe"]))
    factors: dict[str, list[Any]] = {}
    for entry in about["entries"]:
        for name, value in entry["factors"].items():
            values = factors.setdefault(name, [])
            values += [value] if value not in values else []
    claims = parse_claims(
        about[kind],
        cases=about["cases"],
        factors=factors,
        metrics=known,
        primary=about["primary"],
        where=where,
    )
    for number, claim in enumerate(claims, start=1):
        for index in claim.against:
            if index >= len(about["reference"]):
                raise UserError(
                    f"{where}: claim {number}: against: found {index}, expected a position in `reference`, "
                    f"which has {len(about['reference'])} values, counted from 0"
                )


def check_sample(recipe: Config, seeds: list[int], where: str) -> None:
    """Count what every seed would train on."""
    import numpy as np

    from counterpoise.stages.sample import class_counts, class_order

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
    from counterpoise.stages.finetune import phase_of

    section = recipe["pretrain"]
    task = registry.build("pretraining", section["method"])
    trains = hasattr(task, "objective") or hasattr(task, "prepare")
    return [phase_of(recipe, section, section["sample"], task)] if trains else []


def _finetuning(recipe: Config) -> list[Phase]:
    """Return the phases that the strategy makes."""
    from counterpoise.stages.finetune import phase_of

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
