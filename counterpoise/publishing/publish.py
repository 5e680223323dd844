"""Publish: the committed summary of one study, `published/<study>.<scale>.json`, and the same numbers as Markdown.

It holds what a reader needs to judge and cite a verdict without computing anything, and refuses what could not be
reproduced: results with jobs missing, and results of code that no commit holds.
"""

from __future__ import annotations

from math import isfinite, nan, prod
from pathlib import Path
from typing import TYPE_CHECKING

from counterpoise import digests, numerals, readers, records, registry
from counterpoise.errors import UserError, nearest
from counterpoise.jobs import status
from counterpoise.judging import results
from counterpoise.planning.plan import RESULTS, Plan
from counterpoise.planning.study import LISTED
from counterpoise.records import Json
from counterpoise.report import words

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path("published")
SHOWN: tuple[str, ...] = (
    "text",
    "form",
    "scope",
    "metric",
    "selection",
    "split",
    "verdict",
    "effect",
    "interval",
    "level",
    "p",
    "p_holm",
)
SHOWN += (
    "n",
    "margin",
    "smallest_detectable",
    "n_to_settle",
    "diverged",
    "reason",
    "sentence",
    "concerns",
    "agreement",
)


def publish(plan: Plan, name: str, *, allow_dirty: bool = False, folder: Path = FOLDER) -> Path:
    """Write the summary of `<study>.<scale>` from its report, and return the JSON file.

    Raises UserError if the study is not planned, has no report or gaps, if a file is not as its job wrote it, or if it
    was computed from a tree with uncommitted changes; with `allow_dirty` the file says so instead.
    """
    if name not in plan.studies:
        raise UserError(f"publish: no study '{name}' in the plan{nearest(name, plan.studies, LISTED)}")
    study = plan.studies[name]
    report = RESULTS / "report" / study["report"]
    if not (report / "claims.json").exists():
        key, scale = study["name"], study["scale"]
        raise UserError(f"publish: {name} has no report; run `counterpoise run --studies {key} --scale {scale}`")
    document = readers.read_json(report / "claims.json")
    missing = [gap for gap in document["gaps"] if gap["status"] == "missing"]
    if missing:
        raise UserError(f"publish: {name} lacks {len(missing)} jobs, the first is {missing[0]['cell']}; compute them")
    dirty = document["dirty"] or document["provenance"]["dirty"]
    if dirty and not allow_dirty:
        raise UserError(
            f"publish: {name} was computed with uncommitted changes; commit and recompute, or --allow-dirty"
        )
    for job in status.jobs_of_study(plan, study):
        if fault := next(digests.faults(job.folder), None):
            raise UserError(f"publish: {fault}")
    summary = _summary(plan, document, study, readers.read_table(report / "table.parquet").to_pandas(), dirty)
    records.write_json(folder / f"{name}.json", summary)
    records.write_text(folder / f"{name}.md", _markdown(summary))
    return folder / f"{name}.json"


def _summary(plan: Plan, document: Json, study: Json, table: pd.DataFrame, dirty: bool) -> Json:
    from counterpoise.publishing import bootstrap

    scopes = list(dict.fromkeys(claim["scope"] for claim in document["claims"]))
    work, found = document["provenance"], results.rows(plan, study)
    second = {kind: bootstrap.intervals(study, found, kind) for kind in ("claims", "controls")}
    return {
        "key": document["key"],
        "study": document["study"],
        "scale": document["scale"],
        "title": document["title"],
        "source": document["source"],
        "note": document["note"],
        "scope": scopes[0] if len(scopes) == 1 else scopes,
        "commit": work["commits"][0] if len(work["commits"]) == 1 else work["commits"],
        "dirty": dirty,
        "verdicts_commit": document["commit"],
        "versions": work["versions"],
        "lock": work["lock_hashes"],
        "data": work["data"],
        "cpu": work["cpus"],
        "seeds": document["seeds"],
        "budget": document["settings"]["budget"],
        "settings": document["settings"],
        "hours": round(work["hours"], 2),
        "gate": document["gate"],
        "claims": [
            {k: claim[k] for k in SHOWN} | {"two_way": two_way, "A": raw.get("A")}
            for claim, two_way, raw in zip(document["claims"], second["claims"], study["claims"], strict=True)
        ],
        "controls": [
            {k: control[k] for k in SHOWN} | {"two_way": two_way}
            for control, two_way in zip(document["controls"], second["controls"], strict=True)
        ],
        "failures": document["gaps"],
        "diverged": document["diverged"],
        "work": _work(study, found),
        "methods": _methods(study),
        "table": _table(study, table),
    }


def _methods(study: Json) -> Json:
    """Return the methods that each case names and the baseline does not, as pairs of kind and name."""
    named: dict[str, list[tuple[str, str]]] = {}
    for entry in study["entries"]:
        recipe, tuning = entry["recipe"], entry["recipe"]["finetune"]
        specs = {"samplers": recipe["sample"], "heads": recipe["head"], "ensembles": recipe["ensemble"]}
        specs |= {"losses": tuning["loss"], "mixing": tuning["mixing"], "optimizers": tuning["optimizer"]}
        specs |= {"finetuning": tuning["method"], "semi_supervised": tuning["semi_supervised"]}
        specs |= {"rebalancing": recipe["evaluate"]["rebalancing"], "pretraining": recipe["pretrain"]["method"]}
        named[entry["case"]] = [(kind, spec["name"]) for kind, spec in specs.items()]
    plain = named.get("baseline", [])
    return {case: [pair for pair in pairs if pair not in plain] for case, pairs in named.items()}


def _work(study: Json, found: list[results.Row]) -> Json:
    """Return the gradient steps of each case, its passes over batches, and the CPU seconds of its training.

    A pass is one forward and backward of one expert over as many examples as a batch has; a step has those of its
    optimiser times those of its strategy, its pretraining task or its semi-supervised learning. Of several grid points
    the one of most passes counts, and the mean of the CPU seconds.
    """
    held: Json = {}
    for entry in study["entries"]:
        recipe = entry["recipe"]
        stages = [s for s in ("pretrain", "finetune") if s == "finetune" or entry["pretrain"]]
        passes = sum(recipe[stage]["steps"] * _passes(recipe, stage) for stage in stages)
        work = {"steps": sum(recipe[stage]["steps"] for stage in stages), "evaluations": passes}
        held[entry["case"]] = max(held.get(entry["case"], work), work, key=lambda w: w["evaluations"])
    seconds: dict[str, list[float]] = {}
    for entry, blocks in found:
        runs = [blocks[stage].run or {} for stage in ("pretrain", "finetune") if stage in blocks]
        seconds.setdefault(entry["case"], []).append(sum(run.get("cpu_seconds", nan) for run in runs))
    for case, each in seconds.items():
        mean = sum(each) / len(each)
        held[case]["cpu_seconds"] = round(mean, 3) if isfinite(mean) else None
    return held


def _passes(recipe: Json, stage: str) -> int:
    """Return the passes of a step."""
    section = recipe[stage]
    kinds = {"optimizer": "optimizers", "method": "pretraining" if stage == "pretrain" else "finetuning"}
    kinds["semi_supervised"] = "semi_supervised"
    parts = [registry.build(kind, section[key]) for key, kind in kinds.items() if key in section]
    experts = getattr(registry.build("ensembles", recipe["ensemble"]), "experts", 1)
    alone = any(hasattr(part, "head") for part in parts)  # a pretraining task with a head of its own has one encoder
    return prod(getattr(part, "evaluations", 1) for part in parts) * (1 if alone else experts)


def _table(study: Json, table: pd.DataFrame) -> list[Json]:
    """Return mean, sd and n of the main metrics of every case and grid point, and over all points (point null)."""
    from counterpoise.report import summaries

    primary = (study["primary"]["selection"], "test", study["primary"]["metric"])
    columns = [primary, *(("last", "test", m) for m in words.main(primary[2]))]
    columns.append(("last", "train", words.on_training(primary[2])))
    overall, each = summaries.over_points(table), summaries.means(table)
    rows = []
    for case in study["cases"]:
        for point in [None, *dict.fromkeys(entry["point"] for entry in study["entries"])]:
            for selection, split, metric in dict.fromkeys(columns):
                key: tuple[str, ...] = (
                    (case, selection, split, metric) if point is None else (case, point, selection, split, metric)
                )
                cell = (overall if point is None else each).get(key)
                if cell:
                    about = {"case": case, "point": point, "metric": metric, "selection": selection, "split": split}
                    row = about | {k: cell[k] for k in ("mean", "sd", "n")}
                    if point is not None and (selection, split, metric) == primary:
                        row["values"] = _values(table, case, point, primary)
                    rows.append(row)
    return rows


def _values(table: pd.DataFrame, case: str, point: str, primary: tuple[str, str, str]) -> list[float]:
    """Return the primary metric of every seed, in order: what paired comparisons across studies need."""
    held = table[(table["case"] == case) & (table["point"] == point) & table["class"].isna()]
    for column, wanted in zip(("selection", "split", "metric"), primary, strict=True):
        held = held[held[column] == wanted]
    return held.sort_values("seed")["value"].tolist()


def _markdown(summary: Json) -> str:
    """Return the summary for people; every number is one of the JSON file, with fewer digits."""
    seeds, commits = summary["seeds"], summary["commit"]
    commit = commits if isinstance(commits, str) else ", ".join(commits) or "unknown"
    lines = [
        f"# {summary['title']}",
        "",
        f"Study `{summary['study']}` at scale `{summary['scale']}`, seeds {seeds[0]} to {seeds[-1]}. "
        f"Source: {summary['source']['paper']}.",
        "",
        words.SCALES.get(summary["scale"], ""),
        *([summary["note"]] if summary["note"] else []),
        "",
        f"On {summary['settings']['data']}, {summary['settings']['model']}, {summary['settings']['counts']}, "
        f"{summary['budget']}.",
        "",
        *_markdown_claims("claim", summary["claims"]),
    ]
    lines.append("")
    for number, claim in enumerate(summary["claims"], 1):
        concerns = f" Not tested here: {claim['concerns']}." if claim["concerns"] else ""
        reason = f" {claim['reason'][:1].upper()}{claim['reason'][1:]}." if claim["reason"] else ""
        lines.append(f"{number}. {claim['sentence']}{concerns}{reason}")
    if any(row["two_way"] for row in [*summary["claims"], *summary["controls"]]):
        lines += [
            "",
            "Two-way bootstrap: 95 % percentiles of 1,000 draws of seeds and of test examples within class. It shows "
            "what the fixed test part leaves open, and decides no verdict.",
        ]
    if summary["controls"]:
        lines += ["", "Controls, which test the measurement and not the paper:", ""]
        lines += _markdown_claims("control", summary["controls"])
    lines += ["", *_markdown_table(summary["table"]), ""]
    if summary["failures"] or summary["diverged"]:
        lines += ["## Failures", ""]
        lines += [
            f"- {gap['status']}: `{gap['cell']}` ({gap['seeds']}): {gap['reason']}" for gap in summary["failures"]
        ]
        lines += [f"- diverged {d['k']} of {d['n']}: {d['case']} {d['point']}" for d in summary["diverged"]] + [""]
    warning = " **Some of it was computed with uncommitted changes.**" if summary["dirty"] else ""
    versions = ", ".join(f"{package} {' and '.join(found)}" for package, found in summary["versions"].items())
    lines.append(
        f"Computed at commit {commit} on {', '.join(summary['cpu'])} in {summary['hours']} hours.{warning} {versions}."
    )
    return "\n".join(lines) + "\n"


def _markdown_claims(title: str, claims: list[Json]) -> list[str]:
    lines = [
        f"| {title} | scope | verdict | effect | interval | two-way bootstrap | margin | p (Holm) | n | detectable |",
        "|---|---|---|--:|:-:|:-:|--:|--:|--:|--:|",
    ]
    for claim in claims:
        both = (
            "–" if limits is None else "[{}, {}]".format(*map(_shown, limits))
            for limits in (claim["interval"], claim["two_way"])
        )
        cells = [claim["text"], claim["scope"], f"**{claim['verdict']}**", _shown(claim["effect"]), *both]
        cells += [_shown(claim["margin"]), numerals.p_value(claim["p_holm"]), str(claim["n"])]
        cells = [cell.replace("|", "\\|").replace("\n", " ") for cell in [*cells, _shown(claim["smallest_detectable"])]]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _markdown_table(rows: list[Json]) -> list[str]:
    """Return mean ± sd (n) with a column for each metric; a study of one grid point has no column for it."""
    is_one = len({r["point"] for r in rows} - {None}) == 1
    rows = [r for r in rows if r["point"] is None] if is_one else rows
    columns = list(dict.fromkeys((r["selection"], r["split"], r["metric"]) for r in rows))
    held = {(r["case"], r["point"], r["selection"], r["split"], r["metric"]): r for r in rows}
    names = [words.metric(m) + ("" if s == "test" else f" ({words.SPLITS[s]})") for _, s, m in columns]
    heads = ["case"] if is_one else ["case", "grid point"]
    lines = ["Mean ± standard deviation over seeds (n).", "", "| " + " | ".join(heads + names) + " |"]
    lines.append("|" + "---|" * len(heads) + "--:|" * len(columns))
    for case, point in dict.fromkeys((r["case"], r["point"]) for r in rows):
        cells = []
        for column in columns:
            cell = held.get((case, point, *column))
            spread = "" if cell is None or cell["sd"] is None else f" ± {numerals.number(cell['sd'])}"
            cells.append(f"{numerals.number(cell['mean'])}{spread} ({cell['n']})" if cell else "–")
        about = [case] if is_one else [case, "all" if point is None else point]
        lines.append("| " + " | ".join(about + cells) + " |")
    return lines


def _shown(value: float | None) -> str:
    return "–" if value is None else numerals.number(value, 4)
