"""New rows for an exported model: each column held to what it was in training, and every difference said.

Faults are what no prediction can be made with; notes say how the rest is treated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from counterpoise.errors import closest
from counterpoise.reading import values
from counterpoise.records import Json

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 3


def encoded(frame: pd.DataFrame, about: Json) -> tuple[np.ndarray, list[str], list[str]]:
    """Return x_ND as the model takes it (of no use where there are faults), faults and notes; one line each."""
    faults, notes = [], list(frame.attrs.get("notes", ()))
    columns = about["columns"]
    known = {c["name"] for c in columns} | {about["target"], *about["unused"]}
    strange = [name for name in frame.columns if name not in known]
    for name in strange[:SHOWN]:
        notes.append(f"column '{name}' was not there in training; it is not used")
    if len(strange) > SHOWN:
        notes.append(f"and {len(strange) - SHOWN:,} more columns that were not there in training")
    x_ND = np.full((len(frame), len(columns)), np.nan)
    for d, column in enumerate(columns):
        name = column["name"]
        if name not in frame.columns:
            faults.append(f"column '{name}' is missing{_hint(name, strange)}")
            continue
        if len(frame) > 1 and frame[name].isna().all():
            notes.append(f"column '{name}' has no value in any row")
        if column["kind"] in ("categorical", "ordinal"):
            x_ND[:, d] = _codes(frame[name], column, faults, notes)
        else:
            x_ND[:, d] = _numbers(frame[name], column, faults, notes)
    return x_ND, faults, notes


def _hint(name: str, strange: list[str]) -> str:
    same = [other for other in strange if other.lower() == name.lower()]
    return f"; did you mean '{same[0]}'?" if same else closest(name, strange)


def _codes(held: pd.Series, column: Json, faults: list[str], notes: list[str]) -> np.ndarray:
    code_N = values.codes(held, column["categories"])
    is_new = code_N == -1
    if is_new.any():
        unseen = values.texts(held[is_new])
        names = ", ".join(f"'{name}'" for name in unseen.unique()[:SHOWN])
        expected = ", ".join(f"'{name}'" for name in column["categories"][:SHOWN])
        expected += ", ..." if len(column["categories"]) > SHOWN else ""
        if is_new.sum() == held.notna().sum():
            faults.append(f"column '{held.name}' holds {names}, and none of its categories in training ({expected})")
        else:
            notes.append(
                f"column '{held.name}': {names} in {is_new.sum():,} rows was not there in training; used as missing"
            )
    return np.where(is_new, np.nan, code_N)


def _numbers(held: pd.Series, column: Json, faults: list[str], notes: list[str]) -> np.ndarray:
    x_N = values.numbers(held, column["kind"])
    known_N = held.notna().to_numpy()
    lost_N = known_N & np.isnan(x_N)
    if not lost_N.any():
        return x_N
    first, count = held[lost_N].iloc[0], f"{lost_N.sum():,} of {len(held):,} rows"
    kind = "a number" if column["kind"] == "numeric" else "a date written as in training"
    if values.is_text(held) and lost_N.sum() > (1 - values.SHARE) * known_N.sum():
        faults.append(f"column '{held.name}' holds '{first}', expected {kind} ({count})")
    else:
        notes.append(f"column '{held.name}': '{first}' is no finite number ({count}); used as missing")
    return x_N
