"""What there is in a user's table: the kind of each column and why, classes, duplicates, leaks, and what to mind.

Nothing is dropped in silence: a column that is not used, a row without a label, a value read as missing are each in
`warnings`, and a target that no study can have is a UserError of one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from counterpoise.errors import UserError, nearest
from counterpoise.own_data import leaks
from counterpoise.own_data.columns import Described, describe
from counterpoise.reading import values

if TYPE_CHECKING:
    import pandas as pd

FOLDS = 5
"""Folds of a cross-validation, if every class has as many rows."""

_NEIGHBOURS = 5  # of SMOTE and its kin
_MANY_CLASSES = 100
_TEXT = 30  # characters of a label in a message


@dataclass(frozen=True)
class Profile:
    """A table and its target."""

    rows: int
    target: str
    columns: tuple[Described, ...]
    """All columns but the target, in the order of the file."""
    classes: tuple[str, ...]
    """Of two, the rarer is last; more are in the order of numbers, or of the alphabet."""
    counts: tuple[int, ...]
    ratio: float
    """Rows of the largest class for each of the smallest."""
    missing_labels: int
    duplicates: int
    """Labelled rows that repeat an earlier one in every column that is used, and in the label."""
    contradictions: int
    """Labelled rows that agree in every column that is used with one of another label."""
    leaks: dict[str, float]
    """Columns that alone tell the classes apart, with the area under their ROC curve on held-out rows."""
    folds: int
    warnings: tuple[str, ...]

    def options(self) -> dict[str, Any]:
        """Return the options of `datasets/table.py` that follow from the profile: all but path and sha256."""
        return {
            "target": self.target,
            "kinds": {column.name: column.kind for column in self.columns},
            "categories": {c.name: list(c.categories) for c in self.columns if c.kind in ("categorical", "ordinal")},
            "classes": list(self.classes),
            "counts": list(self.counts),
        }


def profile(
    frame: pd.DataFrame,
    target: str,
    kinds: Mapping[str, str] | None = None,
    unlabelled: Mapping[str, int] | None = None,
) -> Profile:
    """Return what a table holds that `reading.read_table` returned; raise UserError if `target` cannot be learnt.

    `kinds` has the kind of each column that is not to be judged; `unlabelled` the strings of the target that were read
    as missing, and in how many rows each is.
    """
    kinds = kinds or {}
    stand_ins = _stand_ins(target, unlabelled or {})
    notes = list(frame.attrs.get("notes", ()))
    if target not in frame.columns:
        if any(note.startswith("there is no header") for note in notes):
            first, last = frame.columns[[0, -1]]
            named = f"the file has no header, so its columns are {first} to {last}"
            raise UserError(f"target '{target}' is no column: {named}; for the last, write --target {last}")
        if frame.shape[1] == 1:
            raise UserError(
                f"target '{target}' is no column: only '{frame.columns[0]}' was found; between values there must be a "
                "comma, semicolon, tab or pipe"
            )
        raise UserError(f"target '{target}' is no column{nearest(target, frame.columns)}")
    if frame.shape[1] == 1:
        raise UserError(f"target '{target}' is the only column, so there is nothing to predict it from")
    labels = values.texts(frame[target])
    classes, counts = _classes(frame[target], labels, target, stand_ins)
    labelled = labels.notna().to_numpy()
    rows, names_N = frame[labelled], labels[labelled].to_numpy()
    columns = [describe(rows[name], names_N, kinds.get(name)) for name in frame.columns if name != target]
    used = [column for column in columns if column.kind != "ignore"]
    if not used:
        reasons = ", ".join(f"'{column.name}' ({column.found})" for column in columns)
        raise UserError(f"no column is left to predict '{target}' from: {reasons}")
    duplicates, contradictions = leaks.repeated(rows[[column.name for column in used]], names_N)
    found = leaks.telling({c.name: values.encoded(rows[c.name], c.kind, c.categories) for c in used}, names_N)
    folds = min(FOLDS, *counts)
    missing = len(frame) - len(rows)
    warnings = [
        *notes,
        *_target_warnings(target, classes, counts, missing, len(frame), folds, stand_ins),
        *filter(None, map(_column_warning, columns)),
        *_repeat_warnings(duplicates, contradictions, len(rows)),
        *(
            f"column '{name}' alone tells the classes apart (ROC AUC {area:.3f} on held-out rows): if it is known only "
            "after the event, or made from the target, set its kind to ignore; it is used now"
            for name, area in found.items()
        ),
    ]
    return Profile(
        rows=len(frame),
        target=target,
        columns=tuple(columns),
        classes=classes,
        counts=counts,
        ratio=max(counts) / min(counts),
        missing_labels=missing,
        duplicates=duplicates,
        contradictions=contradictions,
        leaks=found,
        folds=folds,
        warnings=tuple(warnings),
    )


def _stand_ins(target: str, unlabelled: Mapping[str, int]) -> str:
    """Return the sentence on strings that were read as a missing label, and how to keep one; "" if there are none."""
    if not unlabelled:
        return ""
    most = sorted(unlabelled, key=lambda text: -unlabelled[text])
    shown = ", ".join(f"{unlabelled[text]:,} rows have the text '{text[:_TEXT]}'" for text in most[:3])
    shown += f" and {len(most) - 3:,} other texts are missing too" if len(most) > 3 else ""
    return f"; {shown}, read as missing: to keep it as a class, add --keep {quote(f'{target}={most[0]}')}"


def _classes(
    column: pd.Series, labels: pd.Series, target: str, stand_ins: str
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    counted = labels.value_counts()
    if not len(counted):
        raise UserError(f"target '{target}' has no label in any row{stand_ins}")
    if len(counted) == 1:
        raise UserError(f"target '{target}' has one class ('{counted.index[0]}'); two or more are needed{stand_ins}")
    if not values.is_text(column):
        numbers = column.dropna().to_numpy(float, na_value=np.nan)
        if infinite := int(np.isinf(numbers).sum()):
            raise UserError(f"target '{target}' is infinite in {infinite:,} rows; expected classes")
        if (numbers % 1).any() or len(counted) > max(_MANY_CLASSES, 0.05 * len(numbers)):
            raise UserError(
                f"target '{target}' has {len(counted):,} different numbers in {len(numbers):,} rows: a quantity, not "
                "classes; choose another target, or write the classes that its ranges stand for into a column"
            )
    if single := counted[counted == 1].index.tolist():
        shown = ", ".join(f"'{name}'" for name in sorted(single)[:3])
        raise UserError(
            f"target '{target}': {len(single):,} of {len(counted):,} classes ({shown}{', ...' * (len(single) > 3)}) "
            "have a single row, which cannot be both learnt and tested; correct, merge or remove them"
        )
    order: Callable[[str], Any] = (lambda name: name) if values.is_text(column) else float
    names = sorted(counted.index, key=order)
    if len(names) == 2:
        names.sort(key=lambda name: -counted[name])
    return tuple(names), tuple(int(counted[name]) for name in names)


def _target_warnings(
    target: str, classes: tuple[str, ...], counts: tuple[int, ...], missing: int, rows: int, folds: int, stand_ins: str
) -> Iterator[str]:
    if missing:
        yield f"{missing:,} of {rows:,} rows have no '{target}' and are left out{stand_ins}"
    written: dict[str, str] = {}
    for name in classes:
        if (other := written.setdefault(name.lower(), name)) != name:
            yield f"classes '{other}' and '{name}' differ in capitals alone: if they are one, correct the labels"
    if len(classes) > _MANY_CLASSES:
        yield f"'{target}' has {len(classes):,} classes: time and memory grow with them"
    smallest = min(counts)
    name = classes[counts.index(smallest)]
    if folds < FOLDS:
        yield f"class '{name}' has {smallest} rows, fewer than {FOLDS} folds: {folds} folds are used"
    if smallest - -(-smallest // folds) <= _NEIGHBOURS:
        yield (
            f"class '{name}' has {smallest} rows, in a training part fewer than the {_NEIGHBOURS} neighbours and one "
            "that SMOTE and its kin need"
        )


def _column_warning(column: Described) -> str:
    if column.kind == "ignore":
        kept = column.suggested and f"; to use it, add --kind {quote(f'{column.name}={column.suggested}')}"
        return f"column '{column.name}' is not used: {column.why}{kept}"
    if column.infinite:
        return f"column '{column.name}': {column.infinite:,} values that are infinite, or above 3.4e38, are missing"
    return f"column '{column.name}': {column.why}" if column.doubtful else ""


def _repeat_warnings(duplicates: int, contradictions: int, rows: int) -> Iterator[str]:
    if duplicates:
        yield (
            f"{duplicates:,} of {rows:,} rows repeat another in every column that is used: kept, but copies on both "
            "sides of a split make results too good; remove them if they are no separate cases"
        )
    if contradictions:
        yield f"{contradictions:,} rows agree in every column with a row of another class: no model tells these apart"
