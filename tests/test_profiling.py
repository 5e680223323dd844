"""What is in a user's table is found and said; a target that no study can have ends in one line.

.venv/bin/python -m pytest -n 0 tests/test_profiling.py
"""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.own_data import leaks, profiling
from counterpoise.reading import tables

N = 60
RANDOM = np.random.default_rng(0)
CHURN = np.where(np.arange(N) % 4 == 0, "yes", "no")
NOISE = RANDOM.normal(size=N).round(3)


def table(churn=CHURN, **columns):
    frame = pd.DataFrame({"noise": NOISE[: len(churn)], **columns, "churn": churn})
    for name in frame:
        if frame[name].dtype == object:
            frame[name] = frame[name].astype("str")
    return frame


def profile(**columns):
    return profiling.profile(table(**columns), "churn")


def described(column):
    found = profile(column=column)
    return found.columns[1], [text for text in found.warnings if "'column'" in text]


def fault(frame, target="churn"):
    with pytest.raises(UserError) as caught:
        profiling.profile(frame, target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cycle(*values):
    return np.array(values, object)[RANDOM.permutation(np.arange(N) % len(values))]


@pytest.mark.parametrize(
    ("column", "kind", "found", "categories", "is_said"),
    [
        (RANDOM.normal(size=N), "numeric", "number", (), False),
        (RANDOM.permutation(np.arange(N) % 5.0), "numeric", "code", (), False),
        (cycle("red", "blue", None), "categorical", "category", ("blue", "red"), False),
        (cycle("high", "low", "medium"), "ordinal", "scale", ("low", "medium", "high"), True),
        (cycle("True", "False"), "categorical", "boolean", ("False", "True"), False),
        (RANDOM.permutation(np.arange(N) % 2.0), "categorical", "boolean", ("0", "1"), False),
        (cycle("2020-01-01", "2021-01-01", "2022-05-05"), "date", "date", (), False),
        (cycle("01/02/2020", "02/01/2020", "03/03/2020"), "date_month_first", "date", (), True),
        (cycle("31/01/2020", "2020-01-31"), "categorical", "category", ("2020-01-31", "31/01/2020"), True),
        (pd.Series(pd.date_range("2020-01-01", periods=N)), "date", "date", (), False),
        (np.full(N, 7.0), "ignore", "constant", (), True),
        (np.full(N, np.nan), "ignore", "empty", (), True),
        (cycle(np.inf, -np.inf).astype(float), "ignore", "empty", (), True),
        (RANDOM.permutation(N) + 1000.0, "ignore", "identifier", (), True),
        (np.array([f"name {i}" for i in range(N)], object), "ignore", "identifier", (), True),
        (np.array([f"words {i // 1.2}" for i in range(N)], object), "ignore", "text", (), True),
        (np.where(CHURN == "yes", 3.0, 8.0), "ignore", "target", (), True),
        (np.where(CHURN == "yes", "left", None), "ignore", "target", (), True),
    ],
)
def test_a_column_is_what_it_looks_like_and_what_is_not_used_is_said(column, kind, found, categories, is_said):
    about, warnings = described(column)
    assert (about.kind, about.found, about.categories) == (kind, found, categories)
    assert about.why
    assert len(warnings) == is_said
    if kind == "ignore":
        kept = f"; to use it, add --kind column={about.suggested}" if about.suggested else ""
        assert warnings == [f"column 'column' is not used: {about.why}{kept}"]
        assert bool(kept) == (found not in ("empty", "constant"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "ignore") for name in ("id", "ID", "Id", "customer_id", "CUSTOMER_ID", "customerId", "user-id")],
        *[(name, "ignore") for name in ("PassengerId", "PassengerID", "guid", "user key", "__index_level_0__")],
        *[(name, "numeric") for name in ("AMOUNT_PAID", "LIPID", "BID", "COVID", "GRID", "VALID", "paid", "humid")],
        ("refractive_index", "numeric"),
    ],
)
def test_an_identifier_is_known_by_its_name_too_and_may_be_a_group(name, kind):
    column = RANDOM.permutation(np.repeat(np.arange(N // 2), 2)) * 977.0
    found = profile(**{name: column})
    assert found.columns[1].kind == kind
    assert any("may belong together" in text for text in found.warnings) == (kind == "ignore")


@pytest.mark.parametrize(
    ("numbers", "kind", "is_said"),
    [
        (np.arange(60) * 3, "ignore", True),  # none recurs, though of 60 random ones in 180 some would
        (np.arange(60) * 9999, "numeric", True),
        (np.arange(60) // 2 * 9999, "numeric", True),
        (np.arange(60) % 5 * 9999, "numeric", False),
        (np.arange(60) * 3.5, "numeric", False),
    ],
)
def test_a_name_in_capitals_that_may_end_in_id_is_judged_by_the_numbers(numbers, kind, is_said):
    found = profile(PASSENGERID=RANDOM.permutation(numbers) * 1.0)
    assert found.columns[1].kind == kind
    said = [text for text in found.warnings if "'PASSENGERID'" in text]
    assert len(said) == is_said
    assert all("--kind PASSENGERID=numeric" in text or "set its kind to ignore" in text for text in said)


def test_a_kind_that_is_given_is_not_judged():
    kinds = {"id": "numeric", "code": "categorical", "noise": "ignore"}
    frame = table(id=np.arange(N) * 1.0, code=np.arange(N) % 3 * 1.0)
    found = profiling.profile(frame, "churn", kinds)
    assert {column.name: column.kind for column in found.columns} == kinds
    assert found.columns[2].categories == ("0", "1", "2")
    assert found.options()["categories"] == {"code": ["0", "1", "2"]}


def test_missing_and_infinite_values_are_counted_and_said():
    column = NOISE[::-1].copy()
    column[:3], column[3:5] = np.nan, [np.inf, -1e39]
    about, warnings = described(column)
    assert about.missing == pytest.approx(3 / N)
    assert about.infinite == 2
    assert warnings == ["column 'column': 2 values that are infinite, or above 3.4e38, are missing"]


def test_classes_are_counted_the_rarer_last_and_rows_without_a_label_are_said():
    churn = CHURN.astype(object)
    churn[:4] = None
    found = profile(churn=churn)
    assert found.classes == ("no", "yes")
    assert found.counts == (42, 14)
    assert found.ratio == 3
    assert found.rows == N
    assert found.missing_labels == 4
    assert "4 of 60 rows have no 'churn' and are left out" in found.warnings


def test_strings_that_were_read_as_no_label_are_named_with_how_to_keep_them():
    churn = CHURN.astype(object)
    churn[:6] = None
    frame = table(churn=churn)
    said = profiling.profile(frame, "churn", unlabelled={"n/a": 2, "NA": 3}).warnings[0]
    assert said == (
        "6 of 60 rows have no 'churn' and are left out; 3 rows have the text 'NA', 2 rows have the text 'n/a', read "
        "as missing: to keep it as a class, add --keep churn=NA"
    )
    frame.loc[frame["churn"] == "yes", "churn"] = None
    with pytest.raises(UserError, match=r"has one class \('no'\).*9 rows have the text 'NA'.*--keep churn=NA"):
        profiling.profile(frame, "churn", unlabelled={"NA": 9})


def test_classes_that_differ_in_capitals_alone_are_said():
    assert any("classes 'No' and 'no' differ" in text for text in profile(churn=cycle("no", "No", "yes")).warnings)


def test_more_than_two_classes_are_in_the_order_of_numbers_or_of_the_alphabet():
    assert profile(churn=np.arange(N) % 3 * 5.0).classes == ("0", "5", "10")
    assert profile(churn=cycle("b", "c", "a")).classes == ("a", "b", "c")


def test_duplicates_and_contradictions_are_counted_over_what_is_used():
    frame = table(id=np.arange(N) * 1.0)
    frame.loc[1, ["noise", "churn"]] = frame.loc[0, ["noise", "churn"]].tolist()
    frame.loc[2, ["noise", "churn"]] = frame.loc[0, ["noise", "churn"]].tolist()
    frame.loc[3, "noise"] = frame.loc[5, "noise"]
    frame.loc[3, "churn"], frame.loc[5, "churn"] = "yes", "no"
    found = profiling.profile(frame, "churn")
    assert found.duplicates == 2
    assert found.contradictions == 2
    assert any(text.startswith("2 of 60 rows repeat another") for text in found.warnings)
    assert any(text.startswith("2 rows agree in every column") for text in found.warnings)


def test_a_column_that_gives_the_label_away_is_said_and_noise_is_not():
    leak = (CHURN == "yes") + NOISE / 100
    found = profile(leak=leak, coarse=np.where(CHURN == "yes", np.arange(N) % 3, 3.0), more_noise=NOISE[::-1])
    assert set(found.leaks) == {"leak", "coarse"}
    assert all(area > 0.99 for area in found.leaks.values())
    assert sum("alone tells the classes apart" in text for text in found.warnings) == 2


def test_a_sample_of_many_rows_keeps_the_rare_class():
    labels = np.where(np.arange(50_000) % 5000 == 0, "yes", "no")
    found = leaks.telling({"leak": (labels == "yes") * 1.0, "noise": np.arange(50_000.0) % 7}, labels)
    assert found == {"leak": 1.0}


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (table(churn=np.full(N, "no")), "has one class ('no')"),
        (table(churn=np.full(N, np.nan)), "has no label in any row"),
        (table(churn=NOISE), "a quantity, not classes"),
        (table(churn=np.where(NOISE > 1, np.inf, 1.0)), "is infinite in "),
        (pd.DataFrame({"x": np.arange(10_000) % 7.0, "churn": np.arange(10_000.0)}), "10,000 different numbers"),
        (
            pd.DataFrame({"x": np.arange(10_000) % 7.0, "churn": [f"c{i}" for i in range(10_000)]}),
            "10,000 of 10,000 classes ('c0', 'c1', 'c10', ...) have a single row",
        ),
        (table(churn=[*CHURN[1:], "maybe"]), "1 of 3 classes ('maybe') have a single row"),
        (table()[:2], "2 of 2 classes ('no', 'yes') have a single row"),
        (table()[["churn"]], "is the only column"),
        (table()[["noise"]], "only 'noise' was found; between values there must be a comma"),
        (table(noise=1.0), "no column is left to predict 'churn' from: 'noise' (constant)"),
        (table(noise=(CHURN == "yes") * 1.0), "'noise' (target)"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_one_line(frame, said):
    assert said in fault(frame)


def test_a_target_that_is_no_column_names_the_nearest_and_a_missing_header(tmp_path):
    assert "no column; did you mean 'churn'?" in fault(table(), "Churn")
    (tmp_path / "own.csv").write_text("1,2,no\n3,4,yes\n")
    said = fault(tables.read_table(tmp_path / "own.csv"), "churn")
    assert "the file has no header, so its columns are column_1 to column_3; for the last, write --target" in said


def test_thousands_of_classes_are_possible_and_said():
    frame = pd.DataFrame({"x": np.arange(10_000) % 7.0, "churn": [f"c{i % 5000}" for i in range(10_000)]})
    found = profiling.profile(frame, "churn")
    assert len(found.classes) == 5000
    assert found.folds == 2
    assert any(text.startswith("'churn' has 5,000 classes") for text in found.warnings)


@pytest.mark.parametrize(("rows", "folds", "said"), [(3, 3, 2), (5, 5, 1), (6, 5, 1), (7, 5, 1), (8, 5, 0)])
def test_a_class_with_fewer_rows_than_folds_or_neighbours_is_said(rows, folds, said):
    found = profile(churn=np.array(["yes"] * rows + ["no"] * (N - rows)))
    assert found.folds == folds
    assert sum(text.startswith("class 'yes' has") for text in found.warnings) == said


def test_what_the_reader_noticed_comes_first(tmp_path):
    (tmp_path / "own.csv").write_text("a;a;churn\n" + "1,5;2;no\n2,5;3;yes\n1;5;no\n7;8;yes\n")
    found = profiling.profile(tables.read_table(tmp_path / "own.csv"), "churn")
    assert "several columns 'a'" in found.warnings[0]
    assert "decimal sign" in found.warnings[1]


def test_a_profile_is_json_and_its_options_read_the_file_that_it_was_made_of(tmp_path):
    columns = {"colour": cycle("red", "blue", None), "size": cycle("low", "high"), "day": cycle("1.2.2020", "3.4.2021")}
    table(id=np.arange(N), **columns).to_csv(tmp_path / "own.csv", index=False)
    found = profiling.profile(tables.read_table(tmp_path / "own.csv"), "churn")
    assert json.loads(json.dumps(dataclasses.asdict(found)))["counts"] == [45, 15]
    path = str(tmp_path / "own.csv")
    own = registry.build("datasets", {"name": "table", "path": path, "sha256": tables.sha256(path), **found.options()})
    x_ND, y_N, _, _ = own.read(None)
    assert [column.name for column in own.columns] == ["noise", "colour", "size", "day"]
    assert x_ND[:, 0].tolist() == NOISE.tolist()
    assert set(np.unique(x_ND[:, 2])) == {0, 1}
    assert np.isnan(x_ND[:, 1]).sum() == 20
    assert (y_N == (CHURN == "yes")).all()
