"""A method's file that lacks what its kind needs is refused in one line, which names the attribute and what it is."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from counterpoise import contracts, registry
from counterpoise.cli import main
from counterpoise.errors import UserError
from counterpoise.stages import preprocess

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text("utf-8")
EXAMPLE = dict(re.findall(r"```python\n# (counterpoise/\S+)\n(.*?)```", PAGE, re.DOTALL))


def method(path, old="", new=""):
    """Return the `Method` of an example of the page, a part of its text changed."""
    assert old in EXAMPLE[path]
    names = {"__name__": "example"}
    exec(compile(EXAMPLE[path].replace(old, new), path, "exec"), names)
    return names.get("Method")


def refusal(kind, name, cls):
    with pytest.raises(UserError) as caught:
        contracts.check(kind, name, cls)
    assert "\n" not in str(caught.value)
    return str(caught.value)


WINE, POLY = "counterpoise/methods/datasets/wine_cultivars.py", "counterpoise/methods/losses/poly1.py"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('    kind: ClassVar[str] = "table"\n', "", 'missing `kind`: "image" or "table"'),
        ("train_counts", "train_count", "missing `train_counts`: a tuple of whole numbers.*; rename `train_count`"),
        (
            "(41, 50, 34)",
            "[41, 50, 34]",
            r"`train_counts` is \[41, 50, 34\], expected a tuple.*`counterpoise hash wine",
        ),
        ("(41, 50, 34)", "(41, 84)", "`train_counts` has 2 numbers for 3 classes"),
        ("(13,)", "(13.0,)", r"`shape` is \(13.0,\), expected a tuple of whole numbers"),
        (
            '"cc9d',
            '"',
            "`data_hash` is '570a.*expected 64 hexadecimal digits; `counterpoise hash wine_cultivars` prints",
        ),
        ("Files] = {}", 'Files] = {"a": "b"}', "`files` is {'a': 'b'}, expected a dict {file name: "),
        ("def read", "def load", r"missing `read`: a method read\(self, locate\)"),
        ('"table"', '"tabular"', "`kind` is 'tabular', expected"),
        ('= "table"', '= "image"', "missing the option `pool"),
        ("    version: ClassVar[int] = 1\n", "", r"expected `version: ClassVar\[int\] = 1`"),
        ("version: ClassVar[int]", "version: int", r"expected `version: ClassVar\[int\] = 1`"),
        ("@dataclass(frozen=True)", "@dataclass", "@dataclass.frozen=True."),
        ("class Method", "class Wine", "expected a class `Method`"),
    ],
)
def test_a_data_set_that_lacks_something_is_told_what(old, new, expected):
    told = refusal("datasets", "wine_cultivars", method(WINE, old, new))
    assert told.startswith(f"{WINE}: ")
    assert re.search(expected, told), told


def test_the_examples_of_the_page_keep_their_contracts():
    contracts.check("datasets", "wine_cultivars", method(WINE))
    contracts.check("losses", "poly1", method(POLY))


def test_a_loss_without_its_call_is_told_the_signature():
    told = refusal("losses", "poly1", method(POLY, "__call__", "forward"))
    assert told == f"{POLY}: class Method: missing `__call__(logits_BC, labels_B, counts_C) -> scalar`"


@pytest.mark.parametrize("kind", contracts.REQUIRED)
def test_a_method_of_any_kind_that_defines_nothing_is_refused(kind):
    @dataclass(frozen=True)
    class Method:
        version: ClassVar[int] = 1

    assert contracts.REQUIRED[kind][0][0] in refusal(kind, "empty", Method)


def test_every_kind_has_a_contract():
    assert {*contracts.REQUIRED, "datasets"} == set(registry.KINDS)


def test_hash_prints_what_the_file_of_a_data_set_must_contain(capsys):
    assert main(["hash", "digits"]) == 0
    told = capsys.readouterr().out
    digits = registry.method("datasets", "digits")
    assert f'    data_hash: ClassVar[str] = "{digits.data_hash}"\n' in told
    assert f"    train_counts: ClassVar[tuple[int, ...]] = {digits.train_counts}\n" in told
    assert told.endswith("as in counterpoise/methods/datasets/digits.py\n")


def test_hash_works_before_the_rest_of_the_file_is_written(capsys, monkeypatch, tmp_path):
    (tmp_path / "new_data").mkdir()
    (tmp_path / "new_data" / "rows.csv").write_text("1,a\n2,b\n")
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path))

    @dataclass(frozen=True)
    class Method:
        files: ClassVar = {"rows.csv": ("https://example.org/rows.csv", "")}

        def read(self, locate):
            assert locate("rows.csv").read_text() == "1,a\n2,b\n"
            return registry.build("datasets", {"name": "digits"}).read(None)

    monkeypatch.setattr(registry, "unchecked", lambda kind, name: Method)
    assert main(["hash", "new_data"]) == 1
    told = capsys.readouterr().out
    checksum = "sha256:07db83519611422325223f749e77a8dd9f6308e8f1840443d53b94ca61daaad0"
    assert f'"rows.csv": ("https://example.org/rows.csv", "{checksum}"),' in told
    assert told.endswith("differs in: shape, train_counts, data_hash, files\n")


def test_hash_refuses_a_table_of_the_users(capsys):
    assert main(["hash", "table"]) == 2
    assert "whose hash is in its study" in capsys.readouterr().err


def test_counts_that_are_not_those_of_the_data_are_refused_when_it_is_read(monkeypatch):
    monkeypatch.setattr(registry.method("datasets", "digits"), "train_counts", (125,) * 10)
    with pytest.raises(UserError, match=r"train_counts of the data is \(125, 127, .*`counterpoise hash digits` prints"):
        preprocess.decode({"name": "digits"})
