"""Regression on imbalanced targets: bins for classes, losses, batches, added features, measures, and what is refused.

.venv/bin/python -m pytest -n 0 tests/test_regression.py
"""

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import small_project
import torch
import yaml
from scipy import stats
from scipy.ndimage import rotate
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge

from counterpoise import records, registry
from counterpoise.checking import preflight
from counterpoise.data import draw, targets
from counterpoise.data.columns import Column
from counterpoise.data.inputs import Inputs
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.jobs import job
from counterpoise.judging import trials
from counterpoise.methods.datasets import _rotated
from counterpoise.planning import plan as planning
from counterpoise.registry import build
from counterpoise.report import words
from counterpoise.scoring import metrics
from counterpoise.scoring.names import ERRORS
from counterpoise.stages.preprocess import decode
from counterpoise.training import loop, phases

REGRESSIONS = [n for n in registry.names("datasets") if hasattr(registry.method("datasets", n), "quantity")]


def close(a, b, rtol=1e-9):
    np.testing.assert_allclose(a, b, rtol=rtol)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# Bins --------------------------------------------------------------------------------------------------------


def test_bins_by_hand():
    train_t = np.array([0.0, 1.9, 2.0, 7.0, 10.0])
    edges = targets.edges(train_t, 5)
    close(edges, [0, 2, 4, 6, 8, 10])
    assert targets.bins(train_t, edges).tolist() == [0, 0, 1, 3, 4]
    assert targets.bins(np.array([-5.0, 3.999, 8.0, 99.0]), edges).tolist() == [0, 1, 4, 4], (
        "what lies beyond is outermost"
    )
    assert targets.classes(np.array([0.0, 1.0, 3.0, 4.0]), 2) == (("0 to 2", "2 to 4"), (2, 2))
    with pytest.raises(UserError, match="bins: 5 bins leave none of the training targets in 4 to 6; ask for fewer"):
        targets.classes(train_t, 5)


def test_a_scale_is_that_of_the_rows_it_was_made_of_and_undone():
    scale = targets.Scale.of(np.array([1.0, 3.0]))
    assert (scale.mean, scale.std) == (2.0, 1.0)
    close(scale.standardised(np.array([5.0])), [3.0])
    close(scale.restored(scale.standardised(np.array([5.0, -1.0]))), [5.0, -1.0])
    assert targets.Scale.of(np.full(3, 7.0)).std == 1.0


@pytest.mark.parametrize("name", [n for n in REGRESSIONS if "bins" in registry.options("datasets", n)])
def test_the_number_of_bins_is_an_option(name):
    few, usual = build("datasets", {"name": name, "bins": 2}), build("datasets", {"name": name})
    assert len(few.classes) == len(few.train_counts) == 2
    assert sum(few.train_counts) == sum(usual.train_counts) or name == "friedman", "which keeps 1,500 rows of each"


def test_friedmans_function_is_what_its_docstring_says():
    train_x, train_t, test_x, test_t = build("datasets", {"name": "friedman", "noise": 0.0}).read(None)
    for x, t in ((train_x, train_t), (test_x, test_t)):
        x = x.astype(np.float64)
        signal = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
        np.testing.assert_allclose(t, signal, atol=1e-4)
        counts = np.histogram(t, np.linspace(2, 26, 11))[0]
        assert counts.min() == counts.max()


def test_rotated_digits_are_the_digits_turned_by_their_targets():
    train_x, train_t, _, _ = build("datasets", {"name": "rotated_digits", "largest": 90.0}).read(None)
    upright = build("datasets", {"name": "digits"}).read(None)[0]
    close(train_x[5, 0], rotate(upright[5, 0].astype(np.float32), train_t[5], reshape=False, order=1), rtol=1e-5)
    assert abs(train_t).max() < 90
    np.testing.assert_array_equal(_rotated.turned(upright[:2], np.array([0.0, 0.0])), upright[:2])
    np.testing.assert_allclose(_rotated.turned(upright[:1], np.array([90.0]))[0, 0], np.rot90(upright[0, 0]), atol=1e-4)


HELD = {
    "concrete_strength": (
        "concreteStrength.csv",
        '"ConcreteCompressiveStrength","a","b"\n79.99,540,0,0,162,2.5,1040,676,28\n',
    ),
    "airfoil_noise": ("airfoild.csv", '"ScaledSoundPressure"\n126.201,800,0,0.3048,71.3,0.00266337\n'),
    "abalone_rings": ("abalone.csv", "M,0.455,0.365,0.095,0.514,0.2245,0.101,0.15,15\n"),
    "wine_red_score": ("winequality-red.csv", "7.4,0.7,0,1.9,0.076,11,34,0.9978,3.51,0.56,9.4,5\n"),
}


@pytest.mark.parametrize(("name", "target"), [*zip(HELD, (79.99, 126.201, 15, 5), strict=True)])
def test_a_table_is_read_with_its_target(name, target, tmp_path):
    file, text = HELD[name]
    head, _, row = text.rpartition("\n")[0].rpartition("\n")
    width = registry.method("datasets", name).shape[0] + 1
    (tmp_path / file).write_text((",".join("c" * width) + "\n" if head else "") + row + "\n")
    x, t, test_x, test_t = build("datasets", {"name": name}).read(lambda file: tmp_path / file)
    assert t.tolist() == [target]
    assert x.shape == (1, width - 1)
    assert (len(test_x), len(test_t)) == (0, 0)
    numbers = [float(v) for v in row.split(",")[1:]]
    expected = (
        numbers
        if head
        else ([2.0, *numbers[:-1]] if name.startswith("abalone") else [float(v) for v in row.split(",")[:-1]])
    )
    close(x[0], expected)


# Metrics -----------------------------------------------------------------------------------------------------


def test_errors_by_hand():
    target = torch.tensor([0.0, 0.0, 0.0, 4.0, 8.0, 8.0], dtype=torch.float64)
    value = torch.tensor([0.0, 3.0, 0.0, 5.0, 4.0, 8.0], dtype=torch.float64)
    bins, design = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([30, 5, 2])
    found = metrics.compute_values(target, value, bins, design)
    close(found["rmse", None], np.sqrt((9 + 1 + 16) / 6))
    close(found["mae", None], 8 / 6)
    close([found["rmse", c] for c in range(3)], [np.sqrt(3), 1, np.sqrt(8)])
    close(found["balanced_rmse", None], (np.sqrt(3) + 1 + np.sqrt(8)) / 3)
    close(found["balanced_mae", None], (1 + 1 + 2) / 3)
    close([found[f"{g}_rmse", None] for g in ("many", "medium", "few")], [np.sqrt(3), 1, np.sqrt(8)])
    close(found["pearson", None], stats.pearsonr(target, value)[0])
    assert found["few_pearson", None] is None, "its targets are equal"
    close(found["relative_few_rmse", None], np.sqrt(8) / target.numpy().std())


def test_groups_of_several_bins_pool_their_examples():
    rng, bins = np.random.default_rng(0), np.repeat(np.arange(6), [5, 9, 4, 7, 3, 6])
    target, value = bins + rng.random(34), rng.normal(size=34)
    found = metrics.compute_values(*map(torch.from_numpy, (target, value, bins)), torch.tensor([6, 5, 4, 3, 2, 1]))
    few = bins >= 4
    close(found["few_rmse", None], np.sqrt(((target - value)[few] ** 2).mean()))
    close(found["few_mae", None], abs(target - value)[few].mean())
    close(found["few_pearson", None], np.corrcoef(target[few], value[few])[0, 1])


def test_who_says_one_value_for_all_has_a_relative_error_of_one_and_no_correlation():
    target, bins = torch.tensor([1.0, 2, 6], dtype=torch.float64), torch.tensor([0, 0, 1])
    found = metrics.compute_values(target, torch.full((3,), 3.0, dtype=torch.float64), bins, torch.tensor([2, 1]))
    close(found["relative_rmse", None], 1)
    assert found["pearson", None] == 0


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_the_correlation_is_that_of_any_unit(unit):
    target, value, bins = torch.tensor([1.0, 2.0, 4.0]).double(), torch.tensor([1.0, 3.0, 2.0]).double(), [0, 1, 1]
    found = metrics.compute_values(target * unit, value * unit, torch.tensor(bins), torch.tensor([1, 2]))
    assert found["pearson", None] == pytest.approx(stats.pearsonr(target, value)[0], rel=1e-12)


def test_a_bin_without_examples_is_an_error():
    one = torch.ones(2, dtype=torch.float64)
    with pytest.raises(ImpossibleCell, match="class 1 has no example to measure its error on"):
        metrics.compute_values(one, one, torch.tensor([0, 0]), torch.tensor([3, 1]))
    with pytest.raises(ImpossibleCell, match="class 1 has no example in training"):
        metrics.compute_values(one, one, torch.tensor([0, 1]), torch.tensor([3, 0]))


def test_every_metric_has_words_and_every_error_is_known_to_be_one():
    names = metrics.names(has_target=True)
    assert set(names) <= set(words.METRICS)
    assert not set(names) & set(metrics.names(has_target=False))
    assert {name for name in names if not name.endswith("pearson")} == set(ERRORS)
    assert set(words.MAIN_OF_TARGETS) <= set(names)


def test_of_errors_tuning_takes_the_least():
    rows = [("a", s, "val", "last", "rmse", None, lr + s, lr) for s in (0, 1) for lr in (0.3, 0.1, 0.2)]
    columns = ["case", "seed", "split", "selection", "metric", "class", "value", "lr"]
    assert trials.choose(pd.DataFrame(rows, columns=columns), "rmse", ["lr"])["a"]["chosen"] == {"lr": 0.1}


# Losses ------------------------------------------------------------------------------------------------------

LABELS, COUNTS = torch.tensor([0, 0, 1, 2]), torch.tensor([6.0, 3.0, 1.0], dtype=torch.float64)
TARGET = torch.tensor([-1.0, 0.0, 1.0, 3.0], dtype=torch.float64)
VALUE = torch.tensor([0.0, 0.0, 0.5, 1.0], dtype=torch.float64)


def test_squared_errors_by_hand():
    errors = np.array([1, 0, 0.25, 4])
    close(build("losses", {"name": "mse"})(VALUE[:, None], LABELS, COUNTS, TARGET), errors.mean())
    loss = build("losses", {"name": "weighted_mse"})
    close(loss.weights(COUNTS), [10 / 18, 10 / 9, 10 / 3])
    close(COUNTS @ loss.weights(COUNTS), COUNTS.sum())
    close(loss(VALUE[:, None], LABELS, COUNTS, TARGET), (errors * [10 / 18, 10 / 18, 10 / 9, 10 / 3]).mean())
    assert loss.weights(torch.tensor([4.0, 0.0])).tolist() == [1.0, 0.0]


def test_a_classification_beside_it_by_hand():
    logits = torch.randn(4, 3, generator=seeded(), dtype=torch.float64)
    outputs = torch.cat([VALUE[:, None], logits], dim=1)
    error, bins = 5.25 / 4, -logits.log_softmax(1)[torch.arange(4), LABELS].mean()

    def loss(**options):
        return build("losses", {"name": "regression_plus_classification", **options})(outputs, LABELS, COUNTS, TARGET)

    close(loss(weight=0.3), error + 0.3 * bins)
    close(loss(weight=100.0, variant="official_code"), 100 * error + bins)
    close(loss(weight=0.0, variant="official_code"), error)
    assert build("losses", {"name": "regression_plus_classification"}).outputs(3) == 4


def density(target, bandwidth):
    """Return the density of each target, by loops."""
    width = bandwidth * target.std(ddof=1)
    return np.array([np.mean([np.exp(-((a - b) ** 2) / (2 * width**2)) for b in target]) for a in target]) / (
        width * np.sqrt(2 * np.pi)
    )


def test_involution_weights_by_loops():
    target = np.random.default_rng(0).exponential(size=40) - 1
    p = density(target, 0.4)

    def importance(**options):
        return build("losses", {"name": "cisir", "bandwidth": 0.4, **options}).importance(target)

    close(importance()[:, 0], np.sqrt(1 - (p / p.max()) ** 2), rtol=1e-6)
    assert (importance()[:, 1] == 1).all()
    close(
        importance(alpha=0.5, correlation_alpha=2.0),
        np.column_stack([(1 - (p / p.max()) ** 0.5) ** 2, importance()[:, 0]]),
        rtol=1e-6,
    )
    q = np.where(target >= 2, p[target >= 2].min(), p)
    assert not np.array_equal(p, q)
    code = np.sqrt(1 - (q / (q.max() + 1e-3)) ** 2)
    close(importance(variant="official_code")[:, 0], code / code.sum(), rtol=1e-6)
    dense = np.maximum(1 - (p - p.min()) / (p.max() - p.min()), 1e-6)
    close(importance(density="dense", alpha=1.0)[:, 0], dense / dense.mean(), rtol=1e-6)
    assert (importance(density="none") == 1).all()
    assert (build("losses", {"name": "cisir"}).importance(np.full(4, 2.0)) == 1).all()


def test_an_involution_is_its_own_inverse_and_falls_with_density():
    p = np.linspace(0.01, 0.99, 50)
    w = np.sqrt(1 - p**2)
    close(np.sqrt(1 - w**2), p)
    target = np.concatenate([np.zeros(50) + np.linspace(-0.1, 0.1, 50), [3.0]])
    weight = build("losses", {"name": "cisir"}).importance(target)[:, 0]
    assert weight[-1] == weight.max() > 0.99
    assert weight.min() < 1e-6


def test_what_correlation_lacks_by_an_independent_library():
    given = torch.tensor([[0.5, 1.0], [1.0, 1.0], [2.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    error = (np.array([1, 0, 0.25, 4]) * [0.5, 1, 2, 1]).mean()

    def loss(value, weights=given, **options):
        return build("losses", {"name": "cisir", **options})(value[:, None], LABELS, COUNTS, TARGET, weights)

    close(loss(VALUE, correlation=0.0), error)
    close(loss(VALUE, correlation=2.0), error + 2 * (1 - np.corrcoef(VALUE, TARGET)[0, 1]), rtol=1e-6)
    close(loss(VALUE, variant="official_code", correlation=0.0), 4 * error)
    close(loss(VALUE, variant="official_code", density="dense", correlation=0.0), error)
    weights, v, t = given[:, :1].squeeze(), VALUE - VALUE.mean(), TARGET - TARGET.mean()
    pearson = (weights * v * t).sum() / ((weights * v * v).sum() * (weights * t * t).sum()).sqrt()
    close(loss(VALUE, given[:, [1, 0]], correlation=1.0), 5.25 / 4 + 1 - pearson, rtol=1e-6)
    flat = torch.full((4,), 2.0, dtype=torch.float64, requires_grad=True)
    loss(flat).backward()
    assert flat.grad.isfinite().all()


# Batches -----------------------------------------------------------------------------------------------------


def test_every_batch_holds_one_of_each_part_of_the_range():
    target = torch.from_numpy(np.random.default_rng(1).exponential(size=103))
    sampler = build("samplers", {"name": "stratified_batches", "groups": 10})
    parts = [set(part.tolist()) for part in np.array_split(np.argsort(target.numpy()), 10)]
    for epoch in range(3):
        drawn = sampler.draw(target, epoch=epoch, epochs=3.0, fixed=seeded(), shuffle=seeded(epoch))
        assert set(drawn.tolist()) == set(range(103)), "none is left out of an epoch"
        assert len(drawn) == 110
        for batch in drawn.view(-1, 10).tolist():
            assert all(len(part & set(batch)) == 1 for part in parts)
    assert not torch.equal(drawn, sampler.draw(target, epoch=0, epochs=3.0, fixed=seeded(), shuffle=seeded(0)))


def test_batches_that_do_not_hold_whole_groups_are_refused():
    sampler = build("samplers", {"name": "stratified_batches", "groups": 10})
    with pytest.raises(UserError, match="give a multiple of 10"):
        phases.Batches(sampler, 25, 4, torch.arange(50), ("finetune", "0", 0))


def test_the_rare_end_is_the_last_bin_for_every_seed():
    cfg = small_project.recipe(imbalance={"name": "rare_end", "per_class": 100, "factor": 100.0})
    y = np.repeat(np.arange(5), 120)
    for seed in range(5):
        split = draw.draw(cfg, y, 5, seed)
        assert np.bincount(split.train_labels).tolist() == [100, 31, 10, 3, 1]
        assert split.order.tolist() == [0, 1, 2, 3, 4]
    assert not np.array_equal(draw.draw(cfg, y, 5, 0).train_ids, split.train_ids), "rows are drawn"


# From the data to the measures -------------------------------------------------------------------------------

MLP = {"steps": 40, "batch_size": 16, "loss": "mse", "optimizer": {"name": "sgd", "lr": 0.02}}
NETWORK = {
    "data": {"name": "rotated_digits", "bins": 4},
    "imbalance": {"name": "rare_end", "per_class": 60, "factor": 20},
    "model": "mlp",
    "pretrain": {"steps": 1, "batch_size": 1},
    "finetune": MLP,
}
TABLE = {
    "data": "diabetes_progression",
    "imbalance": "natural",
    "validation": 0,
    "split": {"name": "k_fold", "folds": 5},
    "preprocessing": "typed_columns",
    "model": "ridge",
    "pretrain": {"steps": 1, "batch_size": 1},
    "finetune": {"steps": 1, "batch_size": 1, "loss": "mse"},
}
STAGES = ("preprocess", "sample", "finetune", "evaluate")


class Project:
    """A plan in a folder, and all its jobs run in this process."""

    def __init__(self, folder, cases, **base):
        small_project.make(folder, cases, **base)
        self.plan = planning.make("all", "smoke")
        self.plan.write(planning.RESULTS / "plan.json")
        for stage in STAGES:
            for cell in self.plan.cells.values():
                for block in cell.blocks if cell.stage == stage else ():
                    job.run(stage, cell.name, None if stage == "preprocess" else planning.block_name(block))
        self.entries = {e["case"]: e for e in self.plan.studies["test2026_small.smoke"]["entries"]}

    def folder(self, case, stage):
        name = (
            "" if stage == "preprocess" else planning.block_name(self.plan.cells[self.entries[case][stage]].blocks[0])
        )
        return self.plan.cells[self.entries[case][stage]].folder / name

    def predictions(self, case):
        return pq.read_table(self.folder(case, "finetune") / "predictions.parquet").to_pandas()

    def measured(self, case):
        table = pd.read_parquet(self.folder(case, "evaluate") / "metrics.parquet")
        return table[table["class"].isna()].set_index(["seed", "selection", "split", "metric"])["value"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return lambda cases, **base: Project(tmp_path / "project", cases, **base)


def test_a_target_is_followed_from_the_data_to_the_measures(project):
    both, wild = {"loss": "regression_plus_classification"}, {"optimizer": {"name": "sgd", "lr": 1e30}}
    p = project(
        {
            "plain": {},
            "stacked": {"execution": "stacked"},
            "cisir": {"finetune": {"loss": "cisir"}, "sample": {"name": "stratified_batches", "groups": 8}},
            "cisir_stacked": {
                "finetune": {"loss": "cisir"},
                "sample": {"name": "stratified_batches", "groups": 8},
                "execution": "stacked",
            },
            "both": {"finetune": both},
            "both_stacked": {"finetune": both, "execution": "stacked"},
            "still": {"finetune": {"optimizer": {"name": "sgd", "lr": 1e-30}}},
            "wild": {"finetune": wild},
            "snapshots": {"finetune": {"snapshots": 2}},
        },
        **NETWORK,
    )
    (_, train_t, _, test_t), _ = decode(p.entries["plain"]["recipe"]["data"])
    edges = targets.edges(train_t, 4)
    for case in p.entries:
        held = p.predictions(case)
        own = np.where(held["split"] == "test", test_t[held["id"] % len(test_t)], train_t[held["id"]])
        np.testing.assert_array_equal(held["target"], own)
        np.testing.assert_array_equal(held["label"], targets.bins(own, edges))
        assert not [c for c in held if c.startswith("logit")]
        measured = p.measured(case)
        for (seed, selection, split), rows in held.groupby(["seed", "selection", "split"], observed=True):
            close(measured[seed, selection, split, "rmse"], np.sqrt(((rows["target"] - rows["value"]) ** 2).mean()))
    for case in ("plain", "cisir", "both"):
        together = f"{case}_stacked" if case != "plain" else "stacked"
        np.testing.assert_allclose(p.predictions(case)["value"], p.predictions(together)["value"], atol=2e-3)
    # Learned: better than the mean. Not learned: a network of random weights is no better than its mean. Diverged:
    # the mean of the training targets for every row.
    assert (
        p.measured("plain")[0, "last", "test", "relative_rmse"]
        < 0.9
        < p.measured("still")[0, "last", "test", "relative_rmse"]
    )
    found = p.predictions("wild").query("seed == 0")
    trained = found.query("split == 'train'")
    close(found["value"], trained["target"].mean())
    close(p.measured("wild")[0, "last", "train", "relative_rmse"], 1)
    assert p.measured("wild")[0, "last", "test", "pearson"] == 0
    assert sorted(records.read_json(p.folder("wild", "finetune") / "run.json")["diverged"]) == ["0", "1"]
    snapshots = p.measured("snapshots")
    assert "pearson" in snapshots[0, "best_on_test", "test"].index
    assert "rmse" not in snapshots[0, "best_on_test", "test"].index, "the greatest error is no best"


def test_training_learns_in_standard_deviations_of_the_training_targets_of_its_seed(project, monkeypatch):
    seen = []
    real = loop.train
    monkeypatch.setattr(loop, "train", lambda run, **given: (seen.append(run.sample), real(run, **given))[1])
    p = project({"plain": {}}, **NETWORK)
    for sample in seen:
        assert abs(float(sample.targets.double().mean())) < 1e-6
        close(float(sample.targets.double().std(correction=0)), 1, rtol=1e-5)
    assert len(seen) == 2
    assert not np.array_equal(seen[0].ids, seen[1].ids)
    assert p.entries


def test_ridge_on_folds_is_what_scikit_learn_says(project):
    p = project({"plain": {}, "weighted": {"finetune": {"loss": "weighted_mse"}}}, seeds=5, **TABLE, block=5)
    held, (x, t) = p.predictions("plain"), load_diabetes(return_X_y=True)
    assert sorted(held["id"]) == list(range(len(t))), "each row is tested on once"
    assert not np.allclose(held["value"], p.predictions("weighted")["value"])
    for _, rows in held.groupby("seed"):
        test = rows["id"].to_numpy()
        own = np.setdiff1d(np.arange(len(t)), test)
        mean, std = x[own].mean(0), x[own].std(0)
        model = Ridge().fit((x[own] - mean) / std, t[own])
        close(rows["value"], model.predict((x[test] - mean) / std), rtol=1e-8)


# Features of classifiers -------------------------------------------------------------------------------------

COLUMNS = (Column("a"), Column("b"))


class Spy:
    """A classifier that notes the rows it is fitted on, and those it is asked about."""

    def __init__(self):
        self.asked = []

    def fit(self, x, y, seed):
        spy = Spy()
        spy.rows = {tuple(row) for row in x}
        SPIES.append(spy)
        return spy

    def predict_proba(self, x):
        self.asked.append({tuple(row) for row in x})
        return np.full((len(x), 2), 0.5)


SPIES: list[Spy] = []


def enrich(**options):
    return build("preprocessing", {"name": "classifier_features", **options})


def table(n=60, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 2))
    return x, x[:, 0] + random.normal(size=n)


def test_no_classifier_is_asked_about_a_row_that_it_was_fitted_on(monkeypatch):
    SPIES.clear()
    real = registry.build
    monkeypatch.setattr(registry, "build", lambda kind, spec: Spy() if kind == "models" else real(kind, spec))
    x, target = table()
    fitted = enrich(thresholds=3, folds=4).fit(x, COLUMNS, target, 0)
    assert len(SPIES) == 3 * 4 + 3
    for spy in SPIES[:12]:
        assert len(spy.rows) == 45
        assert all(not asked & spy.rows for asked in spy.asked)
    asked = [set.union(*(spy.asked[0] for spy in SPIES[t:12:3])) for t in range(3)]
    assert all(len(rows) == 60 for rows in asked), "every training row is asked about once, at each threshold"
    assert all(len(spy.rows) == 60 and not spy.asked for spy in SPIES[12:])
    fitted(x[:5] + 100)
    assert all(len(spy.asked) == 1 for spy in SPIES[12:])


def test_added_features_by_a_plain_loop():
    x, target = table()
    fitted = enrich(thresholds=2, folds=3).fit(x, COLUMNS, target, 7)
    typed = (x - x.mean(0)) / x.std(0)
    cuts = np.quantile(target, [1 / 3, 2 / 3])
    np.testing.assert_allclose(fitted.made_of_training[:, :2], typed)
    new = np.random.default_rng(9).normal(size=(4, 2))
    for t, cut in enumerate(cuts):
        options = {"max_iter": 1000}
        whole = LogisticRegression(**options).fit(typed, target <= cut)
        close(fitted(new)[:, 2 + t], whole.predict_proba((new - x.mean(0)) / x.std(0))[:, 1], rtol=1e-4)
        own = fitted.made_of_training[:, 2 + t]
        assert not np.allclose(own, whole.predict_proba(typed)[:, 1], atol=1e-3), "these would have seen the row"
    assert [c.name for c in fitted.columns] == ["a", "b", *(f"target <= {cut:.6g}" for cut in cuts)]


def test_added_features_say_nothing_of_targets_that_nothing_can_be_said_of():
    x = table(400)[0]
    noise = np.random.default_rng(5).normal(size=400)
    fitted = enrich(thresholds=1, classifier={"name": "decision_tree"}).fit(x, COLUMNS, noise, 0)
    below = noise <= np.median(noise)
    assert (fitted(x)[:, 2] > 0.5)[below].mean() > 0.95, "a tree knows the rows that it was grown on"
    assert abs((fitted.made_of_training[:, 2] > 0.5)[below].mean() - 0.5) < 0.12


def test_thresholds_split_the_training_targets():
    target = np.array([0.0, 0, 0, 0, 0, 0, 1, 2, 3, 10])
    close(enrich(thresholds=4).cuts(target), [0, 0.4, 2.2])  # the quantiles of .2 and .4 are the same
    close(enrich(thresholds=4, spacing="width").cuts(target), [2, 4, 6, 8])
    for spacing in ("frequency", "width"):
        for cut in enrich(thresholds=9, spacing=spacing).cuts(target):
            assert 0 < (target <= cut).sum() < 10
    with pytest.raises(ImpossibleCell, match="the training targets are equal"):
        enrich().cuts(np.ones(20))
    with pytest.raises(ImpossibleCell, match="3 training rows are fewer than 5 folds"):
        enrich().fit(np.ones((3, 2)), COLUMNS, np.arange(3.0), 0)


def test_a_fold_with_one_answer_gives_that_answer():
    x, target = table(20)
    target[:] = 0
    target[3] = 1
    fitted = enrich(thresholds=1, spacing="width", folds=5).fit(x, COLUMNS, target, 0)
    assert fitted.made_of_training[3, 2] == 1, "the fold without row 3 knows targets below the threshold alone"


def test_a_network_is_given_the_features_that_a_row_had_no_part_in(project):
    p = project(
        {"ridge": {"preprocessing": {"name": "classifier_features", "thresholds": 2}}},
        seeds=5,
        **(TABLE | {"block": 5}),
    )
    cfg = p.entries["ridge"]["recipe"]
    inputs = Inputs(cfg, p.folder("ridge", "preprocess"), p.folder("ridge", "sample"), 0)
    np.testing.assert_allclose(inputs.pool[inputs.train[0]], inputs.own, rtol=1e-6)
    transform, columns = inputs.fitted
    assert len(columns) == inputs.own.shape[1] == 12
    seen = transform(inputs.raw_pool[inputs.train[0]])
    np.testing.assert_allclose(seen[:, :10], inputs.own[:, :10])
    assert not np.allclose(seen[:, 10:], inputs.own[:, 10:])
    test = inputs.test[0]
    np.testing.assert_allclose(inputs.tests[test], transform(inputs.raw_pool[test]), rtol=1e-6)


# What is refused ---------------------------------------------------------------------------------------------

DIGITS = {"data": "digits", "imbalance": {"name": "step", "per_class": 60, "minority_count": 6}, "model": "mlp"}
REFUSED = {
    "a loss of classes": (
        NETWORK,
        {"finetune": {"loss": "cross_entropy"}},
        "finetune.loss: cross_entropy is for classes, and rotated_digits has a target; one of: cisir, mse, "
        "regression_plus_classification, weighted_mse",
    ),
    "a correction of logits": (
        NETWORK,
        {"evaluate": {"rebalancing": "logit_adjustment"}},
        "evaluate.rebalancing: logit_adjustment is for classes, and rotated_digits has a target; one of: none",
    ),
    "rows that are made": (TABLE, {"sample": "smote"}, "sample: smote makes rows, and none has a target"),
    "a strategy of classes": (NETWORK, {"finetune": {"method": "drw"}}, "finetune.method: drw is for classes"),
    "mixing": (NETWORK, {"finetune": {"mixing": "mixup"}}, "finetune.mixing: mixup is for classes"),
    "pretraining": (NETWORK, {"pretrain": {"method": "supervised"}}, "pretrain.method: supervised is for classes"),
    "a head of classes": (NETWORK, {"head": "cosine"}, "head: cosine is for classes"),
    "a classifier": (
        TABLE,
        {"model": "random_forest"},
        "model: random_forest is for classes, and diabetes_progression has a target; one of: forest_regressor, "
        "knn_regressor, lightgbm_regressor, regression_tree, ridge",
    ),
    "noise in labels": (
        NETWORK,
        {"label_noise": 0.1},
        "label_noise: found 0.1, expected 0: rotated_digits has a target",
    ),
    "a search": (TABLE, {"finetune": {"inner": {"folds": 3}}}, "finetune.inner.folds: found 3, expected 0"),
    "a loss without weights on a classical model": (
        TABLE,
        {"finetune": {"loss": "cisir"}},
        r"of losses it takes the class weights, and cisir has none \(those that do: weighted_mse\)",
    ),
    "a regressor of classes": (DIGITS, {"model": "ridge"}, "model: ridge is for a target, and digits has classes"),
    "a loss of targets": (
        DIGITS,
        {"finetune": {"loss": "mse"}},
        "finetune.loss: mse is for a target, and digits has classes",
    ),
    "features of a target": (
        DIGITS,
        {"preprocessing": "classifier_features"},
        "preprocessing: classifier_features is for a target, and digits has classes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_suit_the_task_is_one_clear_line(what, tmp_path, monkeypatch):
    base, case, line = REFUSED[what]
    check(tmp_path, monkeypatch, base, case, "rmse" if base is not DIGITS else "accuracy", line)


@pytest.mark.parametrize(
    ("base", "metric", "line"),
    [
        (
            NETWORK,
            "balanced_accuracy",
            "primary.metric: balanced_accuracy is measured of classes, and rotated_digits has a target",
        ),
        (DIGITS, "rmse", "primary.metric: rmse is measured of a target, and digits has classes"),
    ],
)
def test_a_metric_of_the_other_task_is_refused(base, metric, line, tmp_path, monkeypatch):
    check(tmp_path, monkeypatch, base, {}, metric, line)


def test_a_claim_on_a_metric_of_the_other_task_is_refused(tmp_path, monkeypatch):
    claim = {
        "text": "t",
        "form": "better",
        "A": "case",
        "B": "other",
        "metric": "accuracy",
        "scope": "scaled",
        "margin": 0.1,
    }
    check(
        tmp_path,
        monkeypatch,
        NETWORK,
        {},
        "rmse",
        "metric: found 'accuracy', expected a metric",
        claims=[claim],
        other={},
    )


def test_a_study_is_of_one_task(tmp_path, monkeypatch):
    line = "data: rotated_digits has a target and digits has classes; make two studies"
    check(tmp_path, monkeypatch, NETWORK, {"data": "digits"}, "rmse", line, other={})


def check(folder, monkeypatch, base, case, metric, line, claims=(), **others):
    small_project.make(folder, {"case": case, **others}, seeds=5, **(base | {"block": 5}))
    path = folder / "config" / "studies" / "test2026_small.yaml"
    study = yaml.safe_load(path.read_text()) | {"primary": {"metric": metric}, "claims": list(claims)}
    path.write_text(yaml.safe_dump(study))
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=line) as caught:
        preflight.check_plan(planning.make("test2026_small", "smoke"))
    assert "\n" not in str(caught.value)


def test_what_suits_passes(tmp_path, monkeypatch):
    for number, base in enumerate((NETWORK, TABLE)):
        folder = small_project.make(tmp_path / str(number), {"case": {}}, seeds=5, **(base | {"block": 5}))
        path = folder / "config" / "studies" / "test2026_small.yaml"
        path.write_text(path.read_text().replace("balanced_accuracy", "rmse"))
        monkeypatch.chdir(folder)
        preflight.check_plan(planning.make("test2026_small", "smoke"))
