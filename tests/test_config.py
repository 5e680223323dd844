"""Every fault of a configuration file is one line that names file, key, what was found and what was expected."""

import copy

import pytest
import yaml

from counterpoise.checking import preflight
from counterpoise.errors import UserError
from counterpoise.planning import study
from counterpoise.planning.config import merge
from counterpoise.planning.plan import Plan
from counterpoise.planning.yaml_files import read_yaml

BASE = {
    "block": 5,
    "data": "digits",
    "model": "mlp",
    "pretrain": {"steps": 20, "batch_size": 8},
    "finetune": {"steps": 30, "batch_size": 8, "optimizer": {"name": "sgd", "lr": 0.1}},
}
STUDY = {
    "title": "A study",
    "source": {"paper": "A paper"},
    "base": "small",
    "cases": {"baseline": None, "ros": {"sample": "random_oversampling"}},
    "grid": [{"imbalance": "step", "imbalance.mu": 0.5, "imbalance.minority_count": [5, 20]}],
    "seeds": 5,
    "primary": {"metric": "accuracy"},
    "reference": [{"case": "ros", "at": {"minority_count": 5}, "value": 0.9}],
    "claims": [{"text": "Better", "form": "better", "A": "ros", "B": "baseline", "margin": 0.01, "scope": "scaled"}],
    "scales": {"smoke": None},
}


@pytest.fixture
def write(tmp_path):
    """Write a base and a study, with one place of either replaced."""
    for folder in ("bases", "studies"):
        (tmp_path / folder).mkdir()

    def writer(place=(), value=None, base=BASE, text=None):
        content = copy.deepcopy(STUDY)
        held = content
        for key in place[:-1]:
            held = held[key]
        if place:
            held[place[-1]] = value
        (tmp_path / "bases" / "small.yaml").write_text(base if isinstance(base, str) else yaml.safe_dump(base))
        (tmp_path / "studies" / "a2000_b.yaml").write_text(text or yaml.safe_dump(content, sort_keys=False))
        return tmp_path

    return writer


def check(config, scale="smoke"):
    plan = Plan()
    plan.add(study.load("a2000_b", scale, config))
    preflight.check_plan(plan)
    return plan


def fault(config, scale="smoke"):
    with pytest.raises(UserError) as caught:
        check(config, scale)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{config}/", "")


def test_the_study_itself_is_sound(write):
    assert len(check(write()).studies["a2000_b.smoke"]["entries"]) == 4


SOUND = [
    {"validation": 5, "finetune": {"method": "selmix"}},
    {"unlabelled": {"per_class": 10}, "finetune": {"semi_supervised": "daso"}},
    {"ensemble": "plain_average", "finetune": {"mixing": {"name": "manifold_mixup", "last": 0}}},
    {"data": "breast_cancer", "finetune": {"method": {"name": "srat", "attack": "none"}, "mixing": "none"}},
    {"ensemble": {"name": "ride", "scale": 30.0}, "finetune": {"loss": "ldam", "method": "drw"}},
]


@pytest.mark.parametrize("case", SOUND, ids=str)
def test_what_only_looks_like_a_contradiction_is_sound(write, case):
    check(write(("cases", "ros"), case))


DROP = object()
RIDE = {"name": "ride", "base": "ldam", "scale": 30.0}
FAULTS = [
    # structure
    (("titel",), "x", "studies/a2000_b.yaml: unknown key 'titel'; did you mean 'title'?"),
    (("title",), 3, "studies/a2000_b.yaml, title: expected a text; found 3"),
    (("source",), "a paper", "studies/a2000_b.yaml, source: expected"),
    (("cases",), None, "studies/a2000_b.yaml, cases: expected a mapping"),
    (("cases",), {}, "cases: expected"),
    (("cases",), ["baseline"], "cases: expected a mapping"),
    (("cases", "ros"), "random_oversampling", "cases[ros]: expected a mapping"),
    (("cases", "ros"), {"sampler": "none"}, "case ros: unknown key 'sampler'; did you mean 'sample'?"),
    (("claims",), {"text": "x"}, "claims: expected a list"),
    (("claims",), ["x"], "claims[0]: expected a mapping"),
    (("scales",), {}, "scales: expected"),
    (("scales", "smoke"), {"seed": 5}, "scales, smoke: unknown key 'seed'; did you mean 'seeds'?"),
    (("scales", "smoke"), {"only": ["bros"]}, "scales, smoke, only: unknown case 'bros'; did you mean 'ros'?"),
    (("scales", "smoke"), {"cases": {"bros": {}}}, "scales, smoke, cases: unknown case 'bros'"),
    (("scales", "smoke"), {"config": {"modle": "cnn"}}, "scales, smoke, config: unknown key 'modle'; did you mean"),
    (("base",), "smal", "base: unknown base 'smal'; did you mean 'small'?"),
    (("primary",), {"metrik": "accuracy"}, "primary: unknown key 'metrik'; did you mean 'metric'?"),
    (("primary",), {}, "primary: missing key 'metric'"),
    (("primary", "selection"), "first", "primary, selection: expected 'last'"),
    (("primary", "metric"), "acuracy", "acuracy"),
    (("gate",), {"oracle": "oracel", "baseline": "baseline"}, "gate, oracle: unknown case 'oracel'"),
    (("gate",), {"oracle": "ros", "base": "baseline"}, "gate: unknown key 'base'; did you mean 'baseline'?"),
    # seeds
    (("seeds",), 0, "seeds: expected a number of 1 or more"),
    (("seeds",), "five", 'seeds: expected a whole number or a mapping; found "five"'),
    (("seeds",), 7, "seeds: 7 does not fill blocks of 5 (the base's `block`), aligned at 0; write 10"),
    (("seeds",), {"first": 3, "count": 5}, 'write {"first": 0, "count": 5}'),
    (("seeds",), {"start": 0, "count": 5}, "seeds: unknown key 'start'"),
    # grid
    (("grid",), {"imbalance": "step"}, "grid: expected a list"),
    (("grid",), [["imbalance"]], "grid[0]: expected a mapping"),
    (("grid", 0, "imbalence.rho"), 5, "grid: unknown key 'imbalence'; did you mean 'imbalance'?"),
    (("grid", 0, "imbalance.roh"), 5, "imbalance: step has no option 'roh'; did you mean 'rho'?"),
    (("grid", 0, "imbalance.minority_count"), [], "grid, imbalance.minority_count: expected one value or more"),
    (("grid", 0, "imbalance.minority_count"), [5, 5], "minority_count=5'; expected each combination of values once"),
    (("grid", 0, "imbalance.minority_count"), [None], "expected a number, a text or a list of them, found null"),
    (
        ("grid", 0, "imbalance.minority_count"),
        "five",
        'imbalance.minority_count: expected a whole number; found "five"',
    ),
    (("grid", 0, "imbalance.mu"), 1.5, "imbalance.mu: expected less than 1; found 1.5"),
    # values and methods, told where they stand
    (("cases", "ros"), {"sample": "oversampling"}, "did you mean 'random_oversampling'?"),
    (("cases", "ros"), {"sample": {"name": "random_oversampling", "ration": 2}}, "no option 'ration'; did you mean"),
    (("cases", "ros"), {"sample": 3}, "case ros, sample: expected a method, as a name or {name: ..., option: ...}"),
    (("cases", "ros"), {"sample": {"name": ["x"]}}, "case ros, sample: expected a method"),
    (("cases", "ros"), {"finetune": "fast"}, "case ros, finetune: expected a mapping"),
    (
        ("cases", "ros"),
        {"finetune": {"steps": "many"}},
        'case ros, finetune, steps: expected a whole number; found "many"',
    ),
    (("cases", "ros"), {"finetune": {"steps": 0}}, "case ros, finetune, steps: expected greater than or equal to 1"),
    (
        ("cases", "ros"),
        {"finetune": {"steps": True}},
        "case ros, finetune, steps: expected a whole number; found true",
    ),
    (("cases", "ros"), {"label_noise": 1.0}, "case ros, label_noise: expected less than 1"),
    (("cases", "ros"), {"label_noise": float("nan")}, "cases: expected finite numbers"),
    (("cases", "ros"), {"model": {"name": "mlp", "hidden": [64, 0]}}, "model.hidden[1]: expected greater"),
    (("cases", "ros"), {"imbalance": {"rho": 10}}, "case ros, imbalance: natural has no option 'rho'"),
    # what only the whole study shows
    (("cases", "ros"), {"model": "lenet5"}, "model: lenet5 does not fit digits (1x8x8)"),
    (("cases", "ros"), {"data": {"name": "digits", "pool": 3}}, "pool"),
    (
        ("cases", "ros"),
        {"evaluate": {"rebalancing": "temperature_scaling"}},
        "is fitted on a validation part and there",
    ),
    (
        ("cases", "ros"),
        {"ensemble": RIDE, "finetune": {"loss": "focal"}},
        "minority_count=5, finetune: ride with `base` ldam brings its own loss: leave `loss` at cross_entropy",
    ),
    (("cases", "ros"), {"ensemble": RIDE, "finetune": {"method": "drw"}}, "finetune: ride with `base` ldam weighs"),
    (
        ("cases", "ros"),
        {"ensemble": "ride", "finetune": {"loss": "ldam"}},
        "finetune: ride has `scale` 1 and loss ldam has 30: write scale: 30",
    ),
    (
        ("cases", "ros"),
        {"ensemble": {"name": "sade", "scale": 30.0}, "pretrain": {"method": "supervised"}},
        "pretrain: sade has `scale` 30 and loss cross_entropy has 1: write scale: 1",
    ),
    (("cases", "ros"), {"finetune": {"method": "ride_router"}}, "finetune: ride_router chooses among experts: name an"),
    (
        ("cases", "ros"),
        {"ensemble": RIDE, "finetune": {"method": "ride_router"}},
        "finetune: ride_router has `scale` 1 where `ensemble` and `loss` make 30",
    ),
    (("cases", "ros"), {"finetune": {"method": "selmix", "loss": "focal"}}, "finetune: selmix brings its own loss"),
    (
        ("cases", "ros"),
        {"ensemble": "plain_average", "finetune": {"mixing": "manifold_mixup"}},
        "finetune: manifold_mixup mixes hidden layers, of which experts have no one row: write `last: 0` or mixup",
    ),
    *(
        (
            ("cases", "ros"),
            {"data": "breast_cancer", stage: {key: name}},
            f"{stage}: {key}: {name} takes images and the data are a table; write {key}: {instead}",
        )
        for stage, key, name, instead in (
            ("finetune", "augmentation", "shift", "none"),
            ("finetune", "mixing", "cmo", "none"),
            ("finetune", "semi_supervised", "fixmatch", "none"),
            ("finetune", "method", "srat", "all_layers"),
            ("pretrain", "method", "rotation", "none"),
        )
    ),
    (
        ("cases", "ros"),
        {"finetune": {"method": "selmix"}},
        "finetune.method: selmix is fitted on a validation part and there is none; set validation or",
    ),
    *(
        (("cases", "ros"), {"finetune": given}, f"finetune: {name} needs unlabelled examples: set unlabelled.per_class")
        for name, given in (
            ("daso", {"semi_supervised": "daso"}),
            ("oasis_post_training", {"method": "oasis_post_training"}),
        )
    ),
    *(
        (("cases", "ros"), {**recipe, "finetune": {"attack": attack}}, f"finetune.attack: {said}")
        for recipe, attack, said in (
            ({}, {"epsilon": 4.0}, "says how to attack and not for how many steps; write steps"),
            (
                {"data": "breast_cancer", "model": "mlp"},
                {"steps": 5},
                "an attack changes pixels and breast_cancer",
            ),
            ({"data": "breast_cancer", "model": "decision_tree"}, {"steps": 5}, "decision_tree has no gradient"),
            ({"ensemble": "sade"}, {"steps": 5}, "sade is corrected expert by expert, and no"),
        )
    ),
    (("cases", "ros"), {"finetune": {"attack": {"steps": 5, "step_size": 0}}}, "expected greater than 0; found 0"),
    (("cases", "ros"), {"validation": 200}, "examples, 200 are asked"),
    (("grid", 0), {"imbalance": "step", "imbalance.rho": 1000}, "is left empty"),
    (("grid", 0, "imbalance.minority_count"), 5000, "minority_count=5000 exceeds"),
    # references and claims
    (("reference", 0, "case"), "rus", "reference 0, case: unknown case 'rus'"),
    (("reference", 0, "value"), "0.9", 'reference 0, value: expected a number; found "0.9"'),
    (("reference", 0, "sdd"), 0.1, "reference 0: unknown key 'sdd'; did you mean 'sd'?"),
    (("claims", 0, "A"), "rus", "claim 1: A: found 'rus'"),
    (("claims", 0, "A"), ["rus"], "claim 1: A: found ['rus']"),
    (("claims", 0, "frm"), "x", "claim 1: frm: unknown key"),
    (("claims", 0, "form"), "beter", "did you mean 'better'?"),
    (("claims", 0, "on"), {"muh": 0.5}, "claim 1: on: found 'muh'"),
    (("claims", 0, "on"), {"mu": 0.7}, "claim 1: on.mu: found 0.7"),
    (("claims", 0, "against"), [4], "claim 1: against: found 4, expected a position in `reference`"),
    (("claims", 0, "scope"), "scald", "did you mean 'scaled'?"),
]


@pytest.mark.parametrize(("place", "value", "expected"), FAULTS, ids=lambda v: None if callable(v) else str(v)[:40])
def test_a_fault_of_a_study_is_named(write, place, value, expected):
    assert expected in fault(write(place, value))


@pytest.mark.parametrize("key", ["title", "source", "base", "cases", "seeds", "primary", "claims", "scales"])
def test_a_missing_key_is_named(write, key):
    text = yaml.safe_dump({k: v for k, v in STUDY.items() if k != key})
    assert fault(write(text=text)) == f"studies/a2000_b.yaml: missing key '{key}'"


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("", "bases/small.yaml: expected a mapping, found null"),
        ("- 1", "bases/small.yaml: expected a mapping"),
        (BASE | {"block": "5"}, 'bases/small.yaml, block: expected a whole number; found "5"'),
        ({k: v for k, v in BASE.items() if k != "block"}, "bases/small.yaml: missing key 'block'"),
        (
            {k: v for k, v in BASE.items() if k != "model"},
            "case baseline at imbalance=step, mu=0.5, minority_count=5: miss",
        ),
        (BASE | {"finetune": {"batch_size": 8}}, "finetune: missing key 'steps' (a whole number)"),
        (BASE | {"modell": "mlp"}, "bases/small.yaml: unknown key 'modell'; did you mean 'model'?"),
        (BASE | {"model": "mpl"}, "bases/small.yaml, model: unknown models method 'mpl'; did you mean 'mlp'?"),
    ],
)
def test_a_fault_of_a_base_is_named(write, base, expected):
    assert expected in fault(write(base=base))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title: [a", "studies/a2000_b.yaml, line 2: not valid YAML"),
        ("title: a\ntitle: b", "studies/a2000_b.yaml, line 2: not valid YAML: key 'title' is there twice"),
        ("cases: {a: {sample: none, sample: none}}", "key 'sample' is there twice"),
        ("cases: {1: {}}", "key '1' is not a text (put quotes around it)"),
        ("title: !!python/name:os.system x", "not valid YAML"),
        ("just a text", 'expected a mapping, found "just a text"'),
        ("- a", "expected a mapping"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(write, text, expected):
    assert expected in fault(write(text=text))


def test_an_unknown_scale_or_study_names_the_nearest(write):
    config = write()
    assert fault(config, "smoek").endswith("no scale 'smoek'; did you mean 'smoke'? (valid: smoke)")
    with pytest.raises(UserError, match=r"unknown study 'a200'.*did you mean 'a2000'"):
        study.select("a200", config)
    for wanted in ([], 3, None, [["a"]]):
        with pytest.raises(UserError, match="studies: expected names"):
            study.select(wanted, config)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("studies: all", "missing key 'scale'"),
        ("studies: 3\nscale: smoke", "studies: expected a text or a list; found 3"),
        ("studies: all\nscale: smoke\nstudeis: x", "unknown key 'studeis'; did you mean 'studies'?"),
        ("studies: all\nscale: [smoke]", "scale: expected a text"),
    ],
)
def test_settings_are_checked(tmp_path, text, expected):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        study.settings(config=tmp_path)
    assert expected in str(caught.value)


def test_yaml_scalars_are_those_of_version_1_2(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("on: 1e-3\nno: yes\nday: 2018-10-01\nold: 010\nhalf: .5\nnone: ~\ntrue_: true\n")
    assert read_yaml(path) == {
        "on": 0.001, "no": "yes", "day": "2018-10-01", "old": "010", "half": 0.5, "none": None, "true_": True,
    }  # fmt: skip


def test_naming_another_method_drops_the_options_of_the_old_one():
    lower = {"finetune": {"optimizer": {"name": "sgd", "lr": 0.1}, "steps": 3}}
    assert merge(lower, {"finetune": {"optimizer": {"lr": 0.2}}})["finetune"]["optimizer"] == {"name": "sgd", "lr": 0.2}
    assert merge(lower, {"finetune": {"optimizer": {"name": "adam"}}})["finetune"] == {
        "optimizer": {"name": "adam"},
        "steps": 3,
    }


def test_a_scale_leaves_out_claims_on_cases_that_it_leaves_out(write):
    config = write(("scales", "smoke"), {"only": ["baseline"]})
    assert study.load("a2000_b", "smoke", config).claims == []


@pytest.mark.parametrize(
    ("part", "expected"), [({"mu": 0.5}, 1), ({"minority_count": [5, 20]}, 1), ({"mu": 0.7}, None)]
)
def test_a_scale_leaves_out_claims_on_a_part_of_the_grid_that_it_lacks(write, part, expected):
    config = write(("claims", 0, "on"), part)
    path = config / "studies" / "a2000_b.yaml"
    content = yaml.safe_load(path.read_text())
    content["scales"]["pilot"] = {"grid": [{"imbalance": "step", "imbalance.rho": 10, "imbalance.mu": [0.2, 0.3]}]}
    path.write_text(yaml.safe_dump(content))
    for scale, left in (("smoke", expected), ("pilot", None if expected is None else 0)):
        if left is None:
            assert "claim 1: on.mu: found 0.7" in fault(config, scale), "a slip is told at every scale"
        else:
            assert len(check(config, scale).studies[f"a2000_b.{scale}"]["claims"]) == left


def test_every_study_of_the_repository_is_sound():
    for name in study.available():
        for scale in study.scales(name):
            plan = Plan()
            plan.add(study.load(name, scale))
            for about in plan.studies.values():
                preflight.check_study(about)


@pytest.mark.parametrize(
    ("scale", "patch", "own", "found"),
    [
        ("small", {"scope": "scaled"}, "as_published", "scaled"),
        ("small", {"scope": "scaled"}, "analogue", "analogue"),
        ("small", {"scope": "scaled"}, None, "scaled"),
        ("small", None, "as_published", "as_published"),
        ("full", {"scope": "as_published"}, "as_published", "as_published"),
        ("full", {"scope": "as_published"}, "scaled", "scaled"),
        ("smoke", None, "as_published", "analogue"),
        ("smoke", {"scope": "scaled"}, "as_published", "scaled"),
        ("pilot", None, "scaled", "analogue"),
    ],
)
def test_a_claim_has_the_lower_of_its_own_scope_and_the_scales(scale, patch, own, found, write):
    claim = {k: v for k, v in STUDY["claims"][0].items() if k != "scope"} | ({"scope": own} if own else {})
    content = {**STUDY, "claims": [claim], "controls": [claim], "scales": {scale: patch}}
    config = write(text=yaml.safe_dump(content))
    made = study.load("a2000_b", scale, config)
    assert [c["scope"] for c in (*made.claims, *made.controls)] == [found, found]


def test_a_scale_has_one_of_the_three_scopes(write):
    assert "scales, smoke, scope" in fault(write(("scales", "smoke"), {"scope": "scald"}))
