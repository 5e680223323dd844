"""From data set to split: nothing of validation or test reaches training, and subsets are nested."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from small_project import recipe

from counterpoise import records
from counterpoise.data import draw as data_draw
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.stages import preprocess, sample

CLASSES = 5
Y = np.random.default_rng(0).permutation(np.repeat(np.arange(CLASSES), [90, 100, 110, 120, 130]))
SEEDS = [0, 1, 2]
CONFIGS = {
    "natural": {},
    "step": {"imbalance": {"name": "step", "rho": 10, "mu": 0.4}, "validation": 20},
    "long_tailed": {"imbalance": {"name": "long_tailed", "factor": 10, "per_class": 60}, "validation": 20},
    "noise": {"imbalance": {"name": "linear", "rho": 5}, "label_noise": 0.3, "validation": 20},
    "held_out": {"imbalance": {"name": "step", "rho": 5}, "validation_fraction": 0.2, "label_noise": 0.2},
    "oracle": {"imbalance": {"name": "step", "rho": 10}, "validation": 20, "redraw": {"name": "oracle_balanced"}},
}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits")
    preprocess.run({"data": {"name": "digits"}}, out=out, spec={"stage": "preprocess"})
    return out


def draw(seed=0, y=Y, classes=CLASSES, **cfg):
    return data_draw.draw(recipe(**cfg), y, classes, seed)


def by_class(ids):
    return np.bincount(Y[ids], minlength=CLASSES)


# --- preprocess


def test_preprocess_of_a_table(tmp_path):
    preprocess.run({"data": {"name": "breast_cancer"}}, out=tmp_path, spec={"stage": "preprocess"})
    x = np.load(tmp_path / "train_x.npy", mmap_mode="r", allow_pickle=False)
    assert (x.shape, x.dtype) == ((398, 30), np.float32)
    meta = records.read_json(tmp_path / "meta.json")
    assert (meta["kind"], meta["shape"], meta["classes"]) == ("table", [30], ["malignant", "benign"])


def test_preprocess_twice_gives_the_same_bytes(digits, tmp_path):
    preprocess.run({"data": {"name": "digits"}}, out=tmp_path, spec={"stage": "preprocess"})
    for part in preprocess.PARTS:
        assert (tmp_path / f"{part}.npy").read_bytes() == (digits / f"{part}.npy").read_bytes()


# --- what may never meet


@pytest.mark.parametrize("cfg", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("seed", range(5))
def test_no_row_is_in_training_and_validation_and_none_twice(cfg, seed):
    split = draw(seed, **cfg)
    ids = np.concatenate([split.train_ids, split.val_ids])
    assert len(np.unique(ids)) == len(ids)
    assert (np.diff(split.train_ids) > 0).all()
    assert 0 <= ids.min() <= ids.max() < len(Y)


def test_no_test_row_is_in_training_or_validation(digits, tmp_path):
    """Ids point into train_x, and no image of test_x is there."""
    cfg = {"imbalance": {"name": "long_tailed", "factor": 20}, "validation": 20}
    sample.run(recipe(**cfg), data=digits, seeds=SEEDS, out=tmp_path, spec={"seeds": SEEDS})
    split = pd.read_parquet(tmp_path / "split.parquet")
    train_x, test_x = (np.load(digits / f"{part}_x.npy") for part in ("train", "test"))
    assert split["id"].between(0, len(train_x) - 1).all()
    test_rows = {x.tobytes() for x in test_x}
    assert not any(train_x[i].tobytes() in test_rows for i in split["id"].unique())
    for _, held in split.groupby("seed"):
        assert held["id"].is_unique


def test_the_oracle_validation_part_is_balanced_clean_and_the_same_under_every_imbalance():
    held = draw(validation=20)
    assert by_class(held.val_ids).tolist() == [20] * CLASSES
    for cfg in CONFIGS.values():
        if cfg.get("validation"):
            split = draw(**cfg)
            np.testing.assert_array_equal(split.val_ids, held.val_ids)
            np.testing.assert_array_equal(split.val_labels, Y[held.val_ids])


def test_statistics_see_training_rows_only(digits, tmp_path):
    for part in ("train_y.npy", "meta.json"):
        (tmp_path / part).write_bytes((digits / part).read_bytes())
    run = records.read_json(digits / "run.json")
    records.write_json(tmp_path / "run.json", run | {"files": {}})  # as if the array had always been so
    cfg = {"imbalance": {"name": "step", "rho": 5}, "validation": 20}
    x, y = np.load(digits / "train_x.npy").astype(np.float32), np.load(digits / "train_y.npy")
    split = draw(0, y, 10, **cfg)
    others = np.setdiff1d(np.arange(len(x)), split.train_ids)
    x[others] = np.nan  # would spoil every mean
    np.save(tmp_path / "train_x.npy", x)
    sample.run(recipe(**cfg), data=tmp_path, seeds=[0], out=tmp_path / "out", spec={"seeds": [0]})
    held = records.read_json(tmp_path / "out" / "statistics.json")["0"]
    assert held["mean"] == pytest.approx([x[split.train_ids].mean(dtype=float)])
    assert held["std"] == pytest.approx([x[split.train_ids].std(dtype=float)])


# --- nesting and seeds


@pytest.mark.parametrize(("name", "knob"), [("step", "rho"), ("linear", "rho"), ("long_tailed", "factor")])
def test_a_higher_ratio_is_a_subset_of_a_lower_one(name, knob):
    held = set(range(len(Y)))
    for ratio in (1, 2, 5, 10, 30):
        ids = set(draw(imbalance={"name": name, knob: ratio, "per_class": 60}, validation=20).train_ids.tolist())
        assert ids < held
        held = ids


def test_the_same_label_noise_hits_a_row_in_every_subset_and_more_noise_contains_less():
    whole, part = draw(label_noise=0.3), draw(label_noise=0.3, imbalance={"name": "step", "rho": 5})
    np.testing.assert_array_equal(part.train_labels, whole.train_labels[part.train_ids])
    less = draw(label_noise=0.1)
    changed = less.train_labels != Y
    np.testing.assert_array_equal(whole.train_labels[changed], less.train_labels[changed])


def test_seeds_draw_other_classes_and_rows_and_a_seed_draws_the_same_again():
    cfg = CONFIGS["step"]
    first, again, other = draw(0, **cfg), draw(0, **cfg), draw(1, **cfg)
    np.testing.assert_array_equal(first.train_ids, again.train_ids)
    assert set(first.train_ids) != set(other.train_ids)
    orders = {tuple(draw(seed, **CONFIGS["long_tailed"]).order) for seed in range(20)}
    assert len(orders) > 10


def test_a_class_is_as_often_minority_as_any_other():
    times = np.zeros(CLASSES)
    for seed in range(1000):
        times[draw(seed, imbalance={"name": "step", "rho": 10, "mu": 0.4}).order[3:]] += 1
    np.testing.assert_allclose(times, 400, atol=75)  # five standard deviations


# --- counts, noise, hold-out, oracle


def test_counts_are_those_of_the_imbalance():
    split = draw(imbalance={"name": "long_tailed", "factor": 10, "per_class": 50}, validation=20)
    assert by_class(split.train_ids)[split.order].tolist() == [50, 28, 15, 8, 5]
    assert split.design_counts[split.order].tolist() == [50, 28, 15, 8, 5]


def test_label_noise_is_symmetric():
    y = np.repeat(np.arange(4), 10000)
    split = draw(y=y, classes=4, label_noise=0.3)
    table = np.histogram2d(y, split.train_labels, bins=4)[0] / 10000
    np.testing.assert_allclose(table, np.full((4, 4), 0.1) + 0.6 * np.eye(4), atol=0.015)
    np.testing.assert_array_equal(draw(y=y, classes=4).train_labels, y)


def test_a_share_of_the_training_part_is_held_out_by_class_and_at_least_one():
    cfg = {"imbalance": {"name": "step", "minority_count": 3, "mu": 0.4, "per_class": 90}}
    whole, split = draw(**cfg), draw(**cfg, validation_fraction=0.1)
    assert set(split.train_ids) | set(split.val_ids) == set(whole.train_ids)
    assert by_class(split.val_ids)[split.order].tolist() == [9, 9, 9, 1, 1]
    assert by_class(split.train_ids)[split.order].tolist() == [81, 81, 81, 2, 2]


def test_what_is_held_out_is_as_noisy_as_what_is_trained_on():
    split = draw(validation_fraction=0.5, label_noise=0.4)
    assert 0.25 < np.mean(split.val_labels != Y[split.val_ids]) < 0.55


def test_the_oracle_sample_is_balanced_of_the_same_size_and_remembers_the_imbalance():
    cfg = {"imbalance": {"name": "step", "rho": 10, "mu": 0.4, "per_class": 50}, "validation": 20}
    plain, oracle = draw(**cfg), draw(**cfg, redraw={"name": "oracle_balanced"})
    assert by_class(plain.train_ids)[plain.order].tolist() == [50, 50, 50, 5, 5]
    assert by_class(oracle.train_ids).tolist() == [32] * 5
    np.testing.assert_array_equal(oracle.design_counts, plain.design_counts)
    np.testing.assert_array_equal(oracle.order, plain.order)


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        ({"imbalance": {"name": "step", "rho": 500}}, "is left empty"),
        ({"imbalance": {"name": "step", "rho": 2, "per_class": 131}}, "asked"),
        ({"validation": 91}, "class 0 has 90 examples, 91 are asked"),
        ({"validation": 90}, "class 0 is left empty"),
        (
            {"imbalance": {"name": "step", "minority_count": 1}, "validation_fraction": 0.2},
            "has 1 training examples, holding out 0.2",
        ),
        ({"imbalance": {"name": "step", "rho": 1}, "redraw": {"name": "oracle_balanced"}, "validation": 95}, "validat"),
        ({"imbalance": {"name": "step", "minority_count": 1, "per_class": 1}, "label_noise": 0.99}, "label_noise"),
    ],
)
def test_an_impossible_cell_says_which_class_and_how_many(cfg, message):
    with pytest.raises(ImpossibleCell, match=message):
        draw(**cfg)


def test_two_kinds_of_validation_at_once_are_a_user_error():
    with pytest.raises(UserError, match="not both"):
        draw(validation=10, validation_fraction=0.1)


# --- standardisation


@pytest.mark.parametrize("shape", [(50, 3, 4, 4), (50, 7)])
def test_moments_are_per_channel_or_per_feature(shape, monkeypatch):
    monkeypatch.setattr(sample, "_CHUNK", 100)  # several pieces
    random = np.random.default_rng(0)
    x = (random.normal(size=shape) * 3 + 1e4).astype(np.float32)
    ids = np.sort(random.choice(50, 23, replace=False))
    axes = (0, 2, 3) if len(shape) == 4 else (0,)
    mean, std = sample.moments(x, ids)
    np.testing.assert_allclose(mean, x[ids].astype(float).mean(axes), rtol=1e-12)
    np.testing.assert_allclose(std, x[ids].astype(float).std(axes), rtol=1e-9)


def test_a_constant_feature_has_deviation_1():
    x = np.array([[0.1, 0, 1], [0.1, 0, 2], [0.1, 0, 3]], np.float32)
    np.testing.assert_allclose(sample.moments(x, np.arange(3))[1], [1, 1, np.sqrt(2 / 3)])


# --- files


def test_the_files_are_as_promised(digits, tmp_path):
    cfg = {"imbalance": {"name": "step", "rho": 10, "mu": 0.3}, "validation": 20, "label_noise": 0.1}
    sample.run(recipe(**cfg), data=digits, seeds=SEEDS, out=tmp_path, spec={"seeds": SEEDS})
    split = pd.read_parquet(tmp_path / "split.parquet")
    assert split.dtypes.astype(str).to_dict() == {"seed": "int32", "part": "str", "id": "int64", "label": "int64"}
    assert set(split["part"]) == {"train", "val"}
    statistics = records.read_json(tmp_path / "statistics.json")
    assert list(statistics) == [str(seed) for seed in SEEDS]
    for seed, held in statistics.items():
        train = split[(split["seed"] == int(seed)) & (split["part"] == "train")]
        assert np.bincount(train["label"], minlength=10).tolist() == held["class_counts"]
        assert len(held["minority"]) == 3
        assert sorted(held["order"]) == list(range(10))
        assert set(held["order"][-3:]) == set(held["minority"])
        assert len(held["mean"]) == len(held["std"]) == 1


def test_sampling_twice_gives_the_same_bytes_whatever_the_block(digits, tmp_path):
    cfg = CONFIGS["noise"]
    sample.run(recipe(**cfg), data=digits, seeds=[2], out=tmp_path / "one", spec={"seeds": [2]})
    sample.run(recipe(**cfg), data=digits, seeds=[2], out=tmp_path / "two", spec={"seeds": [2]})
    sample.run(recipe(**cfg), data=digits, seeds=SEEDS, out=tmp_path / "block", spec={"seeds": SEEDS})
    assert (tmp_path / "one/split.parquet").read_bytes() == (tmp_path / "two/split.parquet").read_bytes()
    block = pd.read_parquet(tmp_path / "block/split.parquet")
    alone = pd.read_parquet(tmp_path / "one/split.parquet")
    pd.testing.assert_frame_equal(block[block["seed"] == 2].reset_index(drop=True), alone)


def test_an_impossible_sample_is_recorded_as_a_failure_with_empty_files(digits, tmp_path):
    cfg = {"imbalance": {"name": "long_tailed", "factor": 1000}}
    sample.run(recipe(**cfg), data=digits, seeds=SEEDS, out=tmp_path, spec={"seeds": SEEDS})
    run = records.read_json(tmp_path / "run.json")
    assert run["status"] == "failed"
    assert "is left empty" in run["error"]
    assert len(pd.read_parquet(tmp_path / "split.parquet")) == 0
    assert records.read_json(tmp_path / "statistics.json") == {}


def test_preprocess_and_sample_never_import_torch(tmp_path):
    cfg = recipe(imbalance={"name": "step", "rho": 10}, redraw={"name": "oracle_balanced"}, label_noise=0.1)
    code = f"""
import sys
from pathlib import Path
from counterpoise.stages import preprocess, sample
out = Path({str(tmp_path)!r})
preprocess.run({{"data": {{"name": "digits", "pool": 2}}}}, out=out / "data", spec={{}})
sample.run({cfg}, data=out / "data", seeds=[0], out=out / "sample", spec={{}})
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert records.read_json(tmp_path / "sample" / "run.json")["status"] == "done"


@pytest.mark.parametrize(
    "key", ["imbalance", "split", "rows", "label_noise", "validation", "validation_fraction", "unlabelled"]
)
def test_a_key_that_a_plan_forgot_has_no_default_of_its_own(key):
    """Defaults are filled in once, when a recipe is resolved: a second one could come to differ."""
    cfg = {name: value for name, value in recipe().items() if name != key}
    with pytest.raises(KeyError, match=key):
        data_draw.draw(cfg, Y, CLASSES, 0)
