"""Generated files are what the code and the lock would write now, and the schema accepts exactly what is meant."""

import dataclasses
import json
import re

import jsonschema
import pytest

from counterpoise import registry
from counterpoise.devtools import __main__ as devtools
from counterpoise.devtools import documents
from counterpoise.errors import UserError
from counterpoise.judging import claims
from counterpoise.planning import study
from counterpoise.planning.yaml_files import read_yaml
from counterpoise.report import words

SCHEMA = json.loads(documents.schema())


def test_generated_files_are_up_to_date():
    generated = devtools.generated()
    assert {"README.md", "configuration.md", "train.yaml"} <= {path.name for path in generated}
    stale = [path.name for path, text in generated.items() if not devtools.is_current(path, text)]
    assert not stale, "run `make docs envs`"


def test_every_key_of_a_claim_is_explained():
    named = {*claims.COMMON, "form", *(k for keys in claims.FORMS.values() for k in keys)}
    named |= {k for keys in claims.OPTIONAL.values() for k in keys}
    assert named == documents.CLAIM_KEYS.keys()
    assert claims.FORMS.keys() == documents.FORMS.keys()


def test_the_checklist_names_what_there_is_and_every_metric():
    named = set(re.findall(r"`([a-z0-9_]+)`", (devtools.ROOT / "docs" / "checklist.md").read_text("utf-8")))
    methods = {name for kind in registry.KINDS for name in registry.names(kind)}
    assert named - methods - set(words.METRICS) == {"review2022"}
    assert set(words.METRICS) <= named


def test_every_environment_pins_what_its_jobs_record():
    texts = devtools.environments()
    assert len(texts) == 3
    for text in texts.values():
        assert "  - python=3.11\n" in text
        assert "+cpu" not in text
    assert "torch==" not in next(t for p, t in texts.items() if p.stem == "data")


def test_the_schema_accepts_every_study():
    cls = jsonschema.validators.validator_for(SCHEMA)
    cls.check_schema(SCHEMA)
    accepting = cls(SCHEMA)  # `jsonschema.validate` would check the schema again for every study
    refused = [name for name, path in study.available().items() if not accepting.is_valid(read_yaml(path))]
    assert len(study.available()) > 50
    assert not refused


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("titel", "x"),
        ("seeds", "five"),
        ("cases", {"a": {"sample": "oversampling"}}),
        ("cases", {"a": {"sample": {"name": "random_oversampling", "ration": 1}}}),
        ("claims", [{"text": "x", "form": "beter"}]),
        ("scales", {"smoke": {"sedes": 5}}),
    ],
)
def test_the_schema_refuses_a_fault(key, value):
    content = read_yaml(next(iter(study.available().values()))) | {key: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, SCHEMA)


def test_an_option_without_its_docstring_is_named():
    @dataclasses.dataclass(frozen=True)
    class Method:
        epsilon: float = 1.0
        """Weight of the added term."""
        tau: float = 1.0

    with pytest.raises(UserError, match="Method: `tau` has no docstring on the line under it"):
        documents.field_docs(Method)
