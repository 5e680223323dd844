"""The evaluate stage: from predictions.parquet alone to tidy metrics, gaps and failures included."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_project
import torch

from counterpoise import registry
from counterpoise.errors import ImpossibleCell
from counterpoise.scoring import evaluation, metrics
from counterpoise.scoring.evidence import score
from counterpoise.stages import evaluate

CLASSES = ["ant", "bee", "cat", "dog"]
COUNTS = [40, 20, 10, 5]
STEP = {"step": 7, "epoch": 0.1, "lr": 0.1, "reason": "loss is not finite"}


def part(seed, selection, split, n=60, gain=1.0):
    generator = np.random.default_rng([seed, n, len(selection), len(split)])
    labels = np.concatenate([np.arange(4), generator.integers(0, 4, n - 4)])
    logits = generator.normal(size=(n, 4))
    logits[np.arange(n), labels] += gain
    columns = {f"logit_{c}": logits[:, c].astype(np.float32) for c in range(4)}
    head = {"seed": np.int32(seed), "selection": selection, "split": split, "id": np.arange(n), "label": labels}
    return pd.DataFrame(head | columns)


def meta(seeds, diverged=()):
    return {
        "classes": CLASSES,
        "class_counts": {str(s): COUNTS for s in seeds},
        "design_counts": {str(s): COUNTS for s in seeds},
        "seen_counts": {str(s): [100] * 4 for s in seeds},
        "diverged": {str(s): STEP for s in diverged},
    }


def predictions(seeds=(0, 1), selections=("last",), splits=("train", "val", "test")):
    last = [part(s, "last", split, gain=2.0 if split == "train" else 1.0) for s in seeds for split in splits]
    return pd.concat(last + [part(s, name, "test") for s in seeds for name in selections if name != "last"])


def method(name="none", **options):
    return registry.build("rebalancing", {"name": name, **options})


def value(table, seed, selection, split, metric, of_class=None):
    rows = table[(table.seed == seed) & (table.selection == selection) & (table.split == split)]
    rows = rows[(rows.metric == metric) & (rows["class"].isna() if of_class is None else rows["class"] == of_class)]
    assert len(rows) == 1, (selection, split, metric, of_class)
    return rows.value.item()


def write_block(folder, frame, about, status="done", error=None):
    folder.mkdir(parents=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"counterpoise": json.dumps(about)}), folder / "predictions.parquet")
    (folder / "run.json").write_text(json.dumps(small_project.RUN | {"status": status, "error": error}))
    return folder


def run(folder, out, name="none", **options):
    cfg = {"evaluate": {"rebalancing": {"name": name, **options}, "test_factor": 1.0, "test_order": "forward"}}
    evaluate.run(cfg, predictions=folder, out=out, spec={"seeds": [0, 1]})
    read = [pd.read_parquet(out / f"{table}.parquet") for table in ("metrics", "confusion")]
    return *read, json.loads((out / "run.json").read_text())


def test_every_metric_of_every_part():
    frame = predictions()
    table, confusion = evaluation.evaluate(frame, meta([0, 1]), method())
    assert set(table.seed) == {0, 1}
    assert set(table.selection) == {"last"}
    assert set(table.split) == {"train", "val", "test", "train-test"}
    assert not table.duplicated(["seed", "selection", "split", "metric", "class"]).any()
    rows = frame[(frame.seed == 1) & (frame.split == "test")]
    logits = torch.tensor(rows[[f"logit_{c}" for c in range(4)]].to_numpy(np.float64))
    expected = metrics.compute(torch.tensor(rows.label.to_numpy()), score(logits), torch.tensor(COUNTS))
    for (name, c), wanted in expected.items():
        assert value(table, 1, "last", "test", name, None if c is None else CLASSES[c]) == wanted
    assert len(table[(table.seed == 1) & (table.split == "test")]) == len(expected)

    one = confusion[(confusion.seed == 1) & (confusion.split == "test")]
    assert one["count"].sum() == len(rows)
    assert (one["count"] > 0).all()
    right = one[one.label == one.predicted]["count"].sum() / len(rows)
    assert right == value(table, 1, "last", "test", "accuracy")


def test_the_gap_is_training_less_test():
    table, _ = evaluation.evaluate(predictions(), meta([0, 1]), method())
    gaps = table[table.split == "train-test"]
    assert set(gaps.metric) == {"accuracy", "balanced_accuracy", "few_recall", "many_recall"}
    for name in set(gaps.metric):
        train, test = (value(table, 0, "last", split, name) for split in ("train", "test"))
        assert value(table, 0, "last", "train-test", name) == train - test


def test_best_on_test_is_the_best_of_snapshots_and_last_for_each_metric():
    names = ("step-000010", "step-000020")
    table, _ = evaluation.evaluate(predictions(selections=names), meta([0, 1]), method())
    for name in ("auc_ovr", "balanced_accuracy", "few_recall", "mcc", "auprc"):
        each = [value(table, 0, selection, "test", name) for selection in ("last", *names)]
        assert value(table, 0, "best_on_test", "test", name) == max(each)
        assert value(table, 0, "last-best", "test", name) == each[0] - max(each) <= 0
    best = table[table.selection == "best_on_test"]
    assert not set(best.metric) & {*metrics.LOWER_IS_BETTER, "prevalence", "recall"}
    assert set(best.split) == {"test"}


def test_without_snapshots_nothing_is_selected_on_the_test_part():
    table, _ = evaluation.evaluate(predictions(splits=("train", "test")), meta([0, 1], ()), method())
    assert set(table.selection) == {"last"}
    assert "val" not in set(table.split)


@pytest.mark.parametrize("selections", [("last",), ("last", "step-000010")])
def test_a_diverged_seed_is_scored_at_chance(selections):
    table, confusion = evaluation.evaluate(predictions((0,), selections), meta([0, 3], [3]), method())
    assert set(confusion.seed) == {0}
    for split in ("train", "val", "test"):
        assert value(table, 3, "last", split, "balanced_accuracy") == 0.25
        assert value(table, 3, "last", split, "auc_ovr") == 0.5
        assert value(table, 3, "last", split, "recall", "dog") == 0.25
    assert value(table, 3, "last", "train-test", "accuracy") == 0
    same = ["selection", "split", "metric", "class"]
    found = table[~table.selection.str.startswith("step")]
    mine, other = (set(map(tuple, found[found.seed == s][same].fillna("").to_numpy())) for s in (3, 0))
    assert mine == other, "a pair must not be lost because one of the two diverged"


def test_all_seeds_diverged():
    table, confusion = evaluation.evaluate(predictions().iloc[:0], meta([0, 1], [0, 1]), method())
    assert confusion.empty
    for seed in (0, 1):
        for selection in ("last", "best_on_test"):
            assert value(table, seed, selection, "test", "balanced_accuracy") == 0.25
        assert value(table, seed, "last-best", "test", "auc_ovr") == 0


def test_the_correction_is_that_of_the_seed():
    about = meta([0, 1])
    about["class_counts"]["1"] = [10, 10, 10, 10]
    frame = predictions()
    plain, _ = evaluation.evaluate(frame, about, method())
    thresholded, _ = evaluation.evaluate(frame, about, method("prior_threshold"))
    accuracy = [[value(t, s, "last", "test", "accuracy") for s in (0, 1)] for t in (plain, thresholded)]
    assert accuracy[0][0] != accuracy[1][0]
    assert accuracy[0][1] == accuracy[1][1]  # equal priors
    assert value(thresholded, 0, "last", "test", "auc_ovr") == value(plain, 0, "last", "test", "auc_ovr")


def test_snapshots_take_the_temperature_of_the_last_network():
    frame = predictions(selections=("step-000010",))
    table, _ = evaluation.evaluate(frame, meta([0, 1]), method("temperature_scaling"))
    plain, _ = evaluation.evaluate(frame, meta([0, 1]), method())
    assert value(table, 0, "step-000010", "test", "accuracy") == value(plain, 0, "step-000010", "test", "accuracy")
    assert value(table, 0, "last", "val", "log_loss") < value(plain, 0, "last", "val", "log_loss")


def test_row_order_and_other_seeds_change_nothing():
    frame = predictions()
    table, confusion = evaluation.evaluate(frame, meta([0, 1]), method("logit_adjustment"))
    alone, _ = evaluation.evaluate(frame[frame.seed == 1], meta([1]), method("logit_adjustment"))
    pd.testing.assert_frame_equal(table[table.seed == 1].reset_index(drop=True), alone)
    shuffled, again = evaluation.evaluate(
        frame.sample(frac=1, random_state=0), meta([0, 1]), method("logit_adjustment")
    )
    pd.testing.assert_frame_equal(confusion, again)
    pd.testing.assert_frame_equal(table, shuffled, rtol=1e-12)


def test_a_part_without_a_class_is_an_error():
    frame = predictions()
    frame = frame[(frame.split != "val") | (frame.label != 2)]
    with pytest.raises(ImpossibleCell, match="seed 0, last, val: class 2 has no example"):
        evaluation.evaluate(frame, meta([0, 1]), method())


def test_logits_that_are_not_finite_are_an_error():
    frame = predictions()
    frame.iloc[0, -1] = np.nan
    with pytest.raises(ImpossibleCell, match="seed 0, last, train: logits that are not finite"):
        evaluation.evaluate(frame, meta([0, 1]), method())


# The files ---------------------------------------------------------------------------------------------------


def test_metrics_can_be_recomputed_from_the_predictions_alone(tmp_path):
    folder = write_block(tmp_path / "predictions", predictions(), meta([0, 1]))
    table, confusion, record = run(folder, tmp_path / "out", "prior_threshold", priors="seen")
    assert record["status"] == "done"
    again, matrix = evaluation.evaluate(
        *evaluation.read(folder / "predictions.parquet"), method("prior_threshold", priors="seen")
    )
    pd.testing.assert_frame_equal(table, again, check_dtype=False)
    pd.testing.assert_frame_equal(confusion, matrix, check_dtype=False)


def test_files_have_the_agreed_types_and_null_rather_than_nan(tmp_path):
    about = meta([0, 1, 2], [2])
    about["design_counts"] = {str(s): [9, 9, 3, 3] for s in range(3)}  # a step: no middle
    folder = write_block(tmp_path / "predictions", predictions(), about)
    _, _, record = run(folder, tmp_path / "out")
    assert record["diverged"] == {"2": STEP}
    table = pq.read_table(tmp_path / "out" / "metrics.parquet")
    assert table.column_names == ["seed", "selection", "split", "metric", "class", "value"]
    assert str(table.schema.field("seed").type) == "int32"
    assert table.schema.field("value").type == pa.float64()
    assert not any(v is not None and np.isnan(v) for v in table["value"].to_pylist())
    missing = {
        name for name, v in zip(table["metric"].to_pylist(), table["value"].to_pylist(), strict=True) if v is None
    }
    assert missing == {"medium_recall", "prevalence"}
    matrix = pq.read_table(tmp_path / "out" / "confusion.parquet")
    assert matrix.column_names == ["seed", "selection", "split", "label", "predicted", "count"]
    assert {str(matrix.schema.field(c).type) for c in ("label", "predicted", "count")} == {"int64"}


def test_equal_predictions_give_equal_bytes(tmp_path):
    folder = write_block(tmp_path / "predictions", predictions(), meta([0, 1]))
    for out in ("a", "b"):
        run(folder, tmp_path / out)
    for name in ("metrics.parquet", "confusion.parquet"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_child_of_a_failure_is_skipped_with_its_reason(tmp_path, status):
    folder = write_block(tmp_path / "predictions", predictions().iloc[:0], {}, status, "class 3 was left empty")
    table, confusion, record = run(folder, tmp_path / "out")
    assert record["status"] == "skipped"
    assert "class 3 was left empty" in record["error"]
    assert table.empty
    assert confusion.empty
    assert list(table.columns) == ["seed", "selection", "split", "metric", "class", "value"]


def test_a_correction_that_lacks_its_evidence_is_a_recorded_failure(tmp_path):
    folder = write_block(tmp_path / "predictions", predictions(splits=("train", "test")), meta([0, 1]))
    table, _, record = run(folder, tmp_path / "out", "temperature_scaling")
    assert record["status"] == "failed"
    assert "set `validation`" in record["error"]
    assert table.empty
