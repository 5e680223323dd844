"""One job: find the cell in the plan, resolve its folders, call its stage."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from counterpoise.errors import UserError, nearest
from counterpoise.planning import plan as planning


def run(stage: str, name: str, block: str | None) -> int:
    """Run one job of the plan here, in this process."""
    plan = planning.read()
    cell = plan.cells.get(name)
    if cell is None or cell.stage != stage:
        close = nearest(name, plan.cells, "`counterpoise show <study>`")
        raise UserError(f"no {stage} cell '{name}' in {planning.RESULTS / 'plan.json'}{close}")
    if stage == "report":
        from counterpoise.stages import report

        report.run(plan, name)
        return 0
    seeds = _seeds(cell, block)
    out = cell.folder / block if block else cell.folder
    spec = {
        "stage": stage,
        "cell": name,
        "config": cell.config,
        "identity": cell.identity,
        "parents": cell.parents,
        "seeds": seeds,
        "data_hash": cell.data_hash,
    }
    arguments: dict[str, Any] = {"out": out, "spec": spec, **_folders(plan, cell, block)}
    if stage in ("sample", "pretrain", "finetune"):
        arguments["seeds"] = seeds
    if stage == "finetune":
        arguments.setdefault("start", None)
    importlib.import_module(f"counterpoise.stages.{stage}").run(cell.config, **arguments)
    return 0


def _folders(plan: planning.Plan, cell: planning.Cell, block: str | None) -> dict[str, Path]:
    return {
        role: plan.cells[p].folder / block if block and plan.cells[p].stage != "preprocess" else plan.cells[p].folder
        for role, p in cell.parents.items()
    }


def _seeds(cell: planning.Cell, block: str | None) -> list[int]:
    if cell.stage == "preprocess":
        return []
    known = {planning.block_name(b): b for b in cell.blocks}
    if block not in known:
        raise UserError(f"cell {cell.name} has no block '{block}'{nearest(block, known)}")
    first, last = known[block]
    return list(range(first, last + 1))
