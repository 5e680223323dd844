"""The pages of the report: what they show equals the files, and they need nothing but themselves."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterpoise import numerals, records
from counterpoise.errors import UserError
from counterpoise.judging import results
from counterpoise.planning import plan
from counterpoise.publishing import publish
from counterpoise.report import page, summaries, words
from counterpoise.scoring import metrics
from counterpoise.stages import report

CASES, COUNTS, SEEDS = ["baseline", "over_sampling", "oracle"], [2, 20], [0, 1, 2, 3]
CLASSES = ["ant", "bee", "cat"]
DIVERGED = {"step": 7, "epoch": 0.5, "lr": 9.0, "reason": "loss nan at step 7, epoch 0.50, learning rate 9"}
NAME = "doe2020_demo.small"


def make_plan():
    """A study of three cases at two grid points, in one block of four seeds."""
    made = plan.Plan()
    entries = []

    def cell(stage, name):
        made.cells[name] = plan.Cell(stage, name, {}, {}, {}, "", [[0, 3]])
        return name

    for case in CASES:
        for count in COUNTS:
            names = {s: cell(s, f"{s}-{case}-{count}") for s in ("sample", "finetune", "evaluate")}
            recipe = {
                "data": {"name": "toy"},
                "split": {"name": "official"},
                "label_noise": 0.0,
                "model": {"name": "mlp"},
                "sample": {"name": "none" if case == "baseline" else case, "ratio": 1.0},
                "head": {"name": "linear"},
                "ensemble": {"name": "none"},
                "pretrain": {"method": {"name": "none"}, "steps": 10},
                "finetune": {
                    "steps": 20,
                    "batch_size": 4,
                    "method": {"name": "all_layers"},
                    "loss": {"name": "focal" if case == "oracle" else "cross_entropy"},
                    "mixing": {"name": "none"},
                    "optimizer": {"name": "sam" if case == "oracle" else "sgd"},
                    "semi_supervised": {"name": "none"},
                },
                "evaluate": {"rebalancing": {"name": "none"}, "test_factor": 1.0},
            }
            point = {"point": f"minority_count={count}", "factors": {"imbalance.minority_count": count}}
            chain = {"preprocess": cell("preprocess", "toy"), "pretrain": None, **names}
            entries.append({"case": case, **point, "recipe": recipe, **chain})
    claim = {"form": "better", "scope": "scaled", "margin": 0.01, "concerns": "only toys <were> tested"}
    made.studies[NAME] = {
        "name": "doe2020_demo",
        "scale": "small",
        "title": 'Does <b>it</b> "hold" & stand?',
        "source": {"paper": "Doe 2020, A paper", "url": "https://example.org/paper", "table": "table 1"},
        "base": "toy",
        "block": 4,
        "seeds": SEEDS,
        "primary": {"metric": "balanced_accuracy", "selection": "last", "transform": "none"},
        "cases": CASES,
        "claims": [
            {"text": "Oversampling helps", "A": "over_sampling", "B": "baseline", **claim},
            {"text": "Oversampling beats the oracle", "A": "over_sampling", "B": "oracle", **claim},
        ],
        "controls": [{"text": "Balanced data help", "A": "oracle", "B": "baseline", **claim}],
        "family": 5,
        "reference": [{"case": "baseline", "at": {"minority_count": 2}, "value": 0.5, "n": 1, "where": "Table 2"}],
        "gate": {"oracle": "oracle", "baseline": "baseline"},
        "note": "A toy.",
        "blocks": [[0, 3]],
        "entries": entries,
        "report": cell("report", "doe2020_demo.small-0123456789ab"),
    }
    return made


def run_json(folder, status="done", error=None, **more):
    versions = {"python": "3.11.0", "torch": "2.13.0"}
    work = {"wall_seconds": 8.0, "peak_memory_mb": 100.0, "steps": 20, "epochs": 2.5, "images": 320, "seeds": SEEDS}
    origin = {"commit": "c0ffee", "dirty": False, "lock_hash": "abc", "cpu": "A CPU", "threads": 1, "device": "cpu"}
    about = {"status": status, "error": error, "diverged": {}, "versions": versions, "started": "2020-01-01T00:00:00"}
    records.write_json(folder / "run.json", {**about, **work, **origin, **more})


def predictions(case, seeds):
    """Return what each seed says of ten test examples a class: eight right, of the oracle all."""
    label, place = np.divmod(np.arange(30), 10)
    said = np.where((place < 8) | (case == "oracle"), label, (label + 1) % 3)
    logits = {f"logit_{c}": (said == c).astype(float) for c in range(3)}
    about = {"selection": "last", "split": "test", "id": np.arange(30), "label": label}
    return pd.concat([pd.DataFrame({"seed": seed, **about, **logits}) for seed in seeds])


def write_entry(entry, diverged=()):
    case, count = entry["case"], entry["factors"]["imbalance.minority_count"]
    folders = {s: Path("results") / s / entry[s] / "seeds-00-03" for s in ("sample", "finetune", "evaluate")}
    lost = {str(seed): DIVERGED for seed in diverged}
    for stage, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        run_json(folder, diverged=lost if stage != "sample" else {}, cpu_seconds=3.0 * count)
    draw = np.random.default_rng([CASES.index(case), count])
    level = 0.5 + 0.15 * CASES.index(case) + 0.005 * count
    rows = []
    for seed in SEEDS:
        for split in ("train", "test"):
            for metric in (*words.MAIN, "recall"):
                value = 1 / 3 if seed in diverged else level + 0.01 * draw.normal() + 0.1 * (split == "train")
                rows.append((seed, "last", split, metric, "ant" if metric == "recall" else None, value))
        rows.append((seed, "last", "test", "medium_recall", None, None))  # undefined: null in the file
    columns = ["seed", "selection", "split", "metric", "class", "value"]
    pd.DataFrame(rows, columns=columns).to_parquet(folders["evaluate"] / "metrics.parquet", index=False)
    confused = [(s, "last", "test", i, j, 8 if i == j else 1) for s in SEEDS for i in range(3) for j in range(3)]
    columns = ["seed", "selection", "split", "label", "predicted", "count"]
    pd.DataFrame(confused, columns=columns).to_parquet(folders["evaluate"] / "confusion.parquet", index=False)
    design = {str(s): [40, count, 30] if s % 2 else [count, 40, 30] for s in SEEDS}  # which class is rare varies
    seen = {s: [7 * n for n in counts] for s, counts in design.items()}
    meta = {"classes": CLASSES, "design_counts": design, "class_counts": design, "seen_counts": seen, "diverged": lost}
    made = pa.Table.from_pandas(predictions(case, [s for s in SEEDS if s not in diverged]), preserve_index=False)
    made = made.replace_schema_metadata({"counterpoise": json.dumps(meta)})
    pq.write_table(made, folders["finetune"] / "predictions.parquet")
    history = [
        {"seed": s, "phase": "finetune", "step": t, "epoch": t / 8, "loss": 1 / t, "accuracy": 0.9, "lr": 0.1}
        for s in SEEDS
        for t in (10, 20)
    ]
    if case == "oracle":  # which trains in two stages, here
        history[::2] = [{**row, "tail_recall": 1.0 if count == 2 else row["seed"] / 4} for row in history[::2]]
    lines = "".join(json.dumps({**row, "val_balanced_accuracy": None}) + "\n" for row in history)
    records.write_text(folders["finetune"] / "history.jsonl", lines)


def write_results(made, entries):
    folder = Path("results/preprocess/toy")
    meta = {"name": "toy", "classes": CLASSES, "shape": [1, 8, 8], "kind": "image", "data_hash": "feed" * 4}
    records.write_json(folder / "meta.json", meta)
    run_json(folder)
    for entry in entries:
        write_entry(entry, diverged=[3] if entry["case"] == "over_sampling" else [])
    made.write(Path("results/plan.json"))


class Page(HTMLParser):
    """Checks nesting while it collects elements, `data` values by claim and by row, and the text."""

    VOID = ("meta", "br", "link", "img", "input", "hr")

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text = [], [], ""
        self.claims, self.rows, self.row, self.claim = {}, {}, None, None
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        assert len(held) == len(attributes), (tag, attributes)
        self.elements.append((tag, held))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("h2", "tbody"):  # a claim's own table of grid points has a body without an id
            self.claim = held.get("id", self.claim) if tag == "tbody" else None
        if tag == "tr" and "data-case" in held:
            self.row = (held["data-case"], held.get("data-point"))
        if tag == "data" and self.row:
            self.rows.setdefault(self.row, []).append(float(held["value"]))
        if tag == "data" and self.claim:
            self.claims.setdefault(self.claim, []).append(held["value"])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag
        if tag == "tr":
            self.row = None

    def handle_data(self, text):
        self.text += text if "style" not in self.open else ""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with all its files: its folder, its page, its claims and its table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("report"))
        made = make_plan()
        study = made.studies[NAME]
        write_results(made, study["entries"])
        report.run(made, study["report"])
        report.index(made)
        folder = Path.cwd() / "results/report" / study["report"]
        html = (folder / "index.html").read_text(encoding="utf-8")
        document = records.read_json(folder / "claims.json")
        yield made, folder, html, document, pd.read_parquet(folder / "table.parquet")


def test_claims_on_the_page_equal_the_file(written):
    *_, html, document, _ = written
    shown = Page(html).claims
    assert len(document["claims"]) == 2
    for number, claim in enumerate(document["claims"], start=1):
        points = [v for p in claim["per_point"] for v in (p["effect"], *p["interval"])]
        numbers = [claim["effect"], *claim["interval"], claim["margin"], claim["n"], claim["smallest_detectable"]]
        assert shown[f"claim-{number}"] == [str(v) for v in numbers + points]
    text = Page(html).text
    for claim in document["claims"]:
        assert claim["sentence"] in text
        assert claim["verdict"] in text
    assert document["claims"][0]["verdict"] != "no verdict"
    assert [claim["family_size"] for claim in document["claims"]] == [5, 5]
    control = document["controls"][0]
    assert shown["controls"] == [
        str(v) for v in (control["effect"], *control["interval"], control["margin"], control["n"])
    ]
    assert [control["text"] for control in document["controls"]] == ["Balanced data help"]
    assert "Balanced data help" in text


def test_results_on_the_page_equal_the_table(written):
    *_, html, _, table = written
    shown = Page(html).rows
    rows = table[(table["metric"] == "balanced_accuracy") & (table["split"] == "test") & (table["selection"] == "last")]
    for (case, point), part in rows.groupby(["case", "point"]):
        mean, low, high = shown[case, point][:3]
        assert mean == pytest.approx(part["value"].mean(), abs=1e-12)
        half = 3.182446305284263 * part["value"].std() / 2  # t quantile of 3 degrees of freedom, n = 4
        assert (low, high) == pytest.approx((mean - half, mean + half))
    seeds = rows[rows["case"] == "oracle"].groupby("seed")["value"].mean()
    assert shown["oracle", "None"][0] == pytest.approx(seeds.mean(), abs=1e-12)


def test_the_table_is_tidy_and_marks_what_was_scored_at_chance(written):
    *_, table = written
    assert set(table.columns) == {"case", "point", "imbalance.minority_count", *results.MEASURES, "diverged"}
    assert not table["value"].isna().any()
    assert set(table.loc[table["diverged"], "case"]) == {"over_sampling"}
    assert set(table.loc[table["diverged"], "seed"]) == {3}


def test_a_case_that_knew_the_tail_before_its_last_stage_is_flagged(written):
    made, _, html, document, _ = written
    found = results.switches(results.rows(made, made.studies[NAME]), made.studies[NAME])
    assert found == {"oracle": {"minority_count=2": 1.0, "minority_count=20": (0 + 1 + 2 + 3) / 16}}
    flags = ["interpolating regime: oracle recalled 1 of" in row["reason"] for row in document["claims"]]
    assert flags == [False, True]
    assert "interpolating regime" in html


def test_diverged_seeds_and_training_accuracy_are_shown(written):
    text = " ".join(Page(written[2]).text.split())
    assert "over sampling 2 of 8 trainings at 2 grid points" in text
    assert "diverged 1 of 4" in text
    assert f"{DIVERGED['reason']} (seed 3)" in text
    assert "Training accuracy of the baseline" in text
    assert "not comparable at this scale" in text
    assert "mean, n = 1, Table 2" in text


def test_a_page_needs_nothing_but_itself(written):
    made, folder, html, *_ = written
    for source in (html, (folder.parent / "index.html").read_text()):
        for tag, attributes in Page(source).elements:
            assert tag not in ("script", "link", "iframe", "img", "object")
            link = attributes.get("href", "")
            assert tag == "a" or link.startswith("#") or not link
            assert "src" not in attributes
        assert not re.search(r"@import|url\((?!#)", source)
        links = [a["href"] for t, a in Page(source).elements if t == "a"]
        outside = [link for link in links if ":" in link]
        assert set(outside) <= {made.studies[NAME]["source"]["url"]}


def test_links_lead_somewhere_and_ids_are_unique(written):
    folder = written[1]
    for path in (folder / "index.html", folder.parent / "index.html"):
        elements = Page(path.read_text()).elements
        ids = [a["id"] for _, a in elements if "id" in a]
        assert len(ids) == len(set(ids))
        for _, attributes in elements:
            link = attributes.get("href", "")
            if link.startswith("#"):
                assert link[1:] in ids
            elif link and ":" not in link:
                assert (path.parent / link).exists()


def test_a_page_can_be_read_without_seeing_it(written):
    html = written[2]
    elements = Page(html).elements
    ids = {a["id"] for _, a in elements if "id" in a}
    figures = [a for t, a in elements if t == "svg" and a.get("role") == "img"]
    assert len(figures) >= 4
    for attributes in figures:
        assert set(attributes["aria-labelledby"].split()) <= ids
    assert all(a.get("role") == "img" or a.get("aria-hidden") == "true" for t, a in elements if t == "svg")
    assert all("scope" in a for t, a in elements if t == "th")
    assert ("html", {"lang": "en"}) in elements
    regions = [a for _, a in elements if a.get("role") == "region"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)
    assert elements[[t for t, _ in elements].index("body") + 1][1]["class"] == "skip"


def test_dark_mode_reaches_the_figures(written):
    html = written[2]
    assert "prefers-color-scheme: dark" in html
    assert "width=device-width" in html
    figures = re.findall(r"<(?:svg|symbol).*?</(?:svg|symbol)>", html, flags=re.S)
    assert len(figures) > 5
    assert not [f for f in figures if re.search(r"#[0-9a-f]{6}\b", f)]
    assert "var(--c1)" in html


def test_texts_are_escaped(written):
    html = written[2]
    assert "Does &lt;b&gt;it&lt;/b&gt; &#34;hold&#34; &amp; stand?" in html
    assert "only toys &lt;were&gt; tested" in html


def test_gaps_and_failures_have_their_reason(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_plan()
    study = made.studies[NAME]
    write_results(made, study["entries"][:3])
    failed = Path("results/sample") / study["entries"][4]["sample"] / "seeds-00-03"
    run_json(failed, "failed", "step: class 2 would be left empty")
    folder = report.partial(made, NAME).parent
    document = records.read_json(folder / "claims.json")
    assert folder.name == f"{NAME}-partial"
    assert [g["status"] for g in document["gaps"]] == ["missing", "failed", "missing"]
    assert {g["stage"] for g in document["gaps"]} == {"sample"}
    assert {claim["verdict"] for claim in document["claims"]} == {"inconclusive"}
    text = Page((folder / "index.html").read_text()).text
    assert "step: class 2 would be left empty" in text
    assert "not computed" in text
    assert "3 of 6 blocks of seeds are complete" in text
    report.index(made)
    overview = Path("results/report/index.html").read_text()
    assert f'href="{NAME}-partial/index.html"' in overview
    assert "incomplete: 3 missing or failed" in overview
    with pytest.raises(UserError, match="has no report"):
        publish.publish(made, NAME)


def test_a_study_of_which_nothing_is_there_has_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_plan()
    html = report.partial(made, NAME).read_text()
    assert "Nothing has been measured yet" in Page(html).text
    report.index(make_plan())


def test_the_whole_report_replaces_the_partial_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_plan()
    report.partial(made, NAME)
    write_results(made, made.studies[NAME]["entries"])
    report.run(made, made.studies[NAME]["report"])
    assert not Path("results/report", f"{NAME}-partial").exists()
    assert report.page_of(made.studies[NAME]).parent.name == made.studies[NAME]["report"]
    with pytest.raises(UserError, match="report cell 'other'"):
        report.run(made, "other")


def test_the_index_is_fast(written):
    root = written[1].parents[2]
    code = "import sys; from counterpoise.planning import plan; from counterpoise.stages import report\n"
    code += "report.index(plan.read()); assert not {'pandas', 'matplotlib', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_published_numbers_equal_the_report(written, tmp_path, monkeypatch):
    made, folder, _, document, table = written
    monkeypatch.chdir(folder.parents[2])
    path = publish.publish(made, NAME, allow_dirty=True, folder=tmp_path)
    summary = records.read_json(path)
    assert summary["commit"] == "c0ffee"
    assert [c["effect"] for c in summary["claims"]] == [c["effect"] for c in document["claims"]]
    row = next(r for r in summary["table"] if (r["case"], r["point"]) == ("oracle", "minority_count=2"))
    cells = table[(table["case"] == "oracle") & (table["point"] == row["point"]) & (table["metric"] == row["metric"])]
    values = cells.loc[cells["split"] == "test", "value"]
    assert (row["mean"], row["sd"], row["n"]) == pytest.approx((values.mean(), values.std(), 4))
    values = cells[cells["split"] == "test"].sort_values("seed")["value"]
    assert row["values"] == pytest.approx(values.tolist())
    assert summary["work"]["oracle"] == {"steps": 20, "evaluations": 40, "cpu_seconds": (6 + 60) / 2}
    assert summary["methods"]["oracle"] == [["samplers", "oracle"], ["losses", "focal"], ["optimizers", "sam"]]
    assert [claim["two_way"] for claim in summary["claims"]] == [None, None], "a seed of theirs diverged"
    low, high = summary["controls"][0]["two_way"]
    assert 0 < low < 0.2 < high < 0.4
    text = path.with_suffix(".md").read_text()
    assert f"[{numerals.number(low, 4)}, {numerals.number(high, 4)}]" in text
    assert f"{numerals.number(row['mean'])} ± {numerals.number(row['sd'])} (4)" in text
    for claim in summary["claims"]:
        assert claim["sentence"] in text
        assert numerals.number(claim["effect"], 4) in text


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"ensemble": {"name": "plain_average", "experts": 4}}, 4 * 20),
        ({"method": {"name": "srat", "steps": 7}}, (7 + 1) * 20),
        ({"method": {"name": "srat", "attack": "none"}}, 20),
        ({"semi_supervised": {"name": "fixmatch", "unlabelled_ratio": 3}}, (1 + 2 * 3) * 20),
        ({"optimizer": {"name": "sam"}, "ensemble": {"name": "sade"}}, 2 * 3 * 20),
        ({"method": {"name": "selmix"}}, 2 * 20),
    ],
    ids=str,
)
def test_passes_count_experts_attacks_and_unlabelled_views(changes, passes):
    study = make_plan().studies[NAME]
    [entry] = [e for e in study["entries"] if e["case"] == "baseline"][:1]
    for key, spec in changes.items():
        (entry["recipe"] if key == "ensemble" else entry["recipe"]["finetune"])[key] = spec
    work = publish._work(study | {"entries": [entry]}, [])
    assert work == {"baseline": {"steps": 20, "evaluations": passes}}


def test_publishing_refuses_uncommitted_changes_and_gaps(written, tmp_path, monkeypatch):
    made, folder, *_ = written
    monkeypatch.chdir(folder.parents[2])
    file = folder / "claims.json"
    held = file.read_text()
    document = json.loads(held)
    try:
        records.write_json(file, document | {"dirty": True})
        with pytest.raises(UserError, match="uncommitted changes"):
            publish.publish(made, NAME, folder=tmp_path)
        gap = {"status": "missing", "cell": "sample-x", "reason": "not computed"}
        records.write_json(file, document | {"dirty": False, "gaps": [gap]})
        with pytest.raises(UserError, match="lacks 1 job"):
            publish.publish(made, NAME, folder=tmp_path)
    finally:
        file.write_text(held)
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="did you mean"):
        publish.publish(made, "doe2020_demo.smal")


def test_every_metric_has_a_name_for_people():
    of_classes = {name for counts in ([3, 2, 1], [2, 1]) for name, _ in metrics.chance(counts)}
    assert of_classes | set(metrics.names(has_target=True)) == set(words.METRICS)


@pytest.mark.parametrize(
    ("value", "digits", "sign", "text"),
    [
        (0.9126, 3, False, "0.913"),
        (-0.0126, 3, True, "−0.013"),
        (0.0126, 3, True, "+0.013"),
        (-0.00001, 3, True, "0.000"),
        (19200, 0, False, "19\u202f200"),
    ],
)
def test_numbers_are_written_alike(value, digits, sign, text):
    assert numerals.number(value, digits, sign) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (-0.01264, [-0.02, 0.00001], "−0.0126 [−0.0200, 0.0000]"),
        (0.5, None, "+0.5000"),
        (None, None, "–"),
    ],
)
def test_an_effect_is_written_with_its_sign_and_interval(value, interval, text):
    assert numerals.estimate(value, interval) == text


def test_no_module_writes_signs_of_its_own():
    for path in Path(page.__file__).parents[1].rglob("*.py"):
        if path.name != "numerals.py":
            assert not re.search(r":\+,?\.\d", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("metric", "split", "values", "low", "high"),
    [
        ("accuracy", "test", [0.99, 0.7], 0.0, 1.0),
        ("mcc", "test", [0.9, -0.9], -1.0, 1.0),
        ("brier", "test", [1.9, 0.1], 0.0, 2.0),
        ("accuracy", "train-test", [0.8, -0.8], -1.0, 1.0),
        ("log_loss", "test", [3.0, 1.0], 0.0, 2 + 12.7062),
    ],
)
def test_an_interval_of_a_mean_ends_where_its_metric_does(metric, split, values, low, high):
    rows = [("a", "", "last", split, metric, None, seed, value) for seed, value in enumerate(values)]
    table = pd.DataFrame(rows, columns=["case", "point", "selection", "split", "metric", "class", "seed", "value"])
    cell = summaries.means(table)["a", "", "last", split, metric]
    assert (cell["low"], cell["high"]) == (pytest.approx(low), pytest.approx(high, rel=1e-5))


def test_one_seed_has_a_mean_and_no_interval():
    rows = [("a", "", "last", "test", "accuracy", None, 0, 0.5)]
    table = pd.DataFrame(rows, columns=["case", "point", "selection", "split", "metric", "class", "seed", "value"])
    cell = summaries.means(table)["a", "", "last", "test", "accuracy"]
    assert cell == {"mean": 0.5, "sd": None, "low": None, "high": None, "n": 1}


def test_wrong_labels_are_part_of_what_a_verdict_is_about_unless_they_vary_over_the_grid():
    said = {}
    for name in ("meta2024_rescaling", "kang2020_decoupling", "liu2025climb_tables"):
        (about,) = plan.make(name, "small", Path(__file__).parents[1] / "config").studies.values()
        said[name] = report._settings(about, [])["data"]
    assert said["meta2024_rescaling"] == "fashion mnist with 20 % of the training labels wrong"
    assert not any("wrong" in words for name, words in said.items() if name != "meta2024_rescaling")
