"""Faults that reading a study does not show, found before any job starts: claims, imbalances, shapes.

Every function raises UserError for the first fault, naming the file and the place in it.
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from counterpoise.checking.phases import check_training
from counterpoise.checking.recipe import (
    _has_target,
    _shape_of,
    check_model,
    check_sample,
    check_target,
    check_validation,
)
from counterpoise.errors import UserError, nearest, some
from counterpoise.jobs import status
from counterpoise.planning import plan as planning
from counterpoise.planning import schema, study
from counterpoise.planning.config import Config
from counterpoise.readers import SHAPES, Damaged, read_json
from counterpoise.records import digest, write_json


def checked_plan(settings: schema.Settings) -> planning.Plan:
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
    for folder, ending in ((Path(__file__).parents[1], "py"), (study.CONFIG, "yaml")):
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


def check_own_data(spec: Config, where: str) -> None:
    """Hold a file or folder of the user's own to what it was when the study was written."""
    from counterpoise.reading import fingerprint

    if "path" in spec:
        try:
            fingerprint.check(spec["path"], spec["sha256"])
        except UserError as reason:
            raise UserError(f"{where}, data: {reason}") from None


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
