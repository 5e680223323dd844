"""Tables are decoded from files in the official format, and a user's own table as its study says.

.venv/bin/python -m pytest -n 0 tests/test_table_datasets.py
"""

import re

import numpy as np
import pytest

from counterpoise import registry
from counterpoise.data import files as data
from counterpoise.data.columns import Column
from counterpoise.errors import UserError
from counterpoise.methods.datasets import _adbench, _kddcup99, _tables
from counterpoise.reading import tables
from counterpoise.stages import preprocess

TABLES = [name for name in registry.names("datasets") if hasattr(registry.method("datasets", name), "columns")]
PUBLISHED = [name for name in TABLES if name != "table"]
NAN = np.nan


def build(name, **options):
    return registry.build("datasets", {"name": name, **options})


def in_folder(path, **files):
    for name, content in files.items():
        (path / name).write_bytes(content.encode())
    return lambda name: path / name


def fault(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_table_describes_each_of_its_columns(name):
    table = build(name)
    assert table.shape == (len(table.columns),)
    assert len({column.name for column in table.columns}) == len(table.columns)
    for column in table.columns:
        assert bool(column.categories) == (column.kind == "categorical")
        assert list(column.categories) == sorted(set(column.categories))
    if len(table.classes) == 2:
        assert table.train_counts[0] > table.train_counts[1]
    assert all("#" not in url and re.search("[0-9a-f]{40}|kdd.ics", url) for url, _ in table.files.values())


@pytest.mark.parametrize("name", [n for n in PUBLISHED if "npz" in str(build(n).files)])
def test_a_table_of_adbench_is_its_arrays_as_float64(name, tmp_path):
    table, (file,) = build(name), build(name).files
    x_ND, y_N = np.arange(3 * len(table.columns), dtype=np.int16).reshape(3, -1), np.array([1, 0, 1])
    np.savez(tmp_path / file, X=x_ND, y=y_N)
    train_x, train_y, test_x, test_y = table.read(lambda name: tmp_path / name)
    assert train_x.dtype == np.float64
    assert train_y.dtype == test_y.dtype == np.int64
    assert np.array_equal(train_x, x_ND)
    assert np.array_equal(train_y, y_N)
    assert test_x.shape == (0, len(table.columns))
    assert len(test_y) == 0


@pytest.mark.parametrize(
    "arrays",
    [
        {"X": np.ones((2, 4)), "y": np.ones(2)},
        {"X": np.ones((2, 3)), "y": np.ones(3)},
        {"X": np.ones((2, 3))},
        {"X": np.ones((2, 3)), "y": np.array([0, 2])},
    ],
    ids=["width", "length", "no-labels", "label-2"],
)
def test_a_file_of_adbench_with_other_arrays_is_named(tmp_path, arrays):
    np.savez(tmp_path / "part.npz", **arrays)
    assert "part.npz" in fault(lambda: _adbench.read(tmp_path / "part.npz", 3))


ROWS = {
    "abalone": ("M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,7\nI,0.1,0.2,0.3,0.4,0.5,0.6,0.7,19", [1, 0], [2, 1]),
    "abalone_19": ("M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,7\nF,0.1,0.2,0.3,0.4,0.5,0.6,0.7,19", [0, 1], [2, 0]),
    "ecoli": ("0.49,0.29,0.48,0.50,0.56,0.24,0.35,imU\n0.07,0.40,0.48,0.50,0.54,0.35,0.44,im", [1, 0], [0.49, 0.07]),
    "glass": (
        "1.5,13,4,1,71,0.06,8,0,0,7\n1.25,13,3,1,72,0.4,7,0,0,1\n1.1,1,1,1,1,1,1,1,1,3",
        [5, 0, 2],
        [1.5, 1.25, 1.1],
    ),
    "glass6": ("1.5,13,4,1,71,0.06,8,0,0,7\n1.25,13,3,1,72,0.4,7,0,0,1", [1, 0], [1.5, 1.25]),
    "german": (
        "A14,6,A34,A410,1169,A65,A75,4,A93,A101,4,A121,67,A143,A152,2,A173,1,A192,A201,2\n"
        "A11,48,A32,A43,5951,A61,A73,2,A92,A101,2,A121,22,A143,A152,1,A173,1,A191,A201,1",
        [1, 0],
        [3, 0],
    ),
    "wine_quality_red": (
        "7.4,0.7,0,1.9,0.076,11,34,0.9978,3.51,0.56,9.4,4\n7,1,0,1,0,1,3,0.9,3,0.5,9,5",
        [1, 0],
        [7.4, 7],
    ),
    "wine_quality_white": (
        "7,0.27,0.36,20.7,0.045,45,170,1.001,3,0.45,8.8,9\n7,1,0,1,0,1,3,0.9,3,0.5,9,3",
        [0, 1],
        [7, 7],
    ),
}  # rows without a line break at the end, labels, first column


@pytest.mark.parametrize("name", ROWS)
def test_a_table_of_uci_has_its_target_and_codes(name, tmp_path):
    text, labels, first = ROWS[name]
    table = build(name)
    (file,) = table.files
    x_ND, y_N, test_x, _ = table.read(in_folder(tmp_path, **{file: text}))
    assert y_N.tolist() == labels
    assert x_ND[:, 0].tolist() == first
    assert x_ND.shape == (len(labels), *table.shape)
    assert len(test_x) == 0


def test_adult_has_an_official_test_part_missing_values_and_dots_after_labels(tmp_path):
    row = "39, ?, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, Male, 2174, 0, 40, Cuba, "
    files = {"adult-train.csv": f"{row}<=50K\n{row}>50K\n\n", "adult-test.csv": f"{row}>50K.\n"}
    train_x, train_y, test_x, test_y = build("adult").read(in_folder(tmp_path, **files))
    assert train_y.tolist() == [0, 1]
    assert test_y.tolist() == [1]
    expected = [39, NAN, 77516, 9, 13, 4, 0, 1, 4, 1, 2174, 0, 40, 4]
    assert np.array_equal(train_x, [expected, expected], equal_nan=True)
    assert np.array_equal(test_x, [expected], equal_nan=True)


def test_mammography_is_split_as_mesa_did_or_not_at_all(tmp_path):
    head = "0,1,2,3,4,5,label\n"
    parts = {"train": head + "1,2,3,4,5,6,0\n", "valid": head + "2,2,3,4,5,6,1\n", "test": head + "3,2,3,4,5,6,1\n"}
    locate = in_folder(tmp_path, **{f"Mammo_{part}.csv": text for part, text in parts.items()})
    train_x, train_y, test_x, test_y = build("mammography_mesa").read(locate)
    assert train_x[:, 0].tolist() == [1, 2]
    assert train_y.tolist() == [0, 1]
    assert test_x[:, 0].tolist() == [3]
    assert test_y.tolist() == [1]
    train_x, train_y, test_x, _ = build("mammography_mesa_train").read(locate)
    assert train_x[:, 0].tolist() == [1]
    assert train_y.tolist() == [0]
    assert test_x[:, 0].tolist() == [3]
    train_x, train_y, test_x, test_y = build("mammography_all").read(locate)
    assert train_x[:, 0].tolist() == [1, 2, 3]
    assert train_y.tolist() == [0, 1, 1]
    assert len(test_x) == len(test_y) == 0


def connections(**attacks):
    """Return rows of KDD Cup 1999 whose duration is their number in the file."""
    labels = [f"{name}." for name, count in attacks.items() for _ in range(count)]
    rest = ",tcp,http,SF,181,5450" + ",0" * 16 + ",8,8" + ",0.50" * 7 + ",9,9" + ",0.25" * 8
    return "".join(f"{i}{rest},{label}\n" for i, label in enumerate(labels))


def test_kdd_cup_takes_the_attacks_of_its_two_classes(tmp_path):
    text = connections(normal=2, smurf=2, satan=1, phf=3, neptune=1, nmap=1, rootkit=1)
    locate = in_folder(tmp_path, **{"kddcup.data_10_percent": text})
    x_ND, y_N, test_x, _ = build("kddcup99_dos_prb").read(locate)
    assert x_ND[:, 0].tolist() == [2, 3, 4, 8, 9]
    assert y_N.tolist() == [0, 0, 1, 0, 1]
    assert x_ND[0, 1:6].tolist() == [1, 22, 9, 181, 5450]
    assert len(test_x) == 0
    assert len(_kddcup99.COLUMNS) == 41


def test_kdd_cup_keeps_114_rows_of_remote_access_the_same_every_time(tmp_path):
    text = connections(warezclient=150, back=20, guess_passwd=50, ipsweep=5)
    locate = in_folder(tmp_path, **{"kddcup.data_10_percent": text})
    x_ND, y_N, _, _ = build("kddcup99_dos_r2l").read(locate)
    assert np.bincount(y_N).tolist() == [20, 114]
    assert (np.diff(x_ND[:, 0]) > 0).all()
    assert {*x_ND[y_N == 0, 0]} == {*range(150, 170)}
    assert np.array_equal(x_ND, build("kddcup99_dos_r2l").read(locate)[0])


COLUMNS = (Column("size"), Column("colour", "categorical", ("blue", "red")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,red\n", "label"),
        ("1,red,a\n2,red,b,c\n", "part"),
        ("x,red,a\n", "part"),
        ("1,green,a\n", "column 'colour': found 'green', expected one of blue, red"),
    ],
    ids=["too-few", "too-many", "no-number", "category"],
)
def test_a_row_that_does_not_fit_is_one_line(tmp_path, text, said):
    (tmp_path / "part").write_text(text)
    message = fault(lambda: _tables.read(tmp_path / "part", COLUMNS))
    assert said in message
    assert str(tmp_path / "part") in message


def test_numbers_are_the_nearest_float64(tmp_path):
    (tmp_path / "part").write_text("0.1234567890123456789,?,x\n1e-7,red,y\n")
    x_ND, label_N = _tables.read(tmp_path / "part", COLUMNS)
    assert x_ND[:, 0].tolist() == [0.1234567890123456789, 1e-7]
    assert np.array_equal(x_ND[:, 1], [NAN, 1], equal_nan=True)
    assert label_N.tolist() == ["x", "y"]


# The user's own table -----------------------------------------------------------------------------------------

OWN = """id,age,colour,size,since,churn
a,1,red,low,2020-01-02,no
b,,blue,high,1970-01-03,yes
c,inf,red,?,,
d,4,,low,,no
"""
SAID = {
    "target": "churn",
    "kinds": {"id": "ignore", "age": "numeric", "colour": "categorical", "size": "ordinal", "since": "date"},
    "categories": {"colour": ["blue", "red"], "size": ["low", "high"]},
    "classes": ["no", "yes"],
    "counts": [2, 1],
}


def own(tmp_path, text=OWN, **options):
    path = tmp_path / "own.csv"
    path.write_text(text)
    return {"name": "table", "path": str(path), "sha256": tables.sha256(path), **SAID, **options}


def test_a_users_table_is_read_as_its_study_says(tmp_path):
    spec = own(tmp_path)
    table = registry.build("datasets", spec)
    assert [(c.name, c.kind, c.categories) for c in table.columns] == [
        ("age", "numeric", ()),
        ("colour", "categorical", ("blue", "red")),
        ("size", "ordinal", ("low", "high")),
        ("since", "numeric", ()),
    ]
    assert table.shape == (4,)
    assert table.train_counts == (2, 1)
    (x_ND, y_N, test_x, test_y), meta = preprocess.decode(spec)
    assert np.array_equal(x_ND, [[1, 1, 0, 18263], [NAN, 0, 1, 2], [4, NAN, 0, NAN]], equal_nan=True)
    assert y_N.tolist() == [0, 1, 0]
    assert test_x.shape == (0, 4)
    assert test_y.dtype == np.int64
    assert meta["data_hash"] == table.data_hash


def test_the_data_hash_of_a_users_table_needs_no_file_and_sees_its_content(tmp_path):
    one, other = (build("table", path="gone.csv", sha256=digit * 64, **SAID).data_hash for digit in "12")
    assert one != other
    assert one == data.hash_checksums({"gone.csv": ("", f"sha256:{'1' * 64}")})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": ""}, "path and target"),
        ({"classes": ["no"], "counts": [2]}, "classes"),
        ({"classes": ["no", "no"]}, "classes"),
        ({"counts": [2]}, "counts"),
        ({"kinds": {"age": "numerical"}}, "did you mean 'numeric'"),
        ({"kinds": {"churn": "categorical"}}, "'churn' is the target"),
        ({"categories": {}}, "'colour'"),
        ({"kinds": {"age": "ignore"}}, "not ignored"),
    ],
)
def test_options_of_a_users_table_that_do_not_fit_together_are_one_line(options, said):
    assert said in fault(lambda: build("table", **{"path": "own.csv", **SAID, **options}))


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (OWN, {"sha256": "0" * 64}, "has changed since"),
        (OWN, {"target": "churned"}, "no column 'churned'; did you mean 'churn'"),
        (OWN, {"kinds": {**SAID["kinds"], "sex": "ignore"}}, "no column 'sex'"),
        (OWN, {"kinds": {"age": "numeric"}}, "'id' is not in kinds"),
        (OWN, {"categories": {**SAID["categories"], "colour": ["red"]}}, "category 'blue'"),
        (OWN, {"classes": ["no", "maybe"]}, "class 'yes'"),
        (OWN, {"counts": [3, 1]}, "found [2, 1] rows"),
        (OWN.replace("4,,low", "old,,low").replace("a,1", "a,young"), {}, "column 'age' holds 'young'"),
    ],
)
def test_a_users_table_that_is_another_than_said_is_one_line(tmp_path, text, options, said):
    assert said in fault(lambda: registry.build("datasets", own(tmp_path, text, **options)).read(None))
