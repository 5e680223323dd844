"""Hostile or careless configuration: one quick line that names the place, exit code 2, nothing written.

.venv/bin/python -m pytest -n 0 tests/test_bad_input.py
"""

import re
import time
from pathlib import Path

import pytest
import small_project

from counterpoise.cli import main
from counterpoise.errors import UserError, nearest
from counterpoise.planning import names, study, tuned
from counterpoise.planning import plan as planning
from counterpoise.planning.yaml_files import BYTES, DEPTH, VALUES, read_yaml

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)
YAML = {
    "deep lists": ("[" * 100_000, f"line 1: not valid YAML: nested more than {DEPTH} deep"),
    "deep mappings": ("{a: " * 100_000, f"nested more than {DEPTH} deep"),
    "deep blocks": ("- " * 100_000, f"nested more than {DEPTH} deep"),
    "an alias in itself": ("a: &x [*x]", "line 1: not valid YAML: alias *x stands inside what it names"),
    "aliases that double each other": (BOMB, f"line 5: not valid YAML: more than {VALUES:,} values"),
    "many values": ("a: [" + "1, " * VALUES + "1]", f"more than {VALUES:,} values"),
    "a large file": ("#" * (BYTES + 1), f"{BYTES + 1:,} bytes, expected {BYTES:,} at most"),
    "a long integer": ("a: -1" + "0" * 5000, "line 1: not valid YAML: integer of 5,001 digits, expected 18 at most"),
    "a key twice": ("a: 1\nb: {c: 1, c: 2}", "line 2: not valid YAML: key 'c' is there twice"),
    "a long key twice": (f"? {'k' * 999}\n? {'k' * 999}", f"key '{'k' * 60}' is there twice"),
    "a key that is a list": ("? [a, b]\n: 1", "key is not a text (put quotes around it)"),
    "a tag": ("a: !!int x", "tag tag:yaml.org,2002:int is not allowed; quotes make a text"),
    "an object": ("a: !!python/object/apply:os.system [id]", "python/object/apply:os.system is not allowed"),
    "tabs": ("a:\n\tb: 1", "line 2: not valid YAML: found a tab; indent with spaces"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: not valid YAML: but found another document"),
    "a control character": ("a: \0", "not valid YAML: unacceptable character"),
    "an unknown alias": ("a: *x", "not valid YAML: found undefined alias"),
    "half a surrogate": (r'a: "\ud800"', "not valid YAML: found invalid Unicode character escape code"),
    "not UTF-8": (b"a: \xff", "not UTF-8 text (invalid start byte at byte 3)"),
}


def message_of(call, *arguments) -> str:
    """Return the one line with which a call refuses its arguments, in well under a second."""
    began = time.process_time()
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert time.process_time() - began < 1
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize("name", YAML)
def test_a_file_beyond_reason_is_refused_in_one_line(name, tmp_path):
    text, expected = YAML[name]
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert message_of(read_yaml, path).startswith(str(path))
    assert expected in message_of(read_yaml, path)


def test_what_is_within_the_limits_is_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("\ufeffa: &x [1, -2, 1e3, 999999999999999999]\nb: *x\nc: " + "[" * (DEPTH - 1) + "]" * (DEPTH - 1))
    assert read_yaml(path)["b"] == [1, -2, 1000.0, 999999999999999999]


def test_a_file_that_is_none_is_named(tmp_path):
    assert message_of(read_yaml, tmp_path) == f"{tmp_path}: is a folder, expected a YAML file"
    assert message_of(read_yaml, tmp_path / "a") == f"{tmp_path / 'a'}: no such file"


BAD = ("007", "1e5", "2024", "a b", "$(touch x)", "a;b", "../a", "-a", "", "é", "a\nb", "a" * 65, "a.b", "<b>", "a|b")


@pytest.mark.parametrize("name", [*BAD, "all", "YES", "no", "null", "true", "NaN", "inf", "Infinity"])
def test_a_name_that_a_shell_or_snakemake_would_misread_is_refused_with_one_that_is_right(name):
    message = message_of(names.check, name, "study", "x")
    _, _, suggested = message.rpartition("write ")
    names.check(suggested.strip("'"), "study", "x")
    assert message.startswith("x: study '")


@pytest.mark.parametrize("name", ["buda2018_step", "a", "churn-2026", "A1", "all_knn", "none", "a" * 64])
def test_a_plain_name_is_taken(name):
    names.check(name, "study", "x")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with one study; tests change a copy of its configuration's text."""
    return small_project.make(tmp_path_factory.mktemp("bad") / "project", {"baseline": {}})


STUDY = "studies/test2026_small.yaml"
CHANGED = [  # file, text that is replaced, what it is replaced by, message
    (STUDY, "seeds: 2", "seeds: 1000000000000", "seeds: found 1000000000000, expected none beyond 10,000"),
    (STUDY, "seeds: 2", "seeds: {first: 1000000000000, count: 2}", "expected none beyond 10,000"),
    (STUDY, "seeds: 2", "seeds: 2\ngrid: [{rows: [" + "1, " * 20_000 + "2]}]", "grid: 20,001 points, expected 10,000"),
    (
        STUDY,
        "seeds: 2",
        "seeds: 2\ngrid: [{" + ", ".join(f"{k}: {list(range(100))}" for k in ("rows", "validation", "a", "b")) + "}]",
        "grid: 100,000,000 points, expected 10,000 at most",
    ),
    (STUDY, "  baseline: {}", "  a b: {}", "case 'a b': expected a letter, then letters, digits, `_` or `-`, 64"),
    (STUDY, "  baseline: {}", "  $(id): {}", "case '$(id)': expected a letter"),
    (STUDY, "  smoke: {}", "  ../smoke: {}", "scale '../smoke': expected a letter"),
    (STUDY, "  smoke: {}", "  smoke: {}\n  yes: {}", "scale 'yes': means something else; write 'data-yes'"),
    (STUDY, "  paper: none", '  paper: none\n  url: "javascript:alert(1)"', "source, url: expected a link that begins"),
    (
        STUDY,
        "  paper: none",
        "  paper: none\n  code: ftp://x",
        "source, code: expected a link that begins with https://",
    ),
    (STUDY, "  paper: none", '  paper: none\n  url: https://x/"onclick', "source, url: expected a link"),
    (STUDY, "metric: balanced_accuracy", "metric: acuracy", "primary.metric: unknown metric 'acuracy'; did you mean"),
    ("bases/tiny.yaml", "block: 2", "block: 1000000000000", "block: expected less than or equal to 10000"),
    ("config.yaml", "scale: smoke", "scale: smoek", "no scale 'smoek'; did you mean 'smoke'?"),
    ("config.yaml", "scale: smoke", "scale: " + "[" * 100_000, "config/config.yaml, line 1: not valid YAML: nested"),
    ("config.yaml", "studies:\n- test2026_small", "studies: 7", "studies: expected a text or a list; found 7"),
]


@pytest.mark.parametrize(("file", "old", "new", "expected"), CHANGED, ids=lambda text: text[:40])
def test_check_refuses_it_in_one_line_and_writes_nothing(
    file, old, new, expected, project, tmp_path, monkeypatch, capsys
):
    for path in (project / "config").rglob("*.yaml"):
        copy = tmp_path / path.relative_to(project)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text())
    changed = tmp_path / "config" / file
    assert old in changed.read_text()
    changed.write_text(changed.read_text().replace(old, new))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.startswith("error: config")
    assert message.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "name", ["007", "2024", "1e5", "all", "all_things", "null", "$(touch injected)", "; touch injected #", "a b"]
)
def test_a_study_file_of_a_bad_name_stops_everything_before_it_is_read(name, tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / f"{name}.yaml").write_text("[" * 100_000)
    for call in (study.available, lambda config: study.select("all", config)):
        assert "name the file '" in message_of(call, tmp_path)


@pytest.mark.parametrize("name", ["007", "2024", "1e5", "all", "yes", "null", "nan"])
def test_data_whose_file_name_would_be_misread_get_another_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.csv").write_text("a,b\n1,x\n")
    assert main(["new", f"{name}.csv", "--target", "b"]) == 2
    assert capsys.readouterr().err.endswith(f"; write --name 'data-{name}'\n")
    assert main(["new", f"{name}.csv", "--target", "b", "--name", name]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.csv"]


TUNED = [
    ("", "expected a mapping, found null"),
    ("[]", "expected a mapping, found []"),
    ("case: {}", "unknown key 'case'; did you mean 'cases'?"),
    ("cases: [a]", 'cases: expected a mapping; found ["a"]'),
    ("cases: {a: {chosen: {}}, b: {chosen: {}}}", "cases: unknown case 'b'"),
    ("cases: {a: {}}", "case a: missing key 'chosen'"),
    ("cases: {a: {chosen: lr}}", "case a, chosen: expected a mapping"),
    ("cases: {a: {chosen: {finetune.optimizer.lr: x}}}", None),  # an option of a method that this layer does not name
    ("cases: {a: {chosen: {finetune.steps: x}}}", 'case a, finetune, steps: expected a whole number; found "x"'),
    ("cases: {a: {chosen: {finetune..steps: 1}}}", "case a, finetune: unknown key ''"),
    ("cases: {a: {chosen: {finetune.loss: focal, finetune.loss.gama: 1}}}", None),
    ("cases: {a: {chosen: {finetune: 1, finetune.steps: 1}}}", "case a, finetune: expected a mapping, found 1"),
    ("cases: {a: {chosen: {steps: 1}}}", "case a: unknown key 'steps'"),
]


@pytest.mark.parametrize(("text", "expected"), TUNED)
def test_a_file_of_choices_is_checked_as_every_other(text, expected, tmp_path):
    path = tmp_path / "tuned" / "x.yaml"
    path.parent.mkdir()
    path.write_text(text)
    if expected is None:  # whole recipes are resolved, and refuse it there
        assert tuned.read("x", ["a"], tmp_path)["a"]["finetune"]
    else:
        assert message_of(tuned.read, "x", ["a"], tmp_path).startswith(str(path))
        assert expected in message_of(tuned.read, "x", ["a"], tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"studies": 7}, "config.yaml or --config, studies: expected a text or a list; found 7"),
        ({"scale": 1e5}, "scale: expected a text; found 100000.0"),
        (
            {"scale": 10**5000},
            "lists and mappings; found int too long to show",
        ),
        ({"config": "x"}, "unknown key 'config'"),
        ({"studeis": "x"}, "unknown key 'studeis'; did you mean 'studies'?"),
    ],
)
def test_what_snakemake_is_given_is_checked_as_the_file_is(given, expected, project):
    assert expected in message_of(study.settings, given, project / "config")


MANY = [f"method_{i}" for i in range(40)]


@pytest.mark.parametrize(
    ("name", "valid", "listed", "expected"),
    [
        ("smaal", ["small", "smoke"], "", "; did you mean 'small'? (valid: small, smoke)"),
        ("x", [], "", " (valid: none)"),
        ("metod_7", MANY, "", "; did you mean 'method_7'? (or 'method_37', 'method_27'; 40 are valid)"),
        ("metod_7", MANY, "`x`", "; did you mean 'method_7'? (or 'method_37', 'method_27'; `x` lists all 40)"),
        ("zzz", MANY, "`x`", " (`x` lists all 40)"),
        ("z" * 10**6, MANY, "`x`", " (`x` lists all 40)"),
    ],
)
def test_of_many_names_the_three_nearest_are_shown_and_what_lists_them(name, valid, listed, expected):
    assert nearest(name, valid, listed) == expected


@pytest.mark.parametrize("kind", ["losses", "studies", "bases", "metrics"])
def test_names_are_listed_by_kind(kind, capsys):
    assert main(["names", kind]) == 0
    listed = capsys.readouterr().out.split()
    assert listed == sorted(set(listed))
    usual = {"losses": "focal", "studies": "buda2018_ratio", "bases": "digits_mlp", "metrics": "balanced_accuracy"}
    assert usual[kind] in listed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["names", "lose"], "unknown kind 'lose'; did you mean 'losses'? (`counterpoise names` lists all 20)"),
        (["export", "x", "--to", "y"], "no study 'x' in config/studies (`counterpoise names studies` lists all"),
        (["plan", "--studies", "buda201"], "did you mean 'buda2018'? (or 'buda2018_"),
        (["synthesise", "--scale", "../x"], "synthesise: scale '../x': expected a letter"),
        (["finetune", "$(id)", "seeds-00-04"], "no finetune cell '$(id)' in"),
    ],
)
def test_a_command_names_what_is_near_and_what_lists_the_rest(words, expected, capsys, monkeypatch):
    monkeypatch.setattr(planning, "read", planning.Plan)
    assert main(words) == 2
    message = capsys.readouterr().err
    assert expected in message
    assert message.count("\n") == 1
    assert len(message) < 200


def test_rules_quote_whatever_they_put_into_a_shell():
    lines = [line for path in (small_project.ROOT / "rules").glob("*.smk") for line in path.read_text().splitlines()]
    commands = [line for line in lines if "python -m counterpoise" in line]
    assert len(commands) == 6
    assert all(field.endswith(":q") for line in commands for field in re.findall(r"{(.*?)}", line))
