"""From a file of one's own to a chosen model and its predictions, and what a careless user does on the way."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from counterpoise import registry
from counterpoise.cli import main
from counterpoise.exporting import estimators, exported
from counterpoise.jobs import job
from counterpoise.judging import results
from counterpoise.own_data import choice, study_file, thresholds
from counterpoise.own_data import proposal as proposing
from counterpoise.planning import plan as planning
from counterpoise.planning.yaml_files import read_yaml
from counterpoise.scoring.log_probabilities import log_probability

ROOT = Path(__file__).parents[1]
ROWS = 260
ONLY = [
    "logistic_regression",
    "logistic_regression_smote",
    "logistic_regression_tuned_threshold",
    "lightgbm_class_weights",
    "self_paced_ensemble",
    "balanced_random_forest",
    "logistic_regression_on_50_percent",
]


def customers(rows=ROWS, seed=3):
    """Return a table with an identifier, missing values, two categorical columns and a rare class."""
    random = np.random.default_rng(seed)
    tenure, calls = random.integers(0, 60, rows), random.poisson(2.0, rows)
    plan = random.choice(["basic", "plus", "gold"], rows)
    odds = -1.6 - 0.05 * tenure + 0.8 * calls + (plan == "basic")
    churn = np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    age = np.where(random.random(rows) < 0.1, np.nan, random.integers(20, 80, rows))
    shop = random.choice([f"shop {i}" for i in range(12)], rows)
    ident = [f"C{i:04d}" for i in range(rows)]
    return pd.DataFrame(
        {"id": ident, "age": age, "tenure": tenure, "calls": calls, "plan": plan, "shop": shop, "churn": churn}
    )


def project(folder):
    shutil.copytree(ROOT / "config" / "bases", folder / "config" / "bases")
    (folder / "config" / "studies").mkdir()
    (folder / "config" / "config.yaml").write_text("studies: all\nscale: full\ntracking: ''\n")


def compute(name):
    """Run every job of a study in this process and return its plan."""
    from counterpoise.stages import report

    plan = planning.make([name], "full")
    plan.write(planning.PLAN)
    for cell in [c for stage in planning.STAGES[:-1] for c in plan.cells.values() if c.stage == stage]:
        for block in cell.blocks:
            job.run(cell.stage, cell.name, None if cell.stage in planning.WHOLE else planning.block_name(block))
    report.run(plan, plan.studies[f"{name}.full"]["report"])
    return plan


def edited(name, **scale):
    """Change the scale of a study that `new` wrote, as a user may."""
    path = Path(f"config/studies/{name}.yaml")
    raw = read_yaml(path)
    raw["scales"]["full"] |= scale
    path.write_text(yaml.safe_dump(json.loads(json.dumps(raw)), sort_keys=False))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A project whose study of customers.csv is computed, and what `new` said."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        project(folder)
        customers().to_csv("customers.csv", index=False)
        assert main(["new", "customers.csv", "--target", "churn"]) == 0
        text = Path("config/studies/customers.yaml").read_text()
        raw = read_yaml(Path("config/studies/customers.yaml"))["scales"]["full"]["config"]
        folds = {"split": {"name": "k_fold", "folds": 3}}
        edited("customers", only=ONLY, seeds=3, block=3, config=raw | folds)
        compute("customers")
    return folder, text


@pytest.fixture
def here(done, monkeypatch):
    monkeypatch.chdir(done[0])
    return done[0]


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys):
    def called(*words):
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return called


def refused(result, *expected):
    code, _, err = result
    lines = [line for line in err.splitlines() if not line.startswith("note: ")]
    assert code == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    for words in expected:
        assert words in lines[0]


def study():
    plan = planning.make(["customers"], "full")
    about = plan.studies["customers.full"]
    found = results.rows(plan, about)
    return about, found, results.measurements(found, about)


# ------------------------------------------------------------------------------------------------------------- new


def test_what_is_proposed_fits_the_table_and_says_why(done):
    text = done[1]
    raw = yaml.safe_load(text)
    frame = customers()
    counts = frame["churn"].value_counts()
    data = raw["scales"]["full"]["config"]["data"]
    assert data["classes"] == ["no", "yes"]
    assert data["counts"] == [counts["no"], counts["yes"]]
    assert data["kinds"]["id"] == "ignore"
    assert data["categories"]["plan"] == ["basic", "gold", "plus"]
    remedies = ("_class_weights", "_smote", "_undersampling", "_tuned_threshold", "_on_50_percent")
    assert {f"lightgbm{remedy}" for remedy in ("", *remedies)} <= set(raw["cases"])
    assert {"balanced_random_forest", "self_paced_ensemble"} <= set(raw["cases"])
    pairs = {(claim["A"], claim["B"]): claim["metric"] for claim in raw["claims"]}
    assert pairs["lightgbm_smote", "lightgbm"] == "average_precision"
    assert pairs["lightgbm_tuned_threshold", "lightgbm"] == "f1", "a threshold does not change the ranking"
    lines = text.splitlines()
    at = lines.index("cases:") + 1
    assert all(line.startswith("  # ") for line in lines[at : at + 2 * len(raw["cases"]) : 2])


@pytest.mark.parametrize(
    ("counts", "columns", "absent", "present"),
    [
        ((400, 5), 3, "smote", "SMOTE is not tried: 4 training rows"),
        ((400, 5), 3, "undersampling", "it would leave 4 training rows"),
        ((400_000, 9_000), 3, "smote", "SMOTE is not tried on more than 50,000 rows"),
        ((300, 290), 3, "tuned_threshold", "nearly level"),
        ((50, 12), 3, "percent", "no learning curve"),
        ((90,) * 60, 3, "lightgbm", "would grow 60 trees in every round"),
    ],
)
def test_a_case_that_does_not_fit_is_left_out_and_said(counts, columns, absent, present):
    from counterpoise.own_data import for_tables
    from counterpoise.own_data.columns import Described
    from counterpoise.own_data.profiling import Profile

    described = tuple(Described(f"c{i}", "numeric", "number", "numbers", 0.0) for i in range(columns))
    names = tuple(f"k{i}" for i in range(len(counts)))
    ratio, folds = max(counts) / min(counts), min(5, *counts)
    profile = Profile(sum(counts), "y", described, names, counts, ratio, 0, 0, 0, {}, folds, ())
    proposal = for_tables.of_table(profile, {"path": "x.csv"}, "x", "counterpoise new x.csv")
    assert not [case.name for case in proposal.cases if absent in case.name]
    assert any(present in note for note in proposal.left_out)
    rows = proposal.config["rows"]
    assert rows == (100_000 if sum(counts) > 100_000 else 0)
    assert any("100,000 of 409,000 rows" in note for note in proposal.left_out) == bool(rows)


@pytest.mark.parametrize(
    "words",
    ["yes", "1e-3", "0x1f", "a: b", "# x", "", "~", "null", "2024-01-31", 'say "hi"', "é\x85\u2028😀\\", "-", "{a"],
)
def test_any_name_survives_the_file(words, tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(f"{study_file.quoted('key' + words)}: {study_file.flow([words, {'a': words}])}\n", "utf-8")
    assert read_yaml(path) == {"key" + words: [words, {"a": words}]}


def test_folds_by_group_or_time_keep_their_column_and_no_model_sees_it(fresh, call):
    days = pd.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")
    frame = customers().assign(day=days, house_id=[f"H{i // 8}" for i in range(ROWS)])
    frame.to_csv("own.csv", index=False)
    for option, column, name in (("--group", "house_id", "by-house"), ("--time", "day", "by-day")):
        code, out, _ = call("new", "own.csv", "--target", "churn", option, column, "--name", name)
        assert code == 0
        assert "folds go by it" in out
        assert f"'{column}' is not used" not in out
        edited(name, only=["logistic_regression"], seeds=4 if option == "--time" else 5, block=4 + (option != "--time"))
        compute(name)
        assert call("export", name, "--to", f"model-{name}")[0] == 0
        about = json.loads(Path(f"model-{name}/model.json").read_text())
        assert column not in [c["name"] for c in about["columns"]]
    refused(call("new", "own.csv", "--target", "churn", "--time", "plan", "--name", "x"), "has no order")
    refused(call("new", "own.csv", "--target", "churn", "--group", "shp", "--name", "x"), "did you mean 'shop'?")
    refused(call("new", "own.csv", "--target", "churn", "--group", "churn", "--name", "x"), "is the target")
    refused(call("new", "own.csv", "--target", "churn", "--group", "id", "--time", "day"), "not by both")


# ------------------------------------------------------------------------------------------------------- bad input

GOOD = customers(120)
BAD = {
    "no_target": (GOOD, "chrn", "target 'chrn' is no column; did you mean 'churn'?"),
    "one_class": (GOOD.assign(churn="no"), "churn", "has one class ('no')"),
    "no_label": (GOOD.assign(churn=None), "churn", "has no label in any row"),
    "quantity": (GOOD.assign(churn=np.arange(120) / 7), "churn", "a quantity, not classes"),
    "nothing_else": (GOOD[["churn"]], "churn", "is the only column"),
    "only_constants": (GOOD[["churn"]].assign(a=1, b="x"), "churn", "no column is left"),
    "twin": (GOOD[["churn"]].assign(twin=GOOD["churn"].map({"yes": 1, "no": 0})), "churn", "no column is left"),
    "two_rows": (GOOD.drop_duplicates("churn"), "churn", "have a single row"),
    "classes": (
        pd.DataFrame({"a": np.arange(4000) % 9, "churn": [f"c{i // 2}" for i in range(4000)]}),
        "churn",
        "2,000",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_table_that_cannot_be_learnt_is_one_line_and_leaves_nothing(case, fresh, call):
    frame, target, expected = BAD[case]
    frame.to_csv("own.csv", index=False)
    refused(call("new", "own.csv", "--target", target), expected)
    assert not list(Path("config/studies").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.csv", None, "there is no such file"),
        ("empty.csv", b"", "the file is empty"),
        ("head.csv", b"a,churn\n", "there is a header and no row"),
        ("ragged.csv", b"a,churn\n1,no\n1,2,no\n3,yes\n", "row 3 has 3"),
        ("bare.csv", b"".join(b"%d.5,%d,no\n%d.5,%d,yes\n" % (i, i, i, i) for i in range(9)), "the file has no header"),
        ("sheet.xlsx", b"PK\x03\x04rest", "Excel"),
        ("bytes.csv", b"\x00\x01\x02" * 50, "no text"),
    ],
)
def test_a_file_that_is_no_table_is_one_line(name, content, expected, fresh, call):
    if content is not None:
        Path(name).write_bytes(content)
    refused(call("new", name, "--target", "churn"), expected)
    assert not list(Path("config/studies").iterdir())


def test_what_is_odd_is_treated_and_said(fresh, call):
    frame = GOOD.assign(const=7, gone=np.nan, flag=GOOD["plan"] == "gold", when="2024-01-05")
    frame["when"] = [f"2024-02-{1 + i % 28:02d}" for i in range(120)]
    frame.loc[frame.index[:6], "churn"] = None
    frame["tenure"] = frame["tenure"].astype(float)
    frame.loc[7, "tenure"] = np.inf
    text = frame.rename(columns={"calls": "age"}).to_csv(index=False, sep=";")
    Path("own.csv").write_bytes(b"\xef\xbb\xbf" + text.encode().replace(b"shop 1;", b"caf\xe9;"))
    code, out, err = call("new", "own.csv", "--target", "churn")
    assert (code, err) == (0, "")
    for said in (
        "6 of 120 rows have no 'churn' and are left out",
        "column 'const' is not used",
        "column 'gone' is not used",
        "there are several columns 'age'",
        "read as Windows-1252",
        "1 values that are infinite, or above 3.4e38, are missing",
        "dates, as days since",
        "two values, 'False' and 'True'",
        "counterpoise run --studies own --scale full",
    ):
        assert said in out, said
    assert call("check", "--studies", "own")[0] == 0


def test_a_table_of_words_without_a_header_and_with_a_class_called_na(fresh, call):
    random = np.random.default_rng(0)
    size = random.choice(["big", "small"], 90)
    label = np.where(size == "big", random.choice(["NA", "NA", "yes"], 90), "yes")
    frame = pd.DataFrame({0: random.choice(["red", "blue", "NA"], 90), 1: size, 2: label})
    frame.loc[0] = ["green", "huge", "no"]  # looks like a header, as none of it recurs
    frame.loc[90] = ["Green", "Huge", "no"]
    frame.to_csv("own.csv", index=False, header=False)
    words = ("--target", "column_3", "--keep", "column_3=NA", "--keep", "column_1=NA", "--no-header")
    code, out, err = call("new", "own.csv", *words)
    assert (code, err) == (0, "")
    assert f"3 classes: 'NA' {(label[1:] == 'NA').sum()}, 'no' 2, 'yes'" in out
    text = Path("config/studies/own.yaml").read_text()
    assert f"`counterpoise new own.csv {' '.join(words)}`" in text
    assert "header: false" in text
    edited("own", only=["logistic_regression"], seeds=2, block=2)
    compute("own")
    assert call("export", "own", "--to", "model")[0] == 0
    Path("new.csv").write_text("NA,big\n,small\nred,small\n")
    code, out, err = call("predict", "model", "new.csv", "--id", "column_1")
    assert code == 0
    assert "there is no header" in err
    said = pd.read_csv("predictions.csv", keep_default_na=False)
    assert said["column_1"].tolist() == ["NA", "", "red"]
    assert said["probability_NA"].iloc[0] > 0.3 > 0.1 > said["probability_NA"].iloc[1:].max()
    Path("new.csv").write_text("column_2,column_1\nbig,NA\n")
    assert call("predict", "model", "new.csv")[0] == 0
    again = pd.read_csv("predictions.csv")
    assert again["probability_yes"].tolist() == pytest.approx(said["probability_yes"].tolist()[:1])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--keep", "plan=Na"], "column 'plan' has the text 'Na' in no row"),
        (["--keep", "plan"], "expected <column>=<text>"),
        (["--kind", "pln=numeric"], "'pln' is no column; did you mean 'plan'?"),
        (["--kind", "plan=number"], "unknown kind 'number'; did you mean 'numeric'?"),
        (["--kind", "churn=numeric"], "is the target"),
        (["--kind", "plan=numeric"], "holds 'basic', expected the kind numeric"),
    ],
)
def test_an_option_that_does_not_fit_the_table_is_one_line(words, expected, fresh, call):
    GOOD.replace({"plan": {"plus": "basic"}}).to_csv("own.csv", index=False)
    refused(call("new", "own.csv", "--target", "churn", *words), expected)
    assert not list(Path("config/studies").iterdir())


def test_a_study_file_lists_no_more_than_can_be_read(fresh, call, monkeypatch):
    monkeypatch.setattr("counterpoise.commands.new_data.LISTED", 100)
    GOOD.to_csv("own.csv", index=False)
    words = ("new", "own.csv", "--target", "churn")
    refused(call(*words, "--kind", "id=categorical"), "'id' has 120 different values", "add --kind id=ignore")
    refused(call(*words, "--group", "id"), "number the groups")


def test_a_column_is_used_as_the_command_says(fresh, call):
    GOOD.to_csv("own.csv", index=False)
    words = ("--kind", "id=categorical", "--kind", "tenure=ignore")
    code, out, _ = call("new", "own.csv", "--target", "churn", *words)
    assert code == 0
    assert "column 'tenure' is not used: set by --kind\n" in out
    data = read_yaml(Path("config/studies/own.yaml"))["scales"]["full"]["config"]["data"]
    assert (data["kinds"]["id"], data["kinds"]["tenure"]) == ("categorical", "ignore")
    assert len(data["categories"]["id"]) == 120


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_groups_times_and_classes_of_many_digits_stay_apart(kind, fresh, call):
    big = 2**60
    frame = GOOD.drop(columns="id").assign(
        house=big + np.arange(120) // 4, at=big + np.arange(120) * 10**9, churn=big + np.arange(120) % 3 % 2
    )
    path = f"own.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    kept = {}
    for option, column in (("--group", "house"), ("--time", "at")):
        code, _, err = call("new", path, "--target", "churn", option, column, "--name", column)
        assert (code, err) == (0, "")
        kept[column] = read_yaml(Path(f"config/studies/{column}.yaml"))["scales"]["full"]["config"]["data"]
    assert sorted(kept["at"]["classes"]) == [str(big), str(big + 1)]
    assert kept["house"]["categories"]["house"] == [str(big + i) for i in range(30)]
    assert (kept["house"]["kinds"]["at"], kept["at"]["kinds"]["at"]) == ("ignore", "numeric")


def test_a_class_with_fewer_rows_than_folds_gets_fewer_folds(fresh, call):
    frame = customers(90)
    frame["churn"] = "no"
    frame.loc[[3, 40, 70], "churn"] = "yes"
    frame.to_csv("own.csv", index=False)
    code, out, _ = call("new", "own.csv", "--target", "churn")
    assert code == 0
    assert "3 rows, fewer than 5 folds: 3 folds are used" in out
    assert planning.make(["own"], "full").studies["own.full"]["entries"][0]["recipe"]["split"]["folds"] == 3


def test_a_study_keeps_its_name_and_a_changed_file_is_told_before_any_job(fresh, call):
    GOOD.to_csv("My Data (1).csv", index=False)
    assert call("new", "My Data (1).csv", "--target", "churn")[0] == 0
    refused(call("new", "My Data (1).csv", "--target", "churn"), "is there already", "--name my-data-1-2")
    refused(call("new", "My Data (1).csv", "--target", "churn", "--name", "a_b"), "expected small letters")
    customers(121).to_csv("My Data (1).csv", index=False)
    for command in ("check", "run"):
        refused(call(command, "--studies", "my-data-1", "--scale", "full"), "has changed since its study was written")
    Path("My Data (1).csv").unlink()
    refused(call("run", "--studies", "my-data-1", "--scale", "full"), "there is no such file")
    refused(call("new", "My Data (1).csv"), "there is no such file")
    assert not Path("results").exists()


# ------------------------------------------------------------------------------------------------------- the answer


def test_the_page_ranks_the_cases_and_the_winner_is_among_its_ties(here):
    about, found, table = study()
    standings = choice.ranking(about, table, found)
    assert [s.case for s in standings if "percent" in s.case] == []
    assert len(standings) == len(ONLY) - 1
    assert standings[0].is_tied
    means = [s.value[0] for s in standings]
    assert means == sorted(means, reverse=True)
    by_name = {s.case: s for s in standings}
    none, tuned = by_name["logistic_regression"], by_name["logistic_regression_tuned_threshold"]
    assert none.value == tuned.value, "a threshold does not change the ranking"
    assert none.is_tied == tuned.is_tied
    html = next(Path("results/report").glob("customers.full-*/index.html")).read_text()
    for words in ("What to take", "threshold-table", "a recall of 0.9", "Calibration", "More data?"):
        assert words in html
    for part in ("published", "extent"):  # what only a paper is compared by
        assert f'id="{part}"' not in html
        assert f'href="#{part}"' not in html
    test = table[(table["split"] == "test") & (table["metric"] == "average_precision")]
    ours = [test[test["case"] == s.case]["value"] for s in standings]
    assert means == pytest.approx([float(v.mean()) for v in ours])


def test_ties_are_said_by_the_corrected_interval():
    entries = [
        {"case": c, "recipe": {"rows": 0, "split": {"name": "k_fold", "folds": 5}, "data": {"name": "table"}}}
        for c in ("a", "b", "c")
    ]
    about = {"entries": entries, "primary": {"metric": "average_precision"}, "claims": []}
    random = np.random.default_rng(0)
    fold = random.normal(0, 0.05, 10)
    values = {"a": 0.6 + fold, "b": 0.59 + fold + random.normal(0, 0.02, 10), "c": 0.4 + fold}
    rows = [
        {
            "case": c,
            "seed": s,
            "metric": "average_precision",
            "class": None,
            "selection": "last",
            "split": "test",
            "value": v,
        }
        for c, held in values.items()
        for s, v in enumerate(held)
    ]
    standings = {s.case: s for s in choice.ranking(about, pd.DataFrame(rows), [])}
    assert [s.is_tied for s in standings.values()] == [True, True, False]
    difference = values["a"] - values["b"]
    half = difference.std(ddof=1) * np.sqrt(1 / 10 + 1 / 4) * 2.6850108468172  # t(9), 1 - .05 / 4: of two rivals
    assert standings["b"].behind == pytest.approx(
        (difference.mean(), difference.mean() - half, difference.mean() + half)
    )
    for row in rows:
        row["value"] = float(row["value"] > 0.55)  # of a 9 in 10, of b 8 in 10, of c none
    wide = {s.case: s for s in choice.ranking(about, pd.DataFrame(rows), [])}
    assert wide["a"].value[1] > 0
    assert wide["a"].value[2] == 1
    assert wide["c"].behind[2] == 1
    assert wide["c"].value == (0, 0, 0)


@pytest.mark.parametrize(
    ("cost", "recall"), [(1, None), (5, None), (100, None), (None, 0.5), (None, 0.95), (None, 1.0)]
)
def test_a_threshold_is_the_best_of_all_cuts(cost, recall):
    random = np.random.default_rng(1)
    p_N = random.integers(0, 40, 150) / 40  # with ties, 0 among them
    is_positive_N = random.random(150) < p_N * 0.6
    found = thresholds.cut(is_positive_N, p_N, cost, recall)

    def outcome(threshold):
        said = p_N > threshold
        return (said & is_positive_N).sum(), (said & ~is_positive_N).sum()

    positives = is_positive_N.sum()
    cuts = [-1.0, *np.unique(p_N)]
    hits, false = outcome(found)
    if recall is None:
        assert false + cost * (positives - hits) == min(f + cost * (positives - h) for h, f in map(outcome, cuts))
    else:
        assert hits >= recall * positives
        assert false == min(f for h, f in map(outcome, cuts) if h >= recall * positives)


def test_what_is_expected_at_a_threshold_was_measured_on_folds_that_did_not_choose_it():
    random = np.random.default_rng(2)
    held = {s: ((y := (random.random(80) < 0.3).astype(int)), np.stack([1 - y * 0.5, y * 0.5], 1)) for s in range(5)}
    held = {s: (y, np.clip(p + random.normal(0, 0.2, (80, 1)) * [[-1, 1]], 0, 1)) for s, (y, p) in held.items()}
    entries = [{"recipe": {"split": {"name": "k_fold", "folds": 5}}}]
    point = next(p for p in thresholds.operating_points({"entries": entries}, held, 1) if p.wanted == "a recall of 0.8")
    recalls, precisions = [], []
    for seed, (y, p) in held.items():
        rest = [held[s] for s in held if s != seed]
        y_rest, p_rest = np.concatenate([r[0] for r in rest]), np.concatenate([r[1][:, 1] for r in rest])
        candidates = sorted(p_rest, reverse=True)
        enough = next(t for t in candidates if (p_rest[y_rest == 1] >= t).mean() >= 0.8)
        below = max(t for t in p_rest if t < enough)
        said = p[:, 1] > (enough + below) / 2
        recalls.append(said[y == 1].mean())
        precisions.append(y[said].mean())
    assert point.recall[0] == pytest.approx(np.mean(recalls))
    assert point.precision[0] == pytest.approx(np.mean(precisions))
    for point in thresholds.operating_points({"entries": entries}, held, 1):
        assert 0 <= point.recall[1] <= point.recall[0] <= point.recall[2] <= 1


def test_a_learning_curve_joins_the_cases_that_differ_in_rows_alone(here):
    about, _, table = study()
    whole = sum(about["entries"][0]["recipe"]["data"]["counts"])
    curve = [(whole // 2, "logistic_regression_on_50_percent"), (whole, "logistic_regression")]
    assert choice.growth(about, table) == {"logistic_regression": curve}


# ----------------------------------------------------------------------------------------------- export and predict


def by_hand(train, new):
    """Return the probabilities of logistic regression with every column encoded by pandas."""
    from sklearn.linear_model import LogisticRegression

    def inputs(frame):
        columns = {}
        for name in ("age", "tenure", "calls"):
            fill = train[name].median()
            base = train[name].fillna(fill)
            columns[name] = (frame[name].fillna(fill) - base.mean()) / base.std(ddof=0)
        columns["age is missing"] = frame["age"].isna()
        for name in ("plan", "shop"):
            columns |= {f"{name}={value}": frame[name] == value for value in sorted(train[name].unique())}
        return pd.DataFrame(columns).astype(float).to_numpy()

    model = LogisticRegression(max_iter=1000).fit(inputs(train), train["churn"])
    return model.predict_proba(inputs(new))


def test_an_exported_model_says_what_one_fitted_by_hand_says_whatever_the_order_of_columns(here, call, tmp_path):
    to, out = tmp_path / "model", tmp_path / "said.csv"
    assert call("export", "customers", "--case", "logistic_regression", "--to", to)[0] == 0
    new = customers(50, seed=9)
    new.drop(columns="churn")[["shop", "calls", "id", "plan", "tenure", "age"]].to_csv(
        tmp_path / "new.csv", index=False
    )
    code, _, err = call("predict", to, tmp_path / "new.csv", "-o", out, "--id", "id")
    assert (code, err) == (0, "")
    said = pd.read_csv(out)
    expected = by_hand(customers(), new)
    assert said[["probability_no", "probability_yes"]].to_numpy() == pytest.approx(expected, abs=2e-4)
    assert said["decision"].tolist() == np.where(expected[:, 1] > 0.5, "yes", "no").tolist()
    assert said["id"].tolist() == new["id"].tolist()
    call("predict", to, tmp_path / "new.csv", "-o", out, "--threshold", "0.2")
    assert (pd.read_csv(out)["decision"] == "yes").tolist() == (said["probability_yes"] > 0.2).tolist()
    about = json.loads((to / "model.json").read_text())
    assert about["threshold"] == pytest.approx(0.5)
    assert about["expected"]["average_precision"]["interval"]


@pytest.mark.parametrize(
    ("case", "file"),
    [
        ("logistic_regression_tuned_threshold", "estimator.skops"),
        ("lightgbm_class_weights", "lightgbm.txt"),
        ("self_paced_ensemble", "estimator.skops"),
        ("balanced_random_forest", "estimator.skops"),
    ],
)
def test_a_folder_holds_numbers_only_and_is_read_back(case, file, here, call, tmp_path):
    to = tmp_path / "model"
    assert call("export", "customers", "--case", case, "--to", to)[0] == 0  # which compares what it reads back
    about = json.loads((to / "model.json").read_text())
    assert about["estimator"]["file"] == file
    assert sorted(p.suffix for p in to.iterdir() if p.name != "SHA256SUMS") == sorted(
        [".json", ".safetensors", ".safetensors", Path(file).suffix]
    )
    if case.endswith("tuned_threshold"):
        model, at = exported.load(to), about["threshold"]
        logits = np.log(np.array([[1 - p, p] for p in (at - 1e-6, at + 1e-6)]))
        assert model.scores(logits).decision_BC.argmax(1).tolist() == [0, 1]


CLASSICAL = [
    n
    for n in registry.names("models")
    if getattr(registry.method("models", n), "classical", False)
    and not hasattr(registry.method("models", n), "regressor")
]


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("classes", [2, 3])
def test_every_classical_model_is_written_and_read_back(name, classes, tmp_path):
    options = registry.options("models", name)
    method = registry.build("models", {"name": name, **({"n_estimators": 3} if "n_estimators" in options else {})})
    if classes > 2 and getattr(method, "binary", False):
        pytest.skip("for two classes")
    random = np.random.default_rng(0)
    y_N = np.repeat(np.arange(classes), [50, 30, 20][:classes])
    x_ND = random.normal(size=(len(y_N), 3)) + y_N[:, None]
    fitted = method.fit(x_ND, y_N, 0)
    held = estimators.load(tmp_path, estimators.save(tmp_path, fitted), fitted.classes_.tolist())
    assert np.allclose(log_probability(held, x_ND), log_probability(fitted, x_ND), rtol=1e-6, atol=1e-6)


def test_a_network_for_a_table_goes_the_same_way(fresh, call):
    customers().to_csv("own.csv", index=False)
    assert call("new", "own.csv", "--target", "churn")[0] == 0
    path = Path("config/studies/own.yaml")
    raw = read_yaml(path)
    net = {"model": "mlp", "validation_fraction": 0.2, "finetune": {"steps": 30, "batch_size": 16}}
    raw["cases"] = {"mlp": {**net, "evaluate": {"rebalancing": "tuned_threshold"}}}
    path.write_text(yaml.safe_dump(json.loads(json.dumps(raw | {"claims": []}))))
    assert call("export", "own", "--case", "mlp", "--to", "model")[0] == 0
    assert call("predict", "model", "own.csv", "-o", "said.csv")[0] == 0
    said, frame = pd.read_csv("said.csv"), customers()
    by_class = said["probability_yes"].groupby(frame["churn"]).mean()
    assert by_class["yes"] > by_class["no"] + 0.1
    about = json.loads(Path("model/model.json").read_text())
    assert about["estimator"]["file"] == "network.safetensors"
    assert (said["decision"] == "yes").tolist() == (said["probability_yes"] > about["threshold"]).tolist()


@pytest.fixture(scope="module")
def model(done, tmp_path_factory):
    to = tmp_path_factory.mktemp("model") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(done[0])
        assert main(["export", "customers", "--to", str(to)]) == 0
    return to


def test_what_is_wrong_with_columns_is_said_one_line_each_and_nothing_is_written(model, call, tmp_path):
    new = customers(40).drop(columns=["churn", "tenure"]).rename(columns={"plan": "Plan"}).assign(age="old", extra=1)
    new.to_csv(tmp_path / "new.csv", index=False)
    code, _, err = call("predict", model, tmp_path / "new.csv", "-o", tmp_path / "said.csv")
    assert code == 2
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [part in line for line, part in zip(errors, ("'age' holds 'old'", "'tenure'", "'plan'"), strict=True)] == [
        True,
        True,
        True,
    ]
    assert "did you mean 'Plan'?" in errors[2]
    assert "column 'extra' was not there in training; it is not used" in err
    assert not (tmp_path / "said.csv").exists()


def test_a_new_category_and_an_infinite_number_count_as_missing_and_are_said(model, call, tmp_path):
    new = customers(40).drop(columns="churn")
    new["calls"] = new["calls"].astype(float)
    clean = new.copy()
    new.loc[0, "plan"], new.loc[1, "calls"] = "platinum", np.inf
    clean.loc[0, "plan"], clean.loc[1, "calls"] = None, np.nan
    said = []
    for i, frame in enumerate((new, clean)):
        frame.to_csv(tmp_path / "new.csv", index=False)
        code, _, err = call("predict", model, tmp_path / "new.csv", "-o", tmp_path / "said.csv")
        assert code == 0
        assert ("'platinum' in 1 rows was not there in training" in err) == (i == 0)
        said.append(pd.read_csv(tmp_path / "said.csv"))
    pd.testing.assert_frame_equal(*said)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("name", ["code", "decision", "row", "probability_yes"])
def test_an_id_is_copied_as_it_is_and_takes_no_column_of_the_result(name, kind, model, call, tmp_path):
    given = ["00000", "9007199254740993", "NA", " x ", "1.0"]
    new = customers(5).drop(columns="churn").assign(**{name: given})
    new.to_csv(tmp_path / "new.csv", index=False) if kind == "csv" else new.to_parquet(tmp_path / "new.parquet")
    code, _, err = call("predict", model, tmp_path / f"new.{kind}", "-o", tmp_path / "said.csv", "--id", name)
    assert code == 0
    said = pd.read_csv(tmp_path / "said.csv", dtype=str, keep_default_na=False)
    written = name if name == "code" else f"input_{name}"
    assert list(said) == ["row", written, "probability_no", "probability_yes", "decision"]
    assert said[written].tolist() == given
    assert set(said["decision"]) <= {"yes", "no"}
    assert err == (
        "" if name == "code" else f"note: column '{name}' is written as '{written}', as the result has its own\n"
    )


def test_new_rows_in_another_spelling_are_the_same_rows(model, call, tmp_path):
    new = customers(30).drop(columns="churn")
    said = []
    for write in (
        lambda path: new.to_csv(path, index=False),
        lambda path: new[new.columns[::-1]].to_csv(path, index=False, sep=";", decimal=",", encoding="utf-16"),
        lambda path: new.assign(age=new["age"] * 1.0, tenure=new["tenure"] * 1.0).to_parquet(path),
        lambda path: path.write_text("sep=,\r\n# by me\r\n" + new.to_csv(index=False, lineterminator="\r\n")),
    ):
        write(tmp_path / "new")
        assert call("predict", model, tmp_path / "new", "-o", tmp_path / "said.csv")[0] == 0
        said.append(pd.read_csv(tmp_path / "said.csv"))
    for other in said[1:]:
        pd.testing.assert_frame_equal(said[0], other)


def test_a_column_without_any_value_is_said(model, call, tmp_path):
    customers(5).assign(age=None).to_csv(tmp_path / "new.csv", index=False)
    code, _, err = call("predict", model, tmp_path / "new.csv", "-o", tmp_path / "said.csv")
    assert code == 0
    assert "column 'age' has no value in any row" in err
    refused(call("predict", model, tmp_path / "new.csv", "-o", tmp_path / "said.parquet"), "written as CSV")


def sums(folder):
    import hashlib

    held = [p for p in sorted(folder.iterdir()) if p.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in held]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_a_folder_that_was_changed_is_refused(model, call, tmp_path):
    customers(5).to_csv(tmp_path / "new.csv", index=False)
    for path in sorted(model.iterdir()):
        to = tmp_path / "m"
        shutil.copytree(model, to)
        (to / path.name).write_bytes(path.read_bytes()[:-3] + b"x\n\n")
        code, _, err = call("predict", to, tmp_path / "new.csv", "-o", tmp_path / "said.csv")
        assert code == 2, path.name
        assert err.count("\n") == 1
        (to / path.name).unlink()
        assert call("predict", to, tmp_path / "new.csv", "-o", tmp_path / "said.csv")[0] == 2
        shutil.rmtree(to)
    refused(call("predict", tmp_path, tmp_path / "new.csv"), "no exported model")
    assert not (tmp_path / "said.csv").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: None, "it is no object"),
        (lambda held: [held], "it is no object"),
        (lambda held: {"format": 1}, "it has no 'kind'"),
        (lambda held: {**held, "format": 2}, "format 2, expected 1"),
        (lambda held: {**held, "classes": [1, 2]}, "'classes[0]' is 1"),
        (lambda held: {**held, "columns": held["columns"][1:]}, "describes no model"),
        (lambda held: {**held, "columns": [{"name": "age"}]}, "'columns[0]' has no 'kind'"),
        (lambda held: {**held, "estimator": None}, "describes no model"),
        (lambda held: {**held, "estimator": {"file": "../x", "classes": [0, 1]}}, "unknown file '../x'"),
        (lambda held: {**held, "rebalancing": {"name": "../x"}}, "../x"),
    ],
)
def test_a_changed_description_with_the_right_checksum_is_one_line(model, call, tmp_path, change, said):
    customers(5).to_csv(tmp_path / "new.csv", index=False)
    shutil.copytree(model, tmp_path / "m")
    file = tmp_path / "m" / "model.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    sums(tmp_path / "m")
    refused(call("predict", tmp_path / "m", tmp_path / "new.csv", "-o", tmp_path / "said.csv"), said)
    assert not (tmp_path / "said.csv").exists()


class Opens:
    """Would write a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_would_run_code_is_refused_even_with_the_right_checksum(here, call, tmp_path):
    import skops.io

    to, trace = tmp_path / "m", tmp_path / "trace"
    assert call("export", "customers", "--case", "self_paced_ensemble", "--to", to)[0] == 0
    customers(5).to_csv(tmp_path / "new.csv", index=False)
    evil = skops.io.dumps({"model": Opens(trace)})
    (to / "estimator.skops").write_bytes(evil)
    sums(to)
    refused(call("predict", to, tmp_path / "new.csv"), "not on the list of types that may be built")
    import pickle

    (to / "estimator.skops").write_bytes(pickle.dumps(Opens(trace)))
    sums(to)
    refused(call("predict", to, tmp_path / "new.csv"), "cannot be read")
    for name in ("../estimator.skops", "estimator.pkl", "os.system"):
        about = json.loads((to / "model.json").read_text())
        about["estimator"]["file"] = name
        (to / "model.json").write_text(json.dumps(about))
        sums(to)
        refused(call("predict", to, tmp_path / "new.csv"), "unknown file")
    assert not trace.exists()


def test_an_export_that_cannot_be_is_one_line(here, call, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    refused(call("export", "customers", "--to", tmp_path / "taken"), "is there already")
    refused(call("export", "custmers", "--to", tmp_path / "m"), "did you mean 'customers'?")
    refused(call("export", "customers", "--case", "lightgbm_smte", "--to", tmp_path / "m"), "has no such case")
    refused(call("export", "customers", "--to", tmp_path / "no" / "m"), "there is no such folder")
    refused(call("predict", tmp_path, "x.csv", "--threshold", "2"), "no exported model")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["taken"]


# ----------------------------------------------------------------------------------------------------------- images


def pictures(folder):
    from PIL import Image

    random = np.random.default_rng(0)
    for name, count, level in (("cats", 24, 60), ("dogs", 12, 180)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = np.clip(random.normal(level, 25, (18, 22)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i:02d}.png")


def test_a_folder_of_images_goes_the_same_way(fresh, call):
    pictures(Path("photos"))
    code, out, err = call("new", "photos")
    assert (code, err) == (0, "")
    assert "36 images in 2 classes: 'cats' 24, 'dogs' 12; ratio 2" in out
    assert "used as 16 x 16, grey" in out
    steps = {"finetune": {"steps": 20, "batch_size": 8}}
    raw = read_yaml(Path("config/studies/photos.yaml"))["scales"]["full"]["config"]
    edited("photos", only=["cnn", "cnn_oversampling"], config=raw | steps)
    compute("photos")
    html = next(Path("results/report").glob("photos.full-*/index.html")).read_text()
    assert "What to take" in html
    assert call("export", "photos", "--case", "cnn", "--to", "model")[0] == 0
    code, _, err = call("predict", "model", "photos/dogs", "-o", "said.csv")
    assert (code, err) == (0, "")
    said = pd.read_csv("said.csv")
    assert len(said) == 12
    assert (said["decision"] == "dogs").mean() > 0.8
    refused(call("predict", "model", "config"), "is no image")
    refused(call("predict", "model", "photos/dogs", "--id", "file"), "--id: is for tables")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda: shutil.rmtree("photos/cats"), "has 1 sub-folders; expected one for each class"),
        (lambda: Path("photos/cats/notes.doc").touch(), "is no image"),
        (lambda: Path("photos/cats/00.png").write_bytes(b"x"), "cannot be read as an image"),
        (lambda: Path("photos/birds").mkdir(), "there is no image in it"),
    ],
)
def test_a_folder_that_is_none_of_images_is_one_line(change, expected, fresh, call):
    pictures(Path("photos"))
    change()
    refused(call("new", "photos"), expected)
    assert not list(Path("config/studies").iterdir())


def test_claims_name_cases_that_there_are():
    claims = proposing.claims_of(["lightgbm", "lightgbm_smote", "lightgbm_on_50_percent"], "macro_f1")
    assert [(c["A"], c["B"]) for c in claims] == [("lightgbm_smote", "lightgbm")]
