"""Cases that train nothing: at each grid point, whichever of other cases did best on a part of the data.

Chosen by the validation part, seed by seed, it is what a user gets who selects. Chosen by the test part it is an
oracle that nobody has, one choice for all seeds of a grid point, and what the others are regretted against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoise.scoring.names import COSTS

if TYPE_CHECKING:
    import pandas as pd


def rows(table: pd.DataFrame, selections: dict[str, dict[str, Any]], metric: str) -> pd.DataFrame:
    """Return the rows of the tidy table that every selection takes over from the cases chosen, under its own name.

    Seeds at which one of the cases is missing are left out; of equal ones the first of `among` is chosen.
    """
    import pandas as pd

    main = table[(table["selection"] == "last") & (table["metric"] == metric) & table["class"].isna()]
    found = []
    for name, selection in selections.items():
        among, by = selection["among"], selection["by"]
        held = main[(main["split"] == by) & main["case"].isin(among)]
        wide = held.pivot(index=["point", "seed"], columns="case", values="value").reindex(columns=among).dropna()
        if by == "test":
            wide = wide.groupby("point").transform("mean")
        best = wide.idxmin(axis=1) if metric in COSTS else wide.idxmax(axis=1)
        taken = table.merge(best.rename("case").reset_index(), on=["case", "point", "seed"])
        found.append(taken.assign(case=name))
    return pd.concat(found, ignore_index=True)
