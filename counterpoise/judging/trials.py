"""Of the trials of a case, the one that is best on the validation part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoise.errors import UserError
from counterpoise.planning.config import Config
from counterpoise.scoring.names import COSTS

if TYPE_CHECKING:
    import pandas as pd


def choose(table: pd.DataFrame, metric: str, tuned: list[str]) -> dict[str, Config]:
    """Return, for each case, what it is given and the mean of every trial, best first.

    `table` has columns case, seed, split, selection, metric, class, value and one for each factor; `tuned` names the
    factors of the trials. A trial's mean is taken over seeds and all other factors. Of equal trials the first wins.
    Raises UserError where there is no validation part.
    """
    held = table[(table["split"] == "val") & (table["selection"] == "last") & (table["metric"] == metric)]
    held = held[held["class"].isna()]
    if missing := sorted(set(table["case"]) - set(held["case"])):
        raise UserError(f"tune: no validation {metric} of case {missing[0]}; set `validation` in the base")
    found = {}
    for case, rows in held.groupby("case", sort=False):
        means = rows.groupby(tuned, sort=False)["value"].mean().sort_values(ascending=metric in COSTS, kind="stable")
        trials = [dict(zip(tuned, key if isinstance(key, tuple) else (key,), strict=True)) for key in means.index]
        scores = [{**trial, metric: round(float(value), 4)} for trial, value in zip(trials, means, strict=True)]
        found[str(case)] = {"chosen": trials[0], "trials": scores}
    return found


def at_edge(chosen: Config, values: dict[str, list[Any]]) -> list[str]:
    """Return the factors whose chosen value is the smallest or largest that was tried."""
    return [
        key for key, value in chosen.items() if len(values[key]) > 1 and value in (min(values[key]), max(values[key]))
    ]
