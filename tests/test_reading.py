"""A careless user's file is read, and what was decided is said; or one line says what is wrong with it.

.venv/bin/python -m pytest -n 0 tests/test_reading.py
"""

import datetime
import decimal
import gzip
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from counterpoise.errors import UserError
from counterpoise.reading import tables, values

NAN = np.nan
D = decimal.Decimal
PLAIN = b"a,b\n1,x\n2,y\n"


def read(tmp_path, content, name="own.csv"):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tables.read_table(path)


def fault(call):
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def held(frame):
    return {name: [None if pd.isna(v) else v for v in column] for name, column in frame.items()}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace(b",", b";"),
        PLAIN.replace(b",", b"\t"),
        PLAIN.replace(b",", b"|"),
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"\n", b"\r"),
        PLAIN.rstrip(),
        b"\n\r\n" + PLAIN,
        b" a , b \n 1, x\n\n2 ,y \n",
        b"\xef\xbb\xbf" + PLAIN,
        PLAIN.decode().encode("utf-16"),
        PLAIN.decode().encode("utf-16-le"),
        b'"' + PLAIN[:1] + b'"' + PLAIN[1:],
        PLAIN.decode().encode("utf-16-be") + b"\0",
        b"sep=;\n" + PLAIN,  # which is wrong
        gzip.compress(PLAIN, mtime=0),
        b'"a","b"\n"1","x"\n"2","y"\n',
    ],
)
def test_the_same_table_in_another_dress_is_the_same(tmp_path, content):
    frame = read(tmp_path, content)
    assert held(frame) == {"a": [1.0, 2.0], "b": ["x", "y"]}
    assert frame.attrs["notes"] == []


def test_lines_that_are_not_utf8_are_read_as_windows_1252_and_said(tmp_path):
    frame = read(tmp_path, "a,b\n1,é\n".encode() + "2,é\n3,€\n".encode("cp1252"))
    assert held(frame) == {"a": [1.0, 2.0, 3.0], "b": ["é", "é", "€"]}
    assert frame.attrs["notes"] == ["2 of 4 lines are not UTF-8 and are read as Windows-1252"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("1,2,x\n3,4,y\n", ["column_1", "column_2", "column_3"]),
        ("red,1\nblue,2\nred,3\n", ["column_1", "column_2"]),
        ("2020-01-01,x\n2020-01-02,y\n", ["column_1", "column_2"]),
        ("?,2\n3,4\n", ["column_1", "column_2"]),
        ("a,b\nc,d\ne,f\n", ["a", "b"]),
        ("0,1,2,label\n5,6,7,0\n8,9,1,1\n", ["0", "1", "2", "label"]),
        ("2019,2020,2021\n5,6,8\n9,1,1\n", ["2019", "2020", "2021"]),
        ("a,b\n1,x\n", ["a", "b"]),
    ],
)
def test_a_header_is_told_from_a_row(tmp_path, content, names):
    frame = read(tmp_path, content)
    assert list(frame) == names
    assert len(frame) == content.count("\n") - (names[0] != "column_1")
    said = [f"there is no header: the columns are called column_1 to column_{len(names)}; for one, add --header"]
    assert frame.attrs["notes"] == (said if names[0] == "column_1" else [])


WORDS = "size,colour\nbig,red\nsize,blue\n"  # looks as if there were no header, as `size` recurs


@pytest.mark.parametrize(
    ("content", "options", "names", "rows"),
    [
        (WORDS, {}, ["column_1", "column_2"], 3),
        (WORDS, {"expected": ["colour"]}, ["size", "colour"], 2),
        (WORDS, {"expected": ["weight"]}, ["column_1", "column_2"], 3),
        (WORDS, {"header": True}, ["size", "colour"], 2),
        ("a,b\nc,d\n", {"header": False}, ["column_1", "column_2"], 2),
        ("1,2\n3,4\n", {"header": True}, ["1", "2"], 1),
    ],
)
def test_a_name_that_is_looked_for_makes_a_header_and_so_does_an_option(tmp_path, content, options, names, rows):
    (tmp_path / "own.csv").write_text(content)
    frame = tables.read_table(tmp_path / "own.csv", **options)
    assert list(frame) == names
    assert len(frame) == rows


@pytest.mark.parametrize(
    ("above", "note"),
    [
        ("sep=;\n", None),
        ('"sep=;"\r\n', None),
        ("# by me\n", "skipped above the header: '# by me'"),
        ("sep=;\n# by; me\n\n# on Monday\n", "skipped above the header: '# by me' and 1 more"),
        ("Sales of 2024\n\n", "skipped above the header: 'Sales of 2024'"),
        ("# p; q; r\n", "skipped above the header: '# p q r'"),
    ],
)
def test_lines_above_the_header_are_skipped_and_said(tmp_path, above, note):
    (tmp_path / "own.csv").write_text(above + "a;b,c;y\n1;2;no\n3;4;yes\n")
    frame = tables.read_table(tmp_path / "own.csv", expected=["y"])
    assert held(frame) == {"a": [1, 3], "b,c": [2, 4], "y": ["no", "yes"]}
    assert frame.attrs["notes"] == ([note] if note else [])
    (tmp_path / "own.csv").write_text(above + "a;b,c;y\n1;2;no\n3;4\n")
    said = fault(lambda: tables.read_table(tmp_path / "own.csv", expected=["y"]))
    assert f"row {above.count(chr(10)) + 3} has 2" in said


def test_a_header_may_begin_with_the_sign_of_a_comment(tmp_path):
    assert list(read(tmp_path, "##v=4\n#chrom\tpos\nx\t1\ny\t2\n")) == ["#chrom", "pos"]


def test_a_title_above_a_header_that_is_not_looked_for_is_named(tmp_path):
    assert "3 values, but their first line 1 ('Sales')" in fault(lambda: read(tmp_path, "Sales\na,b,y\n1,2,no\n"))


def test_a_header_wider_than_the_sample_is_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("counterpoise.reading.delimited._SAMPLE", 64)
    names = [f"a rather long name {i}" for i in range(50)]
    frame = read(tmp_path, ";".join(names) + "\n" + ";".join("1,5" for _ in names) + "\n")
    assert list(frame) == names
    assert (frame == 1.5).all(axis=None)
    said = fault(lambda: read(tmp_path, "x" * 200_000 + ",y\n1,2\n"))
    assert "the name of column 1 has 200,000 characters ('xxxx" in said


def test_a_string_that_is_kept_is_no_missing_value_and_its_column_no_quantity(tmp_path):
    (tmp_path / "own.csv").write_text("a,b,c\nNA,NA,NA\nna,x,1\n1,,2\n")
    frame = tables.read_table(tmp_path / "own.csv", kept={"a": ["NA"], "b": ["NA"]})
    assert held(frame) == {"a": ["NA", None, "1"], "b": ["NA", "x", None], "c": [None, 1, 2]}
    parquet.write_table(pa.table({"a": ["NA", "na", None]}), tmp_path / "own.parquet")
    frame = tables.read_table(tmp_path / "own.parquet", kept={"a": ["NA"]})
    assert held(frame) == {"a": ["NA", None, None]}


def test_columns_of_the_same_name_or_none_are_told_apart_and_said(tmp_path):
    frame = read(tmp_path, "a,a,,a.2\n1,2,3,4\n")
    assert list(frame) == ["a", "a.2", "column_3", "a.2.2"]
    assert frame.attrs["notes"][0] == "there are several columns 'a': that at position 2 is called 'a.2'"


def test_row_names_without_a_header_and_a_delimiter_at_the_end_of_lines_are_understood(tmp_path):
    frame = read(tmp_path, "a,b\nr1,1,2\nr2,3,4\n")
    assert held(frame) == {"row_name": ["r1", "r2"], "a": [1, 3], "b": [2, 4]}
    assert "row_name" in frame.attrs["notes"][0]
    assert held(read(tmp_path, "a,b\n1,2,\n3,4,\n")) == {"a": [1, 3], "b": [2, 4], "column_3": [None, None]}


@pytest.mark.parametrize(
    ("column", "expected", "said"),
    [
        (["1", "-2.5", "+3", "1e2", ".5"], [1, -2.5, 3, 100, 0.5], ""),
        (["inf", "-Infinity", "1e999", "2"], [np.inf, -np.inf, np.inf, 2], ""),
        (["1", "NA", "?", "null", "NaN", "n/a", " "], [1, *[None] * 6], ""),
        (["1", "-", "unknown", "None", "."], [1, *[None] * 4], "4 of its values are no number"),
        ([*["1"] * 19, "dear"], [*[1] * 19, None], "1 of its values are no number ('dear') and read as missing"),
        ([*["1"] * 17, "dear"], None, ""),
        (["1,5", "2", "1.234,25"], [1.5, 2, 1234.25], "decimal sign"),
        (["007", "012"], None, "leading zeros"),
        ([*["007"] * 19, "odd"], None, "leading zeros"),
        (["12345678901234567", "1"], None, "15 digits"),
        (["-12345678901234567", "-1"], None, "15 digits"),
        (["9007199254740993", "1"], None, "15 digits"),
        (["9007199254740991", "inf"], [9007199254740991, np.inf], ""),
        (["12345678901234567.0", "1"], None, "15 digits"),
        (["1.2345678901234568e+18", "1.0"], None, "they were rounded when the file was written"),
        (["12345678901234567.5", "1"], [12345678901234567.5, 1], ""),
        (["5.9722345678901234e24", "2.5e18"], [5.9722345678901234e24, 2.5e18], ""),
        (["0,126", "-0,5"], [0.126, -0.5], "decimal sign"),
        (["1'234", "12"], [1234, 12], ""),
        (["1\u202f234,5", "1\u00a0234\u00a0567"], [1234.5, 1234567], "decimal sign"),
        (["1_000", "0x1f", "1d5"], None, ""),
        (["True", "False"], None, ""),
        (["2020-01-01", "2020-01-02"], None, ""),
        (["none", "none"], None, ""),
        (["", "?"], [None, None], ""),
    ],
)
def test_a_column_of_texts_is_one_of_numbers_or_stays_as_it_is(tmp_path, column, expected, said):
    frame = read(tmp_path, "a;b\n" + "".join(f"{text};x\n" for text in column))
    assert held(frame)["a"] == (column if expected is None else expected)
    assert frame["a"].dtype == ("str" if expected is None else np.float64)
    assert len(frame.attrs["notes"]) == bool(said)
    assert said in "".join(frame.attrs["notes"])


def test_a_comma_in_quotes_of_a_file_with_commas_is_between_thousands(tmp_path):
    frame = read(tmp_path, 'a,b\n"1,234",x\n12,y\n"1,234,567.5",z\n')
    assert frame["a"].tolist() == [1234, 12, 1234567.5]
    assert "thousands" in frame.attrs["notes"][0]


def test_a_comma_that_could_be_either_is_what_it_is_in_another_column(tmp_path):
    frame = read(tmp_path, 'a,b\n"1,234","1,5"\n"2,345","2,25"\n')
    assert held(frame) == {"a": [1.234, 2.345], "b": [1.5, 2.25]}
    frame = read(tmp_path, "a;b\n1,234;1,234.5\n2,345;2,345.25\n")
    assert held(frame) == {"a": [1234, 2345], "b": [1234.5, 2345.25]}


def test_values_may_hold_delimiters_line_breaks_and_quotation_marks(tmp_path):
    assert held(read(tmp_path, 'a;b\n"x;\ny";1\n"z ""q"", w";2\n')) == {"a": ["x;\ny", 'z "q", w'], "b": [1, 2]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"a,b\n", "a header and no row"),
        (b"a,b", "a header and no row"),
        (b"sep=;", "the file is empty"),
        (b'[{"a": 1}]', "this is JSON"),
        (b"<!DOCTYPE html>\n<p>", "this is HTML"),
        (b"a,b\n1,2\n3\n4,5,6\n", "row 3 has 1, row 4 has 3"),
        (b"a,b\n" + b"1,2\n3\n" * 9, "row 11 has 1 (and there may be more)"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "row 3 has 1"),
        (b"PK\x03\x04rest", "Excel"),
        (b"a,b\n1,\x00\n", "zero bytes"),
        (b"PAR1 but not really", "Parquet file cannot be read"),
        (gzip.compress(PLAIN, mtime=0)[:-9], "cut off or damaged"),
    ],
    ids=[
        "empty",
        "blank",
        "header-only",
        "one-line",
        "hint-only",
        "json",
        "html",
        "ragged",
        "many-ragged",
        "open-quote",
        "excel",
        "binary",
        "parquet",
        "gzip",
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, content, said):
    message = fault(lambda: read(tmp_path, content))
    assert said in message
    assert str(tmp_path / "own.csv") in message


def test_a_quotation_mark_that_swallows_rows_is_said(tmp_path):
    frame = read(tmp_path, 'a,b\n1,x\n3,"y\n5,z\n')
    assert len(frame) == 2
    assert frame.attrs["notes"] == ["column 'b': 1 values have a line break; if wrong, a quotation mark is missing"]


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path):
    assert "there is no such file" in fault(lambda: tables.read_table(tmp_path / "gone.csv"))
    assert "is a folder" in fault(lambda: tables.read_table(tmp_path))


def test_one_column_is_read_and_the_delimiters_are_named(tmp_path):
    assert "comma, semicolon, tab or pipe" in read(tmp_path, "a b\n1 2\n3 4\n").attrs["notes"][0]


@pytest.mark.parametrize("name", ["own.csv", "own.parquet"])
def test_a_file_that_does_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, name, monkeypatch):
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=5000), "b": 1.0})
    frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
    monkeypatch.setattr(tables, "free_memory", lambda: 60_000)
    message = fault(lambda: tables.read_table(tmp_path / name))
    assert "takes about 0.0 GB of memory" in message
    monkeypatch.setattr(tables, "free_memory", lambda: 1_000_000)
    assert len(tables.read_table(tmp_path / name)) == 5000
    assert tables.free_memory() == 1_000_000


def test_what_is_free_is_no_more_than_the_machine_has():
    import psutil

    assert 0 < tables.free_memory() <= psutil.virtual_memory().total


def test_parquet_keeps_its_types_and_says_which_it_cannot(tmp_path):
    table = pa.table(
        {
            "whole": pa.array([1, None]),
            "truth": pa.array([True, None]),
            "code": pa.array(["007", " ? "]),
            "class": pa.array(["x", "y"]).dictionary_encode(),
            "day": pa.array([datetime.date(1970, 1, 3), None]),
            "nothing": pa.nulls(2),
            "list": pa.array([[1], [2]]),
        }
    )
    parquet.write_table(table, tmp_path / "own.parquet")
    frame = tables.read_table(tmp_path / "own.parquet")
    assert frame["whole"].dtype == frame["nothing"].dtype == np.float64
    assert frame["day"].dtype.kind == "M"
    assert held(frame.drop(columns="day")) == {
        "whole": [1, None],
        "truth": ["True", None],
        "code": ["007", None],
        "class": ["x", "y"],
        "nothing": [None, None],
        "list": ["[1]", "[2]"],
    }
    assert len(frame.attrs["notes"]) == 1
    assert np.array_equal(values.numbers(frame["day"], "date"), [2, NAN], equal_nan=True)


BIG = 2**53


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([BIG + 1, BIG + 2, None]), [str(BIG + 1), str(BIG + 2), None]),
        (pa.array([-BIG - 1, -BIG - 2, 3]), [str(-BIG - 1), str(-BIG - 2), "3"]),
        (pa.array([2**64 - 1, 2**64 - 2], pa.uint64()), [str(2**64 - 1), str(2**64 - 2)]),
        (pa.array([D("9007199254740993"), None], pa.decimal128(38, 0)), ["9007199254740993", None]),
        (pa.array([D("9007199254740993.00")], pa.decimal128(38, 2)), ["9007199254740993.00"]),
        (pa.array([1234567890123456789.0, 7.0, None]), ["1.2345678901234568e+18", "7", None]),
        (pa.array([BIG - 1, -5, None]), [BIG - 1, -5, None]),
        (pa.array([D("9007199254740993.25")], pa.decimal128(38, 2)), [9007199254740993.25]),
        (pa.array([D("1.50"), None], pa.decimal128(38, 2)), [1.5, None]),
        (pa.array([6.02214076e23, 0.5]), [6.02214076e23, 0.5]),
        (pa.array([b"yes", None]), ["yes", None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_whole_numbers_that_float64_would_mix_up_are_names_in_parquet_too(tmp_path, column, expected):
    parquet.write_table(pa.table({"a": column}), tmp_path / "own.parquet")
    frame = tables.read_table(tmp_path / "own.parquet")
    assert held(frame)["a"] == expected
    is_name = frame["a"].dtype == "str" and column.type != pa.binary()
    assert sum("read as names, not as quantities" in note for note in frame.attrs["notes"]) == is_name


def test_times_that_no_calendar_has_are_missing_and_said(tmp_path):
    far = {
        "s": pa.array([253402300800, 0], pa.timestamp("s")),
        "ms": pa.array([2**62, 0], pa.timestamp("ms")),
        "day": pa.array([3_000_000, 0], pa.date32()),
        "ns": pa.array([10**18, 0], pa.timestamp("ns", "Europe/Berlin")),
    }
    parquet.write_table(pa.table(far), tmp_path / "own.parquet")
    frame = tables.read_table(tmp_path / "own.parquet")
    days = {name: values.numbers(frame[name], "date").tolist() for name in ("ns", "day")}
    assert days["ns"] == [pytest.approx(10**18 / 86400e9), 0]
    assert np.isnan(days["day"][0])
    assert [note.split(":")[0] for note in frame.attrs["notes"]] == ["column 's'", "column 'ms'", "column 'day'"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, None]), ["1", None]),
        (pa.array([2**63 + 1, 0], pa.uint64()), [str(2**63 + 1), "0"]),
        (pa.array(["007", "NA", " x "]), ["007", "NA", " x "]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array([1.0, 0.5, None, NAN, 2.0**60]), ["1", "0.5", None, None, str(2**60)]),
        (pa.array([D("1.50"), D("0E-8")], pa.decimal128(38, 8)), ["1.50000000", "0.00000000"]),
        (pa.array([datetime.date(2024, 1, 31), None]), ["2024-01-31", None]),
        (pa.array([datetime.datetime(2024, 1, 31, 7)]), ["2024-01-31 07:00:00"]),
        (pa.array([True, None]), ["True", None]),
        (pa.nulls(1), [None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_of_parquet_is_copied_as_it_is(tmp_path, column, expected):
    parquet.write_table(pa.table({"b": pa.nulls(len(column)), "a": column}), tmp_path / "own.parquet")
    assert held(tables.as_written(tmp_path / "own.parquet", "a").to_frame("a"))["a"] == expected


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_a_column_of_text_is_copied_as_it_is(tmp_path, delimiter):
    given = ["00000", "1", "9007199254740993", "NA", "", " x ", "1.0", "-", 'a"b', "1,5", "two\nlines"]
    table = pd.DataFrame({"number": range(len(given)), "a": given})
    table.to_csv(tmp_path / "own.csv", index=False, sep=delimiter)
    assert tables.as_written(tmp_path / "own.csv", "a").tolist() == given


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "own.csv").write_bytes(PLAIN)
    assert tables.sha256(tmp_path / "own.csv") == hashlib.sha256(PLAIN).hexdigest()


# What texts stand for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "kind", "days", "said"),
    [
        (["1970-01-02", "1970/1/3", "04.01.1970"], "date", [1, 2, 3], ""),
        (["1970-01-02T12:00:00Z", "1970-01-02 06:00"], "date", [1.5, 1.25], ""),
        (["9999-12-31", "1970-01-01"], "date", [2932896, 0], ""),
        (["31/01/1970", "01/02/1970"], "date_day_first", [30, 31], ""),
        (["01/31/1970", "02/01/1970"], "date_month_first", [30, 31], ""),
        (["01/02/1970", "02/01/1970"], "date_month_first", [1, 31], "no day is above 12"),
        ([*["1970-01-02"] * 19, "soon"], "date", [*[1] * 19, NAN], "1 of its values are no date ('soon')"),
        (["31/01/1970", "01/31/1970"], None, None, "cannot be told"),
        (["31/01/1970", "1970-01-31"], None, None, "written in several ways"),
        (["soon", "1970-01-02"], None, None, ""),
    ],
)
def test_dates_become_days(texts, kind, days, said):
    found, note = values.date_kind(pa.array(texts, pa.large_string()))
    assert found == kind
    assert said in note
    assert bool(said) == bool(note)
    if kind:
        assert np.allclose(values.numbers(pd.Series(texts, dtype="str"), kind), days, equal_nan=True)


def test_infinite_values_and_those_beyond_float32_are_missing_numbers():
    found = values.numbers(pd.Series([1, np.inf, -np.inf, NAN, 3e38, -4e38]))
    assert np.array_equal(found, [1, NAN, NAN, NAN, 3e38, NAN], equal_nan=True)


def test_categories_are_named_alike_whether_read_as_numbers_or_texts():
    numbers, texts = pd.Series([1, NAN, 2.5]), pd.Series(["1", None, "2.5"], dtype="str")
    for column in (numbers, texts):
        assert values.texts(column).tolist() == ["1", None, "2.5"]
        assert np.array_equal(values.codes(column, ["2.5", "1"]), [1, NAN, 0], equal_nan=True)
        assert np.array_equal(values.codes(column, ["1"]), [0, NAN, -1], equal_nan=True)


@pytest.mark.parametrize(
    ("category", "others"), [("True", ["TRUE", "true"]), ("1", ["1.0", "1.00"]), ("1.0", ["1"]), ("-3", ["-3.0"])]
)
def test_a_category_is_known_in_the_spelling_of_another_program(category, others):
    assert values.codes(pd.Series(others, dtype="str"), ["x", category]).tolist() == [1] * len(others)
    assert values.codes(pd.Series(["X", "1.5", "10"], dtype="str"), ["x", category]).tolist() == [-1] * 3
