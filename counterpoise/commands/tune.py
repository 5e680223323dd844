"""`tune`: choose, for each case of a study, the trial that did best on the validation part."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from counterpoise.commands.text import table
from counterpoise.errors import UserError
from counterpoise.judging import results, trials
from counterpoise.numerals import number
from counterpoise.planning import plan as planning
from counterpoise.planning import study as studies
from counterpoise.planning import tuned as tuning


def tune(options: argparse.Namespace) -> int:
    """Write `config/tuned/<study>.yaml` for each study, from trials that are computed, and say what won."""
    for name in studies.select(options.studies):
        print(_tune(name, options.scale))
    return 0


def _tune(name: str, scale: str, config: Path = studies.CONFIG) -> str:
    plan = planning.make(name, scale, config)
    about = plan.studies[f"{name}.{scale}"]
    found = results.rows(plan, about)
    if gaps := [gap for gap in results.gaps(found) if gap["status"] == "missing"]:
        raise UserError(
            f"tune: {name}.{scale} lacks {len(gaps)} jobs, the first is {gaps[0]['cell']}; "
            f"run `counterpoise run --studies {name} --scale {scale}`"
        )
    values, own = results.factors(about), studies.own_factors(name, config)
    tuned, metric = [key for key in values if key not in own], about["primary"]["metric"]
    if not tuned:
        raise UserError(f"tune: the grid of scale {scale} has no factor that the study's own lacks: nothing to choose")
    cases = trials.choose(results.measurements(found, about), metric, tuned)
    cases |= {again: cases[case] for again, case in _replicas(about).items()}
    path = tuning.write(name, scale, metric, list(about["seeds"]), cases, config)
    rows = [
        [case, *(held["chosen"][key] for key in tuned), number(held["trials"][0][metric], 4),
         ", ".join(f"{key} at the edge" for key in trials.at_edge(held["chosen"], values))]
        for case, held in cases.items()
    ]  # fmt: skip
    return f"{path}\n{table(['case', *tuned, metric, ''], rows)}"


def _replicas(about: dict[str, Any]) -> dict[str, str]:
    """Return the cases that are an earlier one once more (A/A): they get what that one gets, or they would not be."""
    recipes: dict[str, list[Any]] = {}
    for entry in about["entries"]:
        recipe = entry["recipe"]
        same = {**recipe, "finetune": {**recipe["finetune"], "replicate": 0}}
        recipes.setdefault(entry["case"], []).append((entry["point"], same))
    earlier: dict[str, str] = {}
    for case, held in recipes.items():
        first = next((other for other in recipes if recipes[other] == held), case)
        if first != case:
            earlier[case] = first
    return earlier
