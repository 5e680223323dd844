"""From study files to cells: the whole shape of the DAG, decided before anything runs.

A cell is one stage of one case at one grid point. Its id is a hash of the stage, the stage's own canonical
configuration, the versions of the stage and of exactly the methods that it names, and the ids of its parents;
equal prefixes of different studies are therefore one cell. Seeds are not in the hash: they make blocks.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.planning.config import Config, Known, canonical, canonical_method
from counterpoise.planning.study import Study, available, load, scales, select_at
from counterpoise.readers import Damaged, naming, read_json
from counterpoise.records import digest, lock, write_json

RESULTS = Path("results")
PLAN = RESULTS / "plan.json"
STAGES = ("preprocess", "sample", "pretrain", "finetune", "evaluate", "report")
WHOLE = ("preprocess", "report")  # stages whose jobs are not split into blocks of seeds
# The keys of a recipe that a network is what it is by, whichever stage trains it.
NETWORK = ("preprocessing", "model", "head", "ensemble", "execution", "layout", "precision", "compile")
# The version of a stage's own code: raise it when the stage would compute other numbers from the same inputs.
VERSIONS = {"preprocess": 1, "sample": 1, "pretrain": 1, "finetune": 1, "evaluate": 2, "report": 1}


@dataclass(eq=False)
class Cell:
    """One stage of one case at one grid point."""

    stage: str
    name: str
    config: Config
    identity: Config
    parents: dict[str, str]
    data_hash: str
    blocks: list[list[int]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where its blocks lie."""
        return RESULTS / self.stage / self.name


class Plan:
    """Cells by name, and for each study where the parts of every (case, point) are."""

    def __init__(self) -> None:
        self.cells: dict[str, Cell] = {}
        self.studies: dict[str, dict[str, Any]] = {}
        self.known: Known = {}

    def add(self, study: Study) -> None:
        """Add everything that a study needs."""
        blocks = [[s, s + study.block - 1] for s in study.seeds[:: study.block]]
        factors = {point.label: point.factors for point in study.points}
        places = [{"case": case, "point": label, "factors": factors[label]} for case, label in study.recipes]
        chains = [self.chain(recipe, blocks) for recipe in study.recipes.values()]
        entries = [
            {**place, "recipe": recipe, **chain}
            for place, recipe, chain in zip(places, study.recipes.values(), chains, strict=True)
        ]
        parents = {str(i): str(chain["evaluate"]) for i, chain in enumerate(chains)}
        unseen = ("recipes", "points") if study.selections else ("recipes", "points", "selections")
        about = {f.name: getattr(study, f.name) for f in fields(study) if f.name not in unseen}
        shown = {**about, "entries": places}
        name = self._cell("report", f"{study.name}.{study.scale}", shown, shown, parents, "", blocks)
        self.studies[f"{study.name}.{study.scale}"] = {**about, "entries": entries, "report": name, "blocks": blocks}

    def chain(self, recipe: Config, blocks: list[list[int]]) -> dict[str, str | None]:
        """Add the cells of one recipe, in the order of the pipeline, and return their names by stage."""
        data, model = recipe["data"]["name"], recipe["model"]["name"]
        pretraining, sampler = recipe["pretrain"]["method"]["name"], recipe["sample"]["name"]

        def cell(stage: str, title: str, keys: tuple[str, ...], parents: dict[str, str], **extra: Any) -> str:
            config = {k: recipe[k] for k in keys} | {k: v for k, v in extra.items() if v is not None}
            identity = canonical(recipe, keys=keys, known=self.known) | {
                k: canonical_method("samplers", v) if k == "redraw" else v for k, v in extra.items() if v is not None
            }
            return self._cell(stage, title, config, identity, parents, data_hash(recipe), blocks)

        prepared = cell("preprocess", data, ("data",), {})
        drawn = cell(
            "sample",
            f"{data}-{recipe['imbalance']['name']}",
            ("imbalance", "split", "rows", "label_noise", "validation", "validation_fraction", "unlabelled"),
            {"data": prepared},
            redraw=recipe["sample"] if _redraws(sampler) else None,
        )
        inputs, started = {"data": prepared, "sample": drawn}, None
        if pretraining != "none":
            fingerprint = getattr(registry.build("pretraining", recipe["pretrain"]["method"]), "fingerprint", None)
            given = {"fingerprint": fingerprint()} if fingerprint else {}
            started = cell(
                "pretrain",
                f"{data}-{model}-{pretraining}",
                (*NETWORK, "pretrain"),
                inputs,
                **given,
            )
            inputs = {**inputs, "start": started}
        tuned = cell(
            "finetune",
            f"{data}-{model}-{_title(pretraining, sampler)}",
            (*NETWORK, "sample", "finetune"),
            inputs,
        )
        scored = cell(
            "evaluate",
            f"{data}-{model}-{_title(pretraining, sampler, recipe['evaluate']['rebalancing']['name'])}",
            ("evaluate",),
            {"predictions": tuned},
        )
        return {"preprocess": prepared, "sample": drawn, "pretrain": started, "finetune": tuned, "evaluate": scored}

    def _cell(
        self,
        stage: str,
        title: str,
        config: Config,
        identity: Config,
        parents: dict[str, str],
        data: str,
        blocks: list[list[int]],
    ) -> str:
        hashed = {"stage": f"{stage}@{VERSIONS[stage]}", "config": identity, "parents": parents, "data": data}
        name = f"{title}-{digest(hashed)}"
        held = self.cells.setdefault(name, Cell(stage, name, config, identity, dict(parents), data))
        held.blocks += [b for b in blocks if b not in held.blocks]
        return name

    def inputs(self, name: str, block: str | None) -> list[str]:
        """Return the files that a job of a cell waits for: its parents' last written file, block by block."""
        cell = self.cells[name]
        files = []
        for parent in (self.cells[p] for p in dict.fromkeys(cell.parents.values())):
            if parent.stage == "preprocess":
                files.append(f"{parent.folder}/run.json")
            else:
                blocks = [block] if block else [block_name(b) for b in cell.blocks]
                files += [f"{parent.folder}/{b}/run.json" for b in blocks]
        return files

    def recipes(self) -> Iterator[Config]:
        """Yield the recipe of every (case, point) of every study."""
        for about in self.studies.values():
            yield from (entry["recipe"] for entry in about["entries"])

    def content(self) -> dict[str, Any]:
        """Return what is written of a plan."""
        return {"cells": {name: vars(cell) for name, cell in self.cells.items()}, "studies": self.studies}

    def write(self, path: Path) -> None:
        """Add this plan to the file: jobs of other runs still find their cells in it."""
        with lock(path.parent):
            held = _held(path)
            new = json.loads(json.dumps(self.content()))  # as it will be read, so that it compares with what is held
            for name, cell in new["cells"].items():
                before = held["cells"].get(name, {}).get("blocks", [])
                cell["blocks"] = sorted(cell["blocks"] + [b for b in before if b not in cell["blocks"]])
            merged = {part: {**held[part], **new[part]} for part in new}
            if merged != held:
                write_json(path, merged, indent=None)


def make(studies: str | list[str], scale: str, config: Path = Path("config")) -> Plan:
    """Plan the chosen studies at one scale; of all studies, those that have it."""
    plan = Plan()
    for name in select_at(studies, scale, config):
        plan.add(load(name, scale, config))
    return plan


def make_all(config: Path = Path("config")) -> Plan:
    """Plan every study at every scale: whatever this holds is still needed."""
    plan = Plan()
    for name in available(config):
        for scale in scales(name, config):
            plan.add(load(name, scale, config))
    return plan


def read(path: Path = PLAN) -> Plan:
    """Read every plan that was made here; raise UserError if there is none."""
    if not path.exists():
        raise UserError(f"{path}: no plan has been made here yet; `snakemake -n` makes one")
    return of(read_json(path), path)


def of(raw: dict[str, Any], path: Path) -> Plan:
    """Return the plan that was read from `path`; raise Damaged if it is none."""
    plan = Plan()
    with naming(path):
        plan.cells = {name: Cell(**cell) for name, cell in raw["cells"].items()}
    plan.studies = raw["studies"]
    return plan


def _held(path: Path) -> dict[str, Any]:
    """Return what a plan file holds: nothing where it cannot be read, since all of it can be planned again."""
    try:
        return read_json(path) if path.exists() else {"cells": {}, "studies": {}}
    except Damaged as fault:
        print(f"note: {fault.what}; it is made again", file=sys.stderr)
        return {"cells": {}, "studies": {}}


def block_name(block: list[int]) -> str:
    """Return the folder of a block of seeds."""
    return f"seeds-{block[0]:02d}-{block[1]:02d}"


@cache
def _redraws(sampler: str) -> bool:
    return hasattr(registry.method("samplers", sampler), "redraw")


def _title(*names: str) -> str:
    return "-".join(n for n in names if n != "none") or "baseline"


def data_hash(recipe: Config) -> str:
    """Return the digest of the decoded data that a recipe trains and tests on."""
    return registry.build("datasets", recipe["data"]).data_hash[:16]
