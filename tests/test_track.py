"""The MLflow view: everything of the files is in it, nothing twice, and it can be deleted at any time."""

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_project

from counterpoise.errors import UserError
from counterpoise.planning.plan import Cell, Plan
from counterpoise.tracking import store as track
from counterpoise.tracking import view

STUDY = "tiny2000_digits.smoke"
RECIPE = {"data": {"name": "digits", "pool": 1}, "finetune": {"steps": 40, "loss": {"name": "cross_entropy"}}}
RUN = small_project.RUN | {
    "wall_seconds": 2.0, "commit": "c0ffee", "data_hash": "d1d1", "host": "h", "cpu": "c", "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs: making its tables takes longer than a test."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    track.Store(f"sqlite:///{path}")
    return path


def _uri(name: str = "mlflow.db") -> str:
    """Return the store's address: absolute, because mlflow keeps one connection for each address."""
    return f"sqlite:///{Path.cwd() / name}"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: Path) -> Plan:
    """A plan of one case and five seeds in an empty folder with two empty stores."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(fresh, tmp_path / "mlflow.db")
    shutil.copy(fresh, tmp_path / "second.db")
    return _plan([[0, 4]])


def _plan(blocks: list[list[int]], recipe: dict[str, Any] = RECIPE) -> Plan:
    plan, chain = Plan(), {stage: f"{stage}-0" for stage in view.CHAIN if stage != "pretrain"}
    for stage, name in chain.items():
        plan.cells[name] = Cell(stage, name, {}, {}, {}, "5ca1ab1e", blocks)
    entry = {"case": "baseline", "point": "mu=0.5", "factors": {}, "recipe": recipe, "pretrain": None, **chain}
    source = {"paper": "Nobody 2000"}
    plan.studies[STUDY] = {"title": "Tiny", "source": source, "entries": [entry], "blocks": blocks}
    return plan


def _train(block: str = "seeds-00-04", rows: int = 4, folder: str = "partial", seeds: int = 5) -> Path:
    """Write the history of a fine-tuning; in `partial` as a running job does, in "" as a finished one."""
    first, out = int(block.split("-")[1]), Path("results/finetune/finetune-0") / block
    (out / folder).mkdir(parents=True, exist_ok=True)
    (out / "spec.json").write_text("{}")
    with (out / folder / "history.jsonl").open("w") as file:
        for seed in range(first, first + seeds):
            for step in range(1, rows + 1):
                row = {"seed": seed, "phase": "finetune", "step": 10 * step, "epoch": 1.0, "loss": 1 / step}
                file.write(json.dumps({**row, "accuracy": 0.5, "lr": 0.1, "val_balanced_accuracy": None}) + "\n")
    return out


def _finish(
    block: str = "seeds-00-04",
    diverged: dict[str, Any] | None = None,
    classes: tuple[str, ...] = ("T-shirt/top (old)",),
    **changes: Any,
) -> None:
    """Write the files of a finished fine-tuning and evaluation, with the recall of some classes."""
    out, seeds = _train(block, folder=""), range(int(block[6:8]), int(block[9:11]) + 1)
    shutil.rmtree(out / "partial", ignore_errors=True)
    run = {**RUN, "diverged": diverged or {}, **changes}
    counts = {str(seed): [9, 3] for seed in seeds}
    meta = {"classes": ["cat", "dog"], "class_counts": counts, "seen_counts": counts, "diverged": {}}
    meta["design_counts"] = counts
    table = pa.table({"seed": pa.array([], pa.int32())}).replace_schema_metadata({"counterpoise": json.dumps(meta)})
    pq.write_table(table, out / "predictions.parquet")
    (out / "run.json").write_text(json.dumps(run))
    scores = Path("results/evaluate/evaluate-0") / block
    scores.mkdir(parents=True, exist_ok=True)
    measured = [
        (seed, "last", "test", name, of, value)
        for seed in seeds
        for name, of, value in (
            ("accuracy", None, seed / 10),
            ("auc", None, None),
            *(("recall", label, 0.5) for label in classes),
        )
    ]
    columns = ["seed", "selection", "split", "metric", "class", "value"]
    pd.DataFrame(measured, columns=columns).to_parquet(scores / "metrics.parquet")
    confused = [(seed, "last", "test", label, guess, 2) for seed in seeds for label in (0, 1) for guess in (0, 1)]
    columns = ["seed", "selection", "split", "label", "predicted", "count"]
    pd.DataFrame(confused, columns=columns).to_parquet(scores / "confusion.parquet")
    (scores / "run.json").write_text(json.dumps(run))


@contextmanager
def _running(out: Path) -> Iterator[None]:
    with (out / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _dump(name: str = "mlflow.db") -> dict[str, list[Any]]:
    """Return what the store says, without the identifiers that MLflow draws."""
    with sqlite3.connect(name) as store:
        names = dict(store.execute("select run_uuid, name from runs where lifecycle_stage = 'active'").fetchall())
        found: dict[str, list[Any]] = {"runs": sorted(names.values())}
        for table, columns in (
            ("metrics", "key, value, step"), ("params", "key, value"), ("tags", "key, value"),
        ):  # fmt: skip
            rows = store.execute(f"select run_uuid, {columns} from {table}").fetchall()
            found[table] = sorted((names[run], *rest) for run, *rest in rows if run in names)
        found["tags"] = [row for row in found["tags"] if row[1] != "mlflow.parentRunId"]
        found["state"] = sorted(store.execute("select name, status from runs where lifecycle_stage = 'active'"))
        found["data"] = store.execute("select name, digest from datasets").fetchall()
    return found


def _states() -> set[tuple[str, str]]:
    return set(_dump()["state"])


def test_a_second_time_adds_nothing_and_another_store_gets_all(plan: Plan) -> None:
    _finish()
    assert track.rebuild(plan, _uri()) == 6
    first = _dump()
    assert track.rebuild(plan, _uri()) == 0
    assert _dump() == first
    assert track.rebuild(plan, _uri("second.db")) == 6
    assert _dump("second.db") == first
    for store in ("mlflow.db", "second.db"):
        figures = sorted(p.name for p in Path(f"{store}.artifacts").rglob("*.png"))
        assert figures == ["class_histogram.png", "confusion_matrix.png"]


def test_figures_of_a_deleted_store_go_with_it(plan: Plan) -> None:
    Path("mlflow.db.artifacts/tiny/run").mkdir(parents=True)
    Path("mlflow.db").unlink()
    assert list(track._prepare(_uri()).iterdir()) == []


def test_a_finished_seed_is_a_child_with_everything(plan: Plan) -> None:
    _finish()
    track.rebuild(plan, _uri())
    found, child = _dump(), "baseline seed 3"
    assert found["data"] == [("digits", "5ca1ab1e")]
    assert {row[1:] for row in found["params"] if row[0] == child} >= {("data", "digits"), ("data.pool", "1")}
    tags = {row[1]: row[2] for row in found["tags"] if row[0] == child}
    assert tags["study"] == STUDY
    assert tags["seed"] == "3"
    assert tags["cell.finetune"] == "finetune-0"
    assert tags["checkpoint"] == "results/finetune/finetune-0/seeds-00-04/model.safetensors"
    assert tags["version.python"] == "3.11.7"
    curve = [row[2:] for row in found["metrics"] if row[:2] == (child, "finetune/loss")]
    assert sorted(curve, key=lambda row: row[1]) == [(1.0, 10), (0.5, 20), (1 / 3, 30), (0.25, 40)]
    values = {row[1]: row[2] for row in found["metrics"] if row[0] == child}
    assert values["test/accuracy"] == 0.3
    assert values[track.valid_key("test/recall.T-shirt/top (old)")] == 0.5
    assert "test/auc" not in values
    parent = {row[1]: row[2:] for row in found["metrics"] if row[0] == "baseline at mu=0.5"}
    assert parent["test/accuracy"] == (pytest.approx(0.2), 5)


def test_curves_grow_while_a_job_trains_and_no_point_is_there_twice(plan: Plan) -> None:
    store = track.Store(_uri())
    with _running(_train(rows=2, seeds=2)):
        store.mirror(plan, STUDY)
        assert _states() == {("baseline at mu=0.5", "RUNNING"), *((f"baseline seed {s}", "RUNNING") for s in (0, 1))}
        assert len(_dump()["metrics"]) == 2 * 2 * 3
    with _running(_train(rows=3, seeds=3)):
        store.mirror(plan, STUDY)
        assert len(_dump()["metrics"]) == 3 * 3 * 3
        assert store.mirror(plan, STUDY) == 0
    _finish()
    store.mirror(plan, STUDY)
    finished = _dump()
    assert {state for _, state in finished["state"]} == {"FINISHED"}
    assert track.rebuild(plan, _uri()) == 0
    track.rebuild(plan, _uri("second.db"))
    assert _dump("second.db") == finished


def test_a_killed_run_is_repaired_and_continued_by_another_process(plan: Plan) -> None:
    with _running(_train(rows=3, seeds=2)):
        track.rebuild(plan, _uri())
    _train(rows=2, seeds=2)  # cut back to its checkpoint
    track.rebuild(plan, _uri())
    assert {state for _, state in _states()} == {"KILLED"}
    _finish()
    track.rebuild(plan, _uri())
    assert {state for _, state in _states()} == {"FINISHED"}
    keys = [row[:2] + row[3:] for row in _dump()["metrics"]]
    assert len(keys) == len(set(keys))


def test_a_diverged_seed_is_failed_and_says_why(plan: Plan) -> None:
    _finish(diverged={"2": {"step": 7, "epoch": 1.0, "lr": 0.1, "reason": "loss nan at step 7"}})
    track.rebuild(plan, _uri())
    assert ("baseline seed 2", "FAILED") in _states()
    assert ("baseline seed 1", "FINISHED") in _states()
    assert ("baseline at mu=0.5", "FAILED") in _states()
    assert ("baseline seed 2", "failure", "loss nan at step 7") in _dump()["tags"]


def test_a_failed_job_is_failed_and_says_why(plan: Plan) -> None:
    _finish(status="failed", error="class 3 is left empty")
    track.rebuild(plan, _uri())
    assert {state for _, state in _states()} == {"FAILED"}
    assert ("baseline seed 0", "failure", "class 3 is left empty") in _dump()["tags"]


def test_seeds_added_later_add_their_runs_only(plan: Plan) -> None:
    _finish()
    track.rebuild(plan, _uri())
    with sqlite3.connect("mlflow.db") as store:
        before = {row[0] for row in store.execute("select run_uuid from runs")}
    more = _plan([[0, 4], [5, 9]])
    _finish("seeds-05-09")
    assert track.rebuild(more, _uri()) == 6  # five seeds, and the parent's mean over ten
    with sqlite3.connect("mlflow.db") as store:
        after = {row[0] for row in store.execute("select run_uuid from runs where lifecycle_stage = 'active'")}
    assert before < after
    assert len(after) == 11


def test_results_made_anew_replace_what_was_there(plan: Plan) -> None:
    _finish()
    track.rebuild(plan, _uri())
    changed = _plan([[0, 4]], recipe={**RECIPE, "finetune": {"steps": 80}})
    track.rebuild(changed, _uri())
    found = _dump()
    assert len(found["runs"]) == 6
    assert ("baseline seed 0", "finetune.steps", "80") in found["params"]
    _finish(wall_seconds=9.0)
    track.rebuild(changed, _uri())
    assert len(_dump()["runs"]) == 6
    gone = Plan()
    gone.studies[STUDY] = {**changed.studies[STUDY], "entries": []}
    track.rebuild(gone, _uri())
    assert _dump()["runs"] == []


def test_a_store_that_cannot_be_written_is_one_line(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"tracking: cannot write to sqlite:///.*file/mlflow.db .*config/config.yaml"):
        track.rebuild(plan, _uri("file/mlflow.db"))
    Path("other.db").write_text("this is not a database, and long enough to be seen as none" * 99)
    with pytest.raises(UserError, match=r"tracking: cannot write to sqlite:///.*other\.db"):
        track.rebuild(plan, _uri("other.db"))


def test_one_process_writes_at_a_time(plan: Plan) -> None:
    with track.writer() as free:
        assert free
        with pytest.raises(UserError, match="a live run is writing the MLflow view"):
            track.rebuild(plan, _uri())
    assert track.rebuild(plan, _uri()) == 0


HOSTILE = (
    "income (%)", "income [%]", "x" * 300, "x" * 301, "a/", "a//b", "/a", "../a", "..a", ".", "..", "", " ", "\n",
    "naïve", "naïve\u0301", "名前", "💰", "\udcff", "$\\frac$", "'; drop table runs; --", "a\x00b",
)  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "data.kinds.", "test/recall."])
def test_every_name_becomes_one_that_mlflow_takes_and_no_other_has(prefix: str) -> None:
    from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

    keys = [track.valid_key(prefix + name) for name in HOSTILE]
    assert len(set(keys)) == len(HOSTILE)
    for key in keys:
        _validate_metric(key, 1.0, 0, 0)
        _validate_param(key, "")
        _validate_tag(key, "")
        assert track.valid_key(key) == key
    assert track.valid_key("test/recall.naïve 名前: T-shirt/top") == "test/recall.naïve 名前: T-shirt/top"


def test_hostile_names_and_values_are_all_in_the_store(plan: Plan) -> None:
    kinds = dict.fromkeys((*HOSTILE, *(f"column {i}" for i in range(250))), "number")
    recipe = {**RECIPE, "data": {"name": "table", "kinds": kinds, "path": "p" * 7000, "target": "\udcff"}}
    labels = tuple(name for name in HOSTILE if name != "\udcff")  # which Parquet does not hold
    _finish(classes=labels, diverged={"2": {"reason": "why " * 5000}})
    hostile = _plan([[0, 4]], recipe)
    assert track.rebuild(hostile, _uri()) == 6
    found = _dump()
    assert len([1 for run, key, _ in found["params"] if run == "baseline seed 3" and key.startswith("data.kinds")]) == (
        len(kinds)
    )
    recalls = [key for run, key, *_ in found["metrics"] if run == "baseline seed 3" and key.startswith("test/recall")]
    assert len(set(recalls)) == len(labels)
    values = {key: value for run, key, value in found["params"] if run == "baseline at mu=0.5"}
    assert values["data.path"] == "p" * 6000
    assert values["data.target"] == "?"
    assert track.rebuild(hostile, _uri()) == 0


def _two_cases(good: list[list[int]]) -> Plan:
    """A plan of two cases, of which the first has its own fine-tuning."""
    plan = _plan(good)
    first, second = (dict(plan.studies[STUDY]["entries"][0], case=case) for case in ("bad", "good"))
    first["finetune"], plan.cells["finetune-1"] = "finetune-1", plan.cells["finetune-0"]
    plan.cells["finetune-1"] = Cell("finetune", "finetune-1", {}, {}, {}, "5ca1ab1e", good)
    plan.studies[STUDY]["entries"] = [first, second]
    plan.studies["other2000_digits.smoke"] = {**plan.studies[STUDY], "entries": [second]}
    return plan


def test_a_run_that_cannot_be_written_is_one_line_and_the_rest_goes_on(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    two = _two_cases([[0, 4]])
    _finish()
    out = Path("results/finetune/finetune-1/seeds-00-04/partial")
    out.mkdir(parents=True)
    (out / "history.jsonl").write_text("half a li\n")
    with pytest.raises(UserError, match=rf"tracking: all was written but {STUDY} bad at mu=0.5; the lines above say"):
        track.rebuild(two, _uri())
    assert capsys.readouterr().err.count(f"tracking: {STUDY} bad at mu=0.5: ") == 1
    assert {run for run in _dump()["runs"] if run.startswith("good")} == {
        "good at mu=0.5",
        *(f"good seed {i}" for i in range(5)),
    }


def test_a_live_view_goes_on_after_a_bad_run_and_says_so_once(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = _two_cases([[0, 4]])
    _finish()
    store = track.Store(_uri())
    real = view.blocks
    monkeypatch.setattr(view, "blocks", lambda *given: 1 / 0 if given[2]["case"] == "bad" else real(*given))
    assert [store.mirror(two, STUDY), store.mirror(two, STUDY)] == [6, 0]
    assert capsys.readouterr().err == f"tracking: {STUDY} bad at mu=0.5: division by zero\n"
    assert list(store.faults) == [f"{STUDY} bad at mu=0.5"]
    monkeypatch.undo()
    store.mirror(two, STUDY)
    assert not store.faults
