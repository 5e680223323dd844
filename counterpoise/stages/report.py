"""Report: judges the claims of a study and writes its page.

Writes `table.parquet` (the tidy measurements), `claims.json` (the verdicts, and what they rest on) and `index.html`
(self-contained). It reads results only: no number of a study is made here that is not a mean or an interval of
`table.parquet`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from counterpoise import __version__, readers, records, registry
from counterpoise.errors import UserError
from counterpoise.judging import results
from counterpoise.planning.plan import RESULTS, Plan
from counterpoise.records import Json
from counterpoise.report import page, words

if TYPE_CHECKING:
    import pandas as pd

FOLDER = RESULTS / "report"


def run(plan: Plan, name: str) -> None:
    """Write the report of the study whose report cell is `name`; Snakemake calls this when all cells are there.

    Raises UserError if one is missing, or a file that the report rests on is damaged.
    """
    study = next((s for s in plan.studies.values() if s["report"] == name), None)
    if study is None:
        raise UserError(f"no study of the plan has the report cell '{name}'; `snakemake -n` makes a new plan")
    _write(plan, study, FOLDER / name, whole=True)
    shutil.rmtree(_partial_folder(study), ignore_errors=True)


def partial(plan: Plan, name: str) -> Path:
    """Write what can be written of `<study>.<scale>`, its gaps named, and return the page."""
    return _write(plan, plan.studies[name], _partial_folder(plan.studies[name]), whole=False)


def page_of(study: Json) -> Path | None:
    """Return the newest page of a study: of all its cells, or of those that are there."""
    whole, part = FOLDER / study["report"] / "index.html", _partial_folder(study) / "index.html"
    return whole if whole.exists() else part if part.exists() else None


def document_of(study: Json) -> Json | None:
    """Return the claims of the newest page of a study; None where there is none, or they cannot be read (it says so).

    Another run may be writing them just now: then there are none for a moment.
    """
    html = page_of(study)
    if html is None or not (path := html.with_name("claims.json")).exists():
        return None
    try:
        return readers.read_json(path)
    except readers.Damaged as fault:
        print(f"note: {fault}", file=sys.stderr)
        return None


def _partial_folder(study: Json) -> Path:
    return FOLDER / f"{study['name']}.{study['scale']}-partial"


def _write(plan: Plan, study: Json, folder: Path, *, whole: bool) -> Path:
    """Write a page and what it rests on; a `whole` one is refused where a cell is missing or a file is damaged."""
    from counterpoise.report import study_page

    with records.job(folder, {"stage": "report", "cell": study["report"]}, {}):
        found = results.rows(plan, study)
        table = results.measurements(found, study)
        document = judge(plan, study, found, table)
        if whole and (lacking := [gap for gap in document["gaps"] if gap["status"] == "missing"]):
            first = " ".join(lacking[0][key] for key in ("stage", "cell", "seeds"))
            raise UserError(f"report of {study['name']}.{study['scale']}: {first}: {lacking[0]['reason']}")
        html = study_page.render(study, document, found, table)
        records.write(folder / "table.parquet", lambda path: table.to_parquet(path, index=False))
        records.write_json(folder / "claims.json", document)
        records.write_text(folder / "index.html", html)
    return folder / "index.html"


def judge(plan: Plan, study: Json, found: list[results.Row], table: pd.DataFrame) -> Json:
    """Return what `claims.json` holds: the verdict of every claim, what it rests on, and where that came from."""
    from counterpoise.judging import verdicts
    from counterpoise.judging.claims import parse_claims
    from counterpoise.judging.effects import Resampling
    from counterpoise.report import summaries

    recipes = [entry["recipe"] for entry in study["entries"]]
    splits = [registry.build("splits", recipe["split"]) for recipe in recipes]
    folds = {getattr(split, "folds", 1) for split in splits}
    overlap = max(getattr(split, "overlap", 0.0) for split in splits)  # of several the least sure of itself
    resampling = Resampling(folds.pop() if len(folds) == 1 else 1, overlap)
    gate = summaries.gate(table, study)
    settings, switches = _settings(study, found), results.switches(found, study)

    def judged(kind: str, family_size: int, gate: Json | None) -> list[Json]:
        parsed = parse_claims(
            study[kind],
            cases=study["cases"],
            factors=results.factors(study),
            metrics=words.METRICS,
            primary=study["primary"],
            where=f"config/studies/{study['name']}.yaml, {kind}",
        )
        return verdicts.judge(
            parsed,
            table,
            scale=study["scale"],
            seeds=study["seeds"],
            references=study["reference"],
            family_size=family_size,
            settings=settings,
            gate=gate,
            resampling=resampling,
            switches=switches,
        )

    here = records.environment()
    return {
        "key": key_of(study),
        "study": study["name"],
        "scale": study["scale"],
        "title": study["title"],
        "source": study["source"],
        "note": study["note"],
        "seeds": study["seeds"],
        "version": __version__,
        "commit": here["commit"],
        "dirty": here["dirty"],
        "settings": settings,
        "gate": gate,
        "claims": [row | {"key": row["key"] or key_of(study)} for row in judged("claims", study["family"], gate)],
        "controls": judged("controls", max(1, len(study["controls"])), None),
        "gaps": results.gaps(found),
        "diverged": results.diverged(found),
        "provenance": results.provenance(found),
    }


def key_of(study: Json) -> str:
    """Return the row of the literature that a study belongs to."""
    return str(study["name"].split("_", 1)[0])


def _settings(study: Json, found: list[results.Row]) -> dict[str, str]:
    """Return data, model, counts and budget in words, for the sentence of every verdict."""
    recipes = [entry["recipe"] for entry in study["entries"]]
    names = dict.fromkeys(recipe["data"]["name"] for recipe in recipes)
    shapes: dict[str, str] = {}
    for _, stages in found:
        path = stages["preprocess"].folder / "meta.json"
        if stages["preprocess"].status == "done" and path.exists():
            meta = readers.read_json(path)
            size = (
                " × ".join(map(str, meta["shape"][1:])) if meta["kind"] == "image" else f"{meta['shape'][0]} features"
            )
            shapes[meta["name"]] = f" ({size})"
    counts = results.class_counts(found, study)["design"].tolist()
    images = f"{max(counts):,} to {min(counts):,} training examples a class" if counts else "counts unknown"
    trained = [r for r in recipes if not getattr(registry.method("models", r["model"]["name"]), "classical", False)]
    steps = [
        r["finetune"]["steps"] + (r["pretrain"]["method"]["name"] != "none") * r["pretrain"]["steps"] for r in trained
    ]
    batches = _span(r["finetune"]["batch_size"] for r in trained) if trained else ""
    noise = {recipe["label_noise"] for recipe in recipes}  # a grid over it is told by its points
    wrong = f" with {100 * max(noise):g} % of the training labels wrong" if len(noise) == 1 and max(noise) else ""
    return {
        "data": " and ".join(words.plain(name) + shapes.get(name, "") for name in names) + wrong,
        "model": " and ".join(dict.fromkeys(words.plain(recipe["model"]["name"]) for recipe in recipes)),
        "counts": images,
        "budget": f"{_span(steps)} steps of {batches} examples" if trained else "fitted in one go",
    }


def _span(values: Iterable[int]) -> str:
    low, high = min(held := list(values)), max(held)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def index(plan: Plan) -> Path:
    """Write `results/report/index.html`, the overview of all studies of the plan, and return it.

    Reads `claims.json` files only and imports neither pandas nor matplotlib.
    """
    listed = [_listing(study) for study in plan.studies.values()]
    listed.sort(key=lambda s: (s["key"], s["name"], s["scale"]))
    groups: dict[str, list[Json]] = {}
    for study in listed:
        groups.setdefault(study["key"], []).append(study)
    scales = [scale for scale in words.SCALES if any(s["scale"] == scale and s["counts"] for s in listed)]
    totals = {
        name: {scale: sum(s["counts"].get(name, 0) for s in listed if s["scale"] == scale) for scale in scales}
        for name in words.VERDICTS
        if any(name in s["counts"] for s in listed)
    }
    html = page.render(
        "index.html.j2",
        studies=listed,
        groups=groups,
        scales=scales,
        totals=totals,
        claims=sum(sum(s["counts"].values()) for s in listed),
        waiting=sum(s["link"] is None for s in listed),
    )
    records.write_text(FOLDER / "index.html", html)
    return FOLDER / "index.html"


def _listing(study: Json) -> dict[str, Any]:
    """Return a study's line of the overview."""
    about = {"key": key_of(study), "name": study["name"], "scale": study["scale"], "title": study["title"]}
    about |= {"paper": study["source"]["paper"], "seeds": len(study["seeds"])}
    html, document = page_of(study), document_of(study)
    if html is None or document is None:
        return about | {"link": None, "counts": {}, "state": "not computed"}
    gaps = len(document["gaps"])
    diverged = sum(entry["k"] for entry in document["diverged"])
    state = f"incomplete: {gaps} missing or failed" if gaps else "complete"
    state += f"; {diverged} diverged" if diverged else ""
    link = html.relative_to(FOLDER).as_posix()
    return about | {"link": link, "counts": page.count_verdicts(document["claims"]), "state": state}
