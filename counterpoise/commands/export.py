"""`export` and `predict`: a case fitted on all rows, as a folder; and what it says of new rows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from counterpoise import records
from counterpoise.checking import preflight
from counterpoise.commands.text import counted
from counterpoise.errors import UserError, nearest
from counterpoise.planning import plan as planning
from counterpoise.planning import study

if TYPE_CHECKING:
    import pandas as pd

    from counterpoise.exporting.exported import Model


def export(options: argparse.Namespace) -> int:
    """Fit the winner of a study, or the case named, on all rows and write it to a folder."""
    from counterpoise.exporting.export import export as write

    name, _, scale = options.study.partition(".")
    if name not in study.available():
        raise UserError(
            f"no study '{name}' in {study.CONFIG / 'studies'}{nearest(name, study.available(), study.LISTED)}"
        )
    scale = scale or study.scales(name)[-1]
    plan = planning.make([name], scale)
    preflight.check_study(plan.studies[f"{name}.{scale}"])
    about = write(plan, f"{name}.{scale}", options.case, Path(options.to))
    print(f"{options.to}: {about['case'].replace('_', ' ')}, fitted on {about['data']['rows']:,} rows")
    for metric in ("average_precision", "macro_f1", "f1", "balanced_accuracy"):
        if metric in about["expected"]:
            held = about["expected"][metric]
            low, high = held["interval"] or (held["mean"], held["mean"])
            named = metric.replace("_", " ")
            print(f"  to be expected on new rows like these: {named} {held['mean']:.3f} [{low:.3f}, {high:.3f}]")
    if about["threshold"] is not None:
        print(f"  decides for '{about['positive']}' above a probability of {about['threshold']:.4g}")
    print(f"next: counterpoise predict {options.to} new.csv")
    return 0


def predict(options: argparse.Namespace) -> int:
    """Write probabilities and decisions for new rows, or say line by line what is wrong with their columns."""
    from counterpoise.exporting import exported

    model = exported.load(Path(options.model))
    threshold = _threshold(model, options.threshold)
    out, path = Path(options.output), Path(options.data)
    if not out.parent.is_dir():
        raise UserError(f"{out.parent}: there is no such folder")
    if out.suffix.lower() not in ("", ".csv", ".txt"):
        raise UserError(f"-o {out}: predictions are written as CSV; expected a name that ends in .csv")
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"-o {out}: is the file of new rows itself")
    first, x = _images(model, path, options) if model.about["kind"] == "image" else _rows(model, path, options)
    frame = _predicted(model, first, x, threshold)
    records.write(out, lambda p: frame.to_csv(p, index=False))
    said = frame["decision"].value_counts()
    shares = ", ".join(f"'{name}' {said.get(name, 0):,}" for name in model.classes[:8])
    print(f"{out}: {counted(len(frame), 'row')}; {shares}")
    return 0


def _threshold(model: Model, given: float | None) -> float | None:
    if given is None:
        return None
    if model.about["positive"] is None:
        raise UserError(f"--threshold is for two classes, this model has {len(model.classes)}")
    if not 0 <= given <= 1:
        raise UserError(f"--threshold: expected a probability from 0 to 1, found {given:g}")
    return given


def _rows(model: Model, path: Path, options: argparse.Namespace) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the first columns of the result, and the rows as the model takes them."""
    import pandas as pd

    from counterpoise.exporting import new_rows
    from counterpoise.reading import tables

    about, identifier = model.about, options.id
    header = about.get("header") if options.header is None else options.header
    expected = [about["target"], *(column["name"] for column in about["columns"]), *about["unused"]]
    frame = tables.read_table(path, header, expected, about.get("kept"))
    if identifier and identifier not in frame.columns:
        raise UserError(f"--id: '{identifier}' is no column of {path}{nearest(identifier, frame.columns)}")
    is_input = identifier in [column["name"] for column in about["columns"]]
    inputs = frame if is_input else frame.drop(columns=identifier or [])
    x_ND, faults, notes = new_rows.encoded(inputs, about)
    for note in notes:
        print(f"note: {path}: {note}", file=sys.stderr)
    for fault in faults[:-1]:
        print(f"error: {path}: {fault}", file=sys.stderr)
    if faults:
        raise UserError(f"{path}: {faults[-1]}")
    first = pd.DataFrame({"row": range(1, len(frame) + 1)})
    if identifier:
        name = identifier
        if name in ("row", "decision", *(f"probability_{label}" for label in model.classes)):
            name = f"input_{identifier}"
            print(f"note: column '{identifier}' is written as '{name}', as the result has its own", file=sys.stderr)
        first[name] = tables.as_written(path, identifier, header, expected)
    return first, x_ND


def _images(model: Model, path: Path, options: argparse.Namespace) -> tuple[pd.DataFrame, np.ndarray]:
    import pandas as pd

    from counterpoise.methods.datasets import image_folder

    if options.id:
        raise UserError("--id: is for tables; of images the result has the file")
    files = image_folder.images_in(path)
    return pd.DataFrame({"file": [str(f) for f in files]}), image_folder.decoded(files, model.about)


def _predicted(model: Model, first: pd.DataFrame, x: np.ndarray, threshold: float | None) -> pd.DataFrame:
    scores = model.scores(model.logits(x))
    probability_NC, said_N = scores.log_prob_BC.exp().numpy(), scores.decision_BC.argmax(1).numpy()
    if threshold is not None:
        positive = model.classes.index(model.about["positive"])
        said_N = np.where(probability_NC[:, positive] > threshold, positive, 1 - positive)
    for c, name in enumerate(model.classes):
        first[f"probability_{name}"] = probability_NC[:, c]
    return first.assign(decision=[model.classes[c] for c in said_N])
