"""Every method file, found by itself, keeps its contract: its form. What each kind must do: test_contract_kinds.py.

.venv/bin/python -m pytest -n 0 tests/test_contract.py
"""

import ast
import dataclasses
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import pytest
from annotated_types import Interval

import counterpoise
from counterpoise import registry
from counterpoise.errors import UserError
from counterpoise.planning import config

FOLDER = Path(counterpoise.__file__).parent / "methods"
METHODS = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]
LINES = ("Source", "Shapes", "Units", "Raises", "Differs from the source")
every_method = pytest.mark.parametrize(("kind", "name"), METHODS)
FIELDS = [(kind, name, field) for kind, name in METHODS for field in registry.options(kind, name)]
every_field = pytest.mark.parametrize(("kind", "name", "field"), FIELDS)


def source(kind, name):
    return (FOLDER / kind / f"{name}.py").read_text(encoding="utf-8")


def hint_of(kind, name, field):
    return get_type_hints(registry.method(kind, name), include_extras=True)[field]


# Files -------------------------------------------------------------------------------------------------------


def test_every_folder_that_holds_methods_is_a_kind():
    found = {p.parent.name for p in FOLDER.glob("*/*.py") if re.search(r"^class Method\b", p.read_text(), re.M)}
    assert found == set(registry.KINDS)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_kind_has_methods_and_its_folder_says_what_they_must_do(kind):
    assert registry.names(kind)
    doc = ast.get_docstring(ast.parse(source(kind, "__init__"))) or ""
    assert "ethod" in doc
    assert "->" in doc or "read(" in doc, "the contract is a signature"
    tensors = re.search(r"_[BCDFHNMPVW]{1,4}\b", doc)
    assert not tensors or re.search(r"(Legend|Shapes): ", doc), "shape suffixes need a legend"


@every_method
def test_the_docstring_is_a_sentence_and_five_lines(kind, name):
    doc = ast.get_docstring(ast.parse(source(kind, name))) or ""
    starts = [doc.find(f"\n{line}: ") for line in LINES]
    assert all(at > 0 for at in starts), f"missing: {[li for li, at in zip(LINES, starts, strict=True) if at < 0]}"
    assert starts == sorted(starts), f"expected the order {LINES}"
    sentence = " ".join(doc[: starts[0]].split())
    assert re.fullmatch(r"[A-Z].*[.?]", sentence)
    assert not re.search(r"[.?!] [A-Z]", sentence), f"expected one sentence, found: {sentence}"
    for begin, end in zip(starts, [*starts[1:], len(doc)], strict=True):
        assert doc[begin:end].partition(": ")[2].strip(), "a line says nothing"


@every_method
def test_method_is_a_frozen_dataclass_with_a_version(kind, name):
    cls: Any = registry.method(kind, name)
    assert cls.__name__ == "Method"
    assert "__dataclass_params__" in vars(cls), "expected @dataclass(frozen=True)"
    assert cls.__dataclass_params__.frozen
    assert "version" in vars(cls)
    assert type(cls.version) is int
    assert cls.version >= 1
    assert get_type_hints(cls)["version"] == ClassVar[int]


@every_method
def test_class_and_public_methods_say_what_they_do(kind, name):
    cls = registry.method(kind, name)
    public = [f for n, f in vars(cls).items() if inspect.isfunction(f) and (n == "__call__" or not n.startswith("_"))]
    member: Any
    for member in [cls, *public]:
        assert inspect.cleandoc(member.__doc__ or "").endswith("."), f"{member.__qualname__} has no docstring"


@every_method
def test_at_its_defaults_a_method_adds_nothing_to_the_identity_of_a_cell(kind, name):
    version = registry.method(kind, name).version
    spec = {"name": name, **registry.options(kind, name)}
    found = config.canonical_method(kind, json.loads(json.dumps(spec)))
    for option, inner in registry.nested_kinds(kind, name).items():  # there also the version of the inner one counts
        default = spec[option]["name"]
        assert found.pop(option)["name"] == f"{default}@{registry.method(inner, default).version}"
    assert found == {"name": f"{name}@{version}"}


# Fields ------------------------------------------------------------------------------------------------------


@every_field
def test_a_field_is_documented_below_it(kind, name, field):
    tree = ast.parse(source(kind, name))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Method").body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == field:
            assert isinstance(after, ast.Expr), "expected a docstring under the field"
            assert isinstance(after.value, ast.Constant)
            assert re.fullmatch(r"(?s)[A-Z].*\.", str(after.value.value).strip())
            return
    pytest.fail("the field is not a statement of the class")


@every_field
def test_a_field_is_typed_and_its_default_is_what_json_can_hold_and_its_type_allows(kind, name, field):
    default = registry.options(kind, name)[field]
    json.dumps(default, allow_nan=False)
    assert default is not dataclasses.MISSING
    assert config.check(hint_of(kind, name, field), default, "default") == default


def constraints(hint):
    """Return the constraints of a type, those of its parts included."""
    inner = [c for part in get_args(hint) for c in constraints(part)] if get_origin(hint) is not Literal else []
    return inner + (list(hint.__metadata__) if get_origin(hint) is Annotated else [])


def numeric(hint):
    return hint in (int, float) or (get_origin(hint) is not Literal and any(map(numeric, get_args(hint))))


@pytest.mark.parametrize(("kind", "name", "field"), [f for f in FIELDS if numeric(hint_of(*f))])
def test_a_number_has_a_range_that_is_enforced(kind, name, field):
    hint = hint_of(kind, name, field)
    assert constraints(hint), "a number without a range lets nonsense through"
    bounded = next(c for c in constraints(hint) if hasattr(c, "ge") or hasattr(c, "gt"))
    bounds: list[Any] = [getattr(bounded, side, None) for side in ("ge", "gt")]
    lowest = bounds[0] if bounds[0] is not None else bounds[1]
    for wrong in (lowest - 1, float("nan"), True, "1"):
        with pytest.raises(UserError, match="expected"):
            config.check(hint, wrong, "here")


@every_field
def test_a_type_is_one_that_a_configuration_can_say(kind, name, field):
    def leaves(hint):
        if get_origin(hint) is Literal:
            return {type(value) for value in get_args(hint)}
        parts = [part for part in get_args(hint) if part is not Ellipsis and not isinstance(part, Interval)]
        if get_origin(hint) is Annotated:
            parts = parts[:1]
        return set().union(*map(leaves, parts)) if parts else {hint}

    if field in registry.nested_kinds(kind, name):
        assert hint_of(kind, name, field) is dict
        return
    assert leaves(hint_of(kind, name, field)) <= {int, float, str, bool, NoneType}


# Imports -----------------------------------------------------------------------------------------------------


def imported(kind, path):
    """Return all dotted names that a file imports, wherever in it, as they would read from the top."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("kind", registry.KINDS)
def test_a_kind_knows_its_own_private_modules_only(kind):
    for path in (FOLDER / kind).glob("*.py"):
        for dotted in imported(kind, path):
            if not dotted.startswith("counterpoise."):
                continue
            room, _, rest = dotted.removeprefix("counterpoise.").partition(".")
            other, _, member = rest.partition(".")
            allowed = room not in ("methods", "stages", "commands", "tracking", "report")
            mine = room == "methods" and other == kind and member.partition(".")[0] not in registry.names(kind)
            assert allowed or mine, f"{path.name} imports {dotted}: name other methods through counterpoise.registry"


def test_what_makes_the_data_needs_no_torch_and_nothing_imports_at_the_top_what_is_slow():
    # measured: torch 2 s, pandas, scikit-learn and torchmetrics 3 to 5 s for each of thousands of jobs
    code = """
import sys
from counterpoise import registry
def load(kinds):
    for kind in kinds:
        for name in registry.names(kind):
            registry.method(kind, name)
first = ("datasets", "imbalance", "samplers")
load(first)
assert "torch" not in sys.modules, "torch"
load(kind for kind in registry.KINDS if kind not in first)
slow = {"pandas", "sklearn", "scipy", "torchmetrics", "matplotlib", "mlflow", "pyarrow"} & set(sys.modules)
assert not slow, slow
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
