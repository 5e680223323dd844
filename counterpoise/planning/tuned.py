"""What tuning chose: for each case of a study, the grid point of its trials that did best on the validation part.

The trials are a scale of the study (by convention `pilot`), on seeds that no verdict uses, with a grid over what is
tuned. `judging.trials.choose` compares the validation means of the study's primary metric; `config/tuned/<study>.yaml`
holds the winners with every trial's mean beside them, is committed before the confirmatory seeds run, and is laid over
the cases of a scale that says `tuned: true`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counterpoise.errors import UserError, nearest
from counterpoise.planning.config import Config, layer_of, section
from counterpoise.planning.yaml_files import read_yaml


def path_of(study: str, config: Path) -> Path:
    """Return the file of a study's choices."""
    return config / "tuned" / f"{study}.yaml"


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What a file of `config/tuned` says."""

    cases: dict[str, dict[str, Any]]
    """Case -> what was chosen for it."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What was chosen for a case."""

    chosen: dict[str, Any]
    """Dotted key of the recipe -> value."""
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Every trial with its mean, best first."""


def read(study: str, known: Collection[str], config: Path) -> dict[str, Config]:
    """Return the changes of each case as part of a recipe; raise UserError for the first fault of the file.

    `known` are the cases of the study.
    """
    path = path_of(study, config)
    if not path.exists():
        raise UserError(f"{path}: nothing is chosen yet; run the trials, then `counterpoise tune {study}`")
    cases = section(Tuned, read_yaml(path), str(path))["cases"]
    for case in cases:
        if case not in known:
            raise UserError(f"{path}, cases: unknown case '{case}'{nearest(case, known)}")
    places = {case: f"{path}, case {case}" for case in cases}
    return {case: layer_of(section(Chosen, cases[case], place)["chosen"], place) for case, place in places.items()}


def write(study: str, scale: str, metric: str, seeds: list[int], cases: dict[str, Config], config: Path) -> Path:
    """Write the choices as YAML that reads like one made by hand, and return the file."""
    import json

    from counterpoise import records

    lines = [
        f"# Written by `counterpoise tune {study} --scale {scale}`: the best mean {metric} on the validation part",
        f"# over seeds {seeds[0]} to {seeds[-1]}, which no verdict uses. Commit it before a scale that reads it runs.",
        "cases:",
    ]
    for case, held in cases.items():
        trials = ", ".join(json.dumps(trial).replace('"', "") for trial in held["trials"])
        lines += [f"  {case}:", f"    chosen: {json.dumps(held['chosen'])}", f"    trials: [{trials}]"]
    path = path_of(study, config)
    records.write_text(path, "\n".join(lines) + "\n")
    return path
