"""What `dvc metrics` and `dvc plots` show: a digest of every report, as plain JSON and CSV.

Writes `results/metrics.json` ({study.scale: {claims, cases}}) and `results/plots/<study.scale>.csv` (case at a grid
point, mean and standard deviation over seeds of the primary metric), and makes the folders that `dvc.yaml` names.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import readers, records
from counterpoise.planning.plan import RESULTS, STAGES, Plan
from counterpoise.records import Json

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 6  # a difference beyond these would be noise in `dvc metrics diff`


def write(plan: Plan) -> None:
    """Write both from the reports that are there; a study without one is left out."""
    for folder in (*STAGES, "plots"):  # DVC wants every output, also where no study pretrains
        (RESULTS / folder).mkdir(parents=True, exist_ok=True)
    metrics: Json = {}
    for name, study in sorted(plan.studies.items()):
        report = RESULTS / "report" / study["report"]
        if not all((report / file).exists() for file in ("table.parquet", "claims.json")):
            continue  # another run may be writing it
        try:
            table, claims = readers.read_table(report / "table.parquet").to_pandas(), _claims(report)
        except readers.Damaged as fault:
            print(f"note: {fault}", file=sys.stderr)
            continue
        means = primary(table, study["primary"])
        metrics[name] = {"claims": claims, "cases": _nested(means)}
        records.write_text(RESULTS / "plots" / f"{name}.csv", means.to_csv(index=False))
    records.write_json(RESULTS / "metrics.json", metrics)


def primary(table: pd.DataFrame, wanted: dict[str, Any]) -> pd.DataFrame:
    """Return columns case ("case at point"), mean, sd, seeds of the primary metric on the test part."""
    of_all = table["class"].isna() & (table["split"] == "test")
    rows = table[of_all & (table["metric"] == wanted["metric"]) & (table["selection"] == wanted["selection"])]
    places = rows["case"] + rows["point"].map(lambda point: f" at {point}" if point else "")
    found = rows.groupby(places, sort=True)["value"].agg(["mean", "std", "count"]).round(DIGITS).reset_index()
    return found.set_axis(["case", "mean", "sd", "seeds"], axis=1)


def _claims(report: Path) -> Json:
    """Return verdict, effect and p of every claim, numbered as in the study."""
    found = {}
    for i, claim in enumerate(readers.read_json(report / "claims.json")["claims"]):
        kept = {key: claim.get(key) for key in ("verdict", "effect", "p", "n")}
        found[f"{i} {claim['form']}"] = {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in kept.items()}
    return found


def _nested(means: pd.DataFrame) -> Json:
    return {row["case"]: row["mean"] for row in means.to_dict("records") if row["seeds"]}
