"""The plan: ids change with what may change numbers, and with nothing else."""

import dataclasses
import json
import subprocess
import sys
import time
from typing import ClassVar

import pytest
import yaml

from counterpoise import registry
from counterpoise.checking import preflight
from counterpoise.errors import UserError
from counterpoise.planning import plan as planning
from counterpoise.planning import schema, study

BASE = {
    "block": 5,
    "data": "digits",
    "model": "mlp",
    "imbalance": {"name": "step", "minority_count": 10},
    "pretrain": {"steps": 20, "batch_size": 8},
    "finetune": {"steps": 30, "batch_size": 8},
}
STAGES = planning.STAGES[:-1]


@pytest.fixture
def plan(tmp_path):
    """Plan one study on a base with changes laid over it; return its entries by (case, point) and the plan."""
    for folder in ("bases", "studies"):
        (tmp_path / folder).mkdir()

    def planned(cases=None, *, seeds=5, grid=None, base=None):
        content = {
            "title": "t",
            "source": {"paper": "p"},
            "base": "b",
            "cases": cases or {"baseline": None},
            "grid": grid or [{}],
            "seeds": seeds,
            "primary": {"metric": "accuracy"},
            "claims": [],
            "scales": {"smoke": None},
        }
        (tmp_path / "bases" / "b.yaml").write_text(yaml.safe_dump(base or BASE, sort_keys=False))
        (tmp_path / "studies" / "a2000_b.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        made = planning.make("a2000_b", "smoke", tmp_path)
        entries = made.studies["a2000_b.smoke"]["entries"]
        return {(e["case"], e["point"]): {s: e[s] for s in STAGES} for e in entries}, made

    return planned


def ids(plan, changes=None):
    return plan({"baseline": changes})[0]["baseline", ""]


def changed(plan, changes, before=None):
    """Return the stages whose cell is another one with these changes."""
    before, after = ids(plan, before), ids(plan, changes)
    return [stage for stage in STAGES if before[stage] != after[stage]]


def test_an_option_at_its_default_changes_no_id(plan):
    explicit = {
        "label_noise": 0.0,
        "sample": {"name": "none"},
        "model": {"name": "mlp", "hidden": [64, 64]},
        "finetune": {"loss": "cross_entropy", "snapshots": 0, "optimizer": {"name": "sgd"}},
        "evaluate": {"rebalancing": "none"},
    }
    assert changed(plan, explicit) == []


def test_another_option_replans_its_subtree_only(plan):
    assert changed(plan, {"evaluate": {"rebalancing": "logit_adjustment"}}) == ["evaluate"]
    assert changed(plan, {"finetune": {"steps": 31}}) == ["finetune", "evaluate"]
    assert changed(plan, {"sample": "random_oversampling"}) == ["finetune", "evaluate"]
    assert changed(plan, {"imbalance": {"minority_count": 11}}) == ["sample", "finetune", "evaluate"]
    assert changed(plan, {"data": {"pool": 2}}) == ["preprocess", "sample", "finetune", "evaluate"]
    simclr = {"pretrain": {"method": "simclr"}}
    longer = {"pretrain": {"method": "simclr", "steps": 21}}
    assert changed(plan, longer, simclr) == ["pretrain", "finetune", "evaluate"]
    assert changed(plan, {"pretrain": {"steps": 21}}) == [], "pretraining that does not happen has no steps"


def test_a_sampler_that_needs_other_rows_is_part_of_the_sample(plan):
    assert changed(plan, {"sample": "oracle_balanced"}) == ["sample", "finetune", "evaluate"]


def test_changing_it_back_plans_nothing(plan):
    first = ids(plan)
    ids(plan, {"finetune": {"steps": 31}})
    assert ids(plan) == first


def test_equal_prefixes_are_one_cell(plan):
    simclr = {"pretrain": {"method": "simclr"}}
    cases = {
        "one": simclr,
        "two": {**simclr, "sample": "random_oversampling"},
        "three": {**simclr, "evaluate": {"rebalancing": "logit_adjustment"}},
    }
    entries, made = plan(cases)
    one, two, three = (entries[case, ""] for case in cases)
    assert one["pretrain"] == two["pretrain"] == three["pretrain"]
    assert one["finetune"] == three["finetune"] != two["finetune"]
    stages = [cell.stage for cell in made.cells.values()]
    assert [stages.count(s) for s in planning.STAGES] == [1, 1, 1, 2, 3, 1]


def test_more_seeds_add_blocks_and_no_cells(plan):
    few, many = plan(seeds=5)[1], plan(seeds=15)[1]
    for stage in STAGES:
        cells = [{c.name: c.blocks for c in made.cells.values() if c.stage == stage} for made in (few, many)]
        assert cells[0].keys() == cells[1].keys()
        for name, blocks in cells[0].items():
            assert cells[1][name][:1] == blocks == [[0, 4]]
            assert cells[1][name] == [[0, 4], [5, 9], [10, 14]]


def test_a_version_is_part_of_the_id_of_what_it_computes(plan, monkeypatch):
    ros = {"sample": "random_oversampling"}
    before = ids(plan, ros)
    monkeypatch.setattr(registry.method("samplers", "random_oversampling"), "version", 2)
    after = ids(plan, ros)
    assert [s for s in STAGES if before[s] != after[s]] == ["finetune", "evaluate"]
    monkeypatch.setitem(planning.VERSIONS, "sample", 2)
    assert [s for s in STAGES if ids(plan, ros)[s] != after[s]] == ["sample", "finetune", "evaluate"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_raised_version_of_a_stage_changes_its_ids_and_those_after_it_alone(plan, stage, monkeypatch):
    pretrained = {"pretrain": {"method": "simclr"}}
    before = ids(plan, pretrained)
    monkeypatch.setitem(planning.VERSIONS, stage, planning.VERSIONS[stage] + 1)
    after = ids(plan, pretrained)
    assert [s for s in STAGES if before[s] != after[s]] == list(STAGES[STAGES.index(stage) :])


def test_a_new_default_method_version_changes_ids_too(plan, monkeypatch):
    before = ids(plan)
    monkeypatch.setattr(registry.method("losses", "cross_entropy"), "version", 2)
    after = ids(plan)
    assert [s for s in STAGES if before[s] != after[s]] == ["finetune", "evaluate"]


def test_a_new_option_at_its_default_changes_no_id(plan, monkeypatch):
    before = ids(plan, {"sample": "random_oversampling"})

    @dataclasses.dataclass(frozen=True)
    class Method(registry.method("samplers", "random_oversampling")):
        version: ClassVar[int] = 1
        extra: float = 0.5

    real = registry.method
    monkeypatch.setattr(
        registry, "method", lambda kind, name: Method if name == "random_oversampling" else real(kind, name)
    )
    assert ids(plan, {"sample": "random_oversampling"}) == before


def test_ids_of_today_stay(plan):
    """An id that moves makes every result computed so far unreachable: raise a version instead, on purpose."""
    assert {stage: name.rpartition("-")[2] for stage, name in ids(plan).items() if name} == {
        "preprocess": "1afdafe459c5",
        "sample": "2aef9f8d7a07",
        "finetune": "5ddd7b10867a",
        "evaluate": "e9f2a21d63a8",
    }


def test_ten_thousand_cells_are_planned_in_seconds(plan):
    grid = [{"finetune.optimizer.lr": [i / 10000 for i in range(1, 1251)], "imbalance.mu": [0.2, 0.5]}]
    plan()  # the first plan imports the methods
    started = time.process_time()
    _, made = plan({"a": None, "b": {"sample": "random_oversampling"}}, grid=grid)
    spent = time.process_time() - started
    assert len(made.cells) == 10_004
    assert spent < 10


def test_the_file_of_the_plan_keeps_what_was_planned_before_and_is_not_rewritten_for_nothing(plan, tmp_path):
    path = tmp_path / "plan.json"
    plan(seeds=5)[1].write(path)
    plan({"other": {"finetune": {"steps": 31}}}, seeds=10)[1].write(path)
    held = planning.read(path)
    assert len([c for c in held.cells.values() if c.stage == "finetune"]) == 2
    assert next(c for c in held.cells.values() if c.stage == "sample").blocks == [[0, 4], [5, 9]]
    stamp = path.stat().st_mtime_ns
    plan(seeds=5)[1].write(path)
    again = planning.read(path)
    assert {n: c.blocks for n, c in again.cells.items()} == {n: c.blocks for n, c in held.cells.items()}
    plan(seeds=5)[1].write(path)
    stamp = path.stat().st_mtime_ns
    plan(seeds=5)[1].write(path)
    assert path.stat().st_mtime_ns == stamp


def test_a_grid_mapping_is_the_same_as_dotted_keys(plan):
    base = BASE | {"imbalance": "natural"}
    dotted = plan(base=base, grid=[{"imbalance": "step", "imbalance.mu": 0.2, "imbalance.rho": [5, 10]}])
    mapping = plan(base=base, grid=[{"imbalance": {"name": "step", "mu": 0.2}, "imbalance.rho": [5, 10]}])
    assert dotted[0] == mapping[0]
    assert list(dotted[0]) == [
        ("baseline", "imbalance=step, mu=0.2, rho=5"),
        ("baseline", "imbalance=step, mu=0.2, rho=10"),
    ]


def test_a_study_is_found_by_name_key_or_all():
    names = study.select("all")
    key = names[0].split("_")[0]
    assert study.select(key) == [n for n in names if n.startswith(f"{key}_")]
    assert study.select(f"{names[0]},{key}")[0] == names[0]


def test_all_and_a_key_leave_out_studies_without_the_scale_but_a_name_does_not():
    assert study.select_at("amin2024", "small") == ["amin2024_strategies"]
    assert "amin2024_thresholds" not in study.select_at("all", "small")
    assert study.select_at("amin2024_thresholds", "small") == ["amin2024_thresholds"]
    with pytest.raises(UserError, match=r"amin2024_thresholds\.yaml: no scale 'small'"):
        planning.make("amin2024_thresholds", "small")


def test_no_plan_yet_is_said(tmp_path):
    with pytest.raises(UserError, match="no plan has been made here yet"):
        planning.read(tmp_path / "plan.json")


def kept_project(tmp_path, monkeypatch):
    """Write a small project in the working folder; return its study file and the settings of its run."""
    for folder in ("config/bases", "config/studies"):
        (tmp_path / folder).mkdir(parents=True)
    study_file = tmp_path / "config/studies/a2000_b.yaml"
    content = {"title": "t", "source": {"paper": "p"}, "base": "b", "cases": {"baseline": None}, "seeds": 5}
    content |= {"primary": {"metric": "accuracy"}, "claims": [], "scales": {"smoke": None}}
    (tmp_path / "config/bases/b.yaml").write_text(yaml.safe_dump(BASE, sort_keys=False))
    study_file.write_text(yaml.safe_dump(content, sort_keys=False))
    monkeypatch.chdir(tmp_path)
    return study_file, schema.Settings(studies="a2000_b", scale="smoke")


def test_a_kept_plan_is_the_plan_and_needs_no_torch(tmp_path, monkeypatch):
    _, settings = kept_project(tmp_path, monkeypatch)
    first = preflight.checked_plan(settings)
    program = (
        "import json, sys\nfrom counterpoise.checking import preflight; from counterpoise.planning import study\n"
        "plan = preflight.checked_plan(study.Settings(studies='a2000_b', scale='smoke'))\n"
        "assert 'torch' not in sys.modules\nprint(json.dumps(plan.content()))"
    )
    again = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == json.loads(json.dumps(first.content()))


def test_a_kept_plan_ends_with_what_it_was_made_of(tmp_path, monkeypatch):
    study_file, settings = kept_project(tmp_path, monkeypatch)
    before = preflight.checked_plan(settings)
    study_file.write_text(study_file.read_text().replace("baseline: null", "baseline: {model: digits_cnn}"))
    assert preflight.checked_plan(settings).cells.keys() != before.cells.keys()
    study_file.write_text(study_file.read_text().replace("digits_cnn", "unheard_of"))
    with pytest.raises(UserError, match="unheard_of"):
        preflight.checked_plan(settings)
    code = tmp_path / "code"
    (code / "losses").mkdir(parents=True)
    (code / "losses/new.py").write_text("one = 1\n")
    monkeypatch.setattr(preflight, "__file__", str(code / "checking/preflight.py"))
    made_of = preflight._made_of()
    (code / "losses/new.py").write_text("one = 2\n")
    assert preflight._made_of() != made_of


def test_a_plan_made_of_a_file_elsewhere_is_made_anew(tmp_path, monkeypatch):
    study_file, settings = kept_project(tmp_path, monkeypatch)
    start = tmp_path / "start.safetensors"
    start.write_bytes(b"one")
    case = f"baseline: {{pretrain: {{method: {{name: checkpoint, path: {start}}}}}}}"
    study_file.write_text(study_file.read_text().replace("baseline: null", case))
    before = preflight.checked_plan(settings)
    start.write_bytes(b"two")
    assert preflight.checked_plan(settings).cells.keys() != before.cells.keys()
