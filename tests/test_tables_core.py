"""Tables: who is tested on, what is fitted on which rows, and what folds of one table are worth as evidence."""

import json
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import small_project
import torch

from counterpoise import registry
from counterpoise.data import draw
from counterpoise.data.columns import Column
from counterpoise.data.inputs import Inputs
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.jobs import job
from counterpoise.judging import statistics as st
from counterpoise.judging.effects import Resampling
from counterpoise.judging.verdicts import judge
from counterpoise.planning import plan as planning
from counterpoise.registry import build
from counterpoise.scoring import threshold
from counterpoise.scoring.evidence import Evidence
from counterpoise.stages import sample as sampling
from counterpoise.training import classical as fitting

Y = np.repeat([0, 1], [60, 13])


# Splits ------------------------------------------------------------------------------------------------------


def test_each_row_is_tested_on_once_in_each_repetition_and_classes_are_dealt_evenly():
    split = build("splits", {"name": "k_fold", "folds": 4})
    for repetition in range(3):
        parts = [split.parts(Y, 4 * repetition + fold, None) for fold in range(4)]
        assert (np.sum([is_test for _, is_test in parts], axis=0) == 1).all()
        assert all((train == ~test).all() for train, test in parts)
        for label in (0, 1):
            counts = [(Y[test] == label).sum() for _, test in parts]
            assert max(counts) - min(counts) <= 1
    assert not (split.parts(Y, 0, None)[1] == split.parts(Y, 4, None)[1]).all(), "another repetition deals anew"


def test_a_class_with_fewer_rows_than_folds_says_so():
    with pytest.raises(ImpossibleCell, match="class 1 has 2 rows, 4 folds need one each"):
        build("splits", {"name": "k_fold", "folds": 4}).parts(np.repeat([0, 1], [20, 2]), 0, None)


def test_no_group_is_on_both_sides():
    groups = np.arange(len(Y)) // 3.0
    split = build("splits", {"name": "grouped_k_fold", "column": "who", "folds": 4})
    tested = np.zeros(len(Y))
    for seed in range(4):
        train, test = split.parts(Y, seed, groups)
        assert not set(groups[train]) & set(groups[test])
        tested += test
    assert (tested == 1).all()


def test_time_never_runs_backwards():
    time = np.random.default_rng(0).integers(0, 40, len(Y)).astype(float)
    y = np.arange(len(Y)) % 2
    split = build("splits", {"name": "time_ordered", "column": "t", "folds": 3})
    for seed in range(3):
        train, test = split.parts(y, seed, time)
        assert time[train].max() < time[test].min()
    with pytest.raises(ImpossibleCell, match="seed 3 has no stretch"):
        split.parts(y, 3, time)


@pytest.mark.parametrize(("rows", "kept"), [(73, [60, 13]), (37, [30, 7]), (2, [2, 1])])
def test_a_cap_keeps_every_class_in_proportion_and_at_least_one_row(rows, kept):
    split = draw.draw(small_project.recipe(rows=rows), Y, 2, 0)
    assert np.bincount(split.train_labels).tolist() == kept
    assert draw.draw(small_project.recipe(rows=rows), Y, 2, 5).train_ids.tolist() == split.train_ids.tolist()


# What is fitted on which rows --------------------------------------------------------------------------------


def table(folder, seeds=2, missing=False, **cfg):
    """Write what preprocess and sample leave of a table whose first column is the number of the row."""
    data, sample = folder / "data", folder / "sample"
    for part in (data, sample):
        part.mkdir(parents=True)
    random = np.random.default_rng(3)
    x = np.column_stack([np.arange(len(Y)), random.normal(Y, 1), random.integers(0, 3, len(Y))]).astype(float)
    if missing:
        x[::5, 1] = np.nan
    columns = [Column("row"), Column("score"), Column("colour", "categorical", ("red", "green", "blue"))]
    meta = {"classes": ["no", "yes"], "shape": [3], "name": "made", "kind": "table", "data_hash": "0" * 64}
    meta["columns"] = [vars(column) for column in columns]
    (data / "meta.json").write_text(json.dumps(meta))
    for name, array in {"train_x": x, "train_y": Y, "test_x": x[:0], "test_y": Y[:0]}.items():
        np.save(data / f"{name}.npy", array)
    given = {"split": {"name": "k_fold", "folds": 4}, "preprocessing": {"name": "typed_columns"}, **cfg}
    cfg = small_project.recipe(**given)
    parts = [draw.draw(cfg, Y, 2, seed) for seed in range(seeds)]
    pq.write_table(
        sampling.pa.concat_tables([sampling._table(s, i) for i, s in enumerate(parts)]), sample / "split.parquet"
    )
    held = {str(i): sampling._statistics(s, x, 2) for i, s in enumerate(parts)}
    (sample / "statistics.json").write_text(json.dumps(held))
    return data, sample, cfg


def recipe(inner=(), **changes):
    base = {"model": {"name": "decision_tree"}, "preprocessing": {"name": "raw"}, "finetune": {"inner": dict(inner)}}
    return small_project.recipe(**base | changes)


def test_what_test_rows_hold_changes_nothing_that_is_fitted(tmp_path):
    data, sample, cfg = table(tmp_path, missing=True)
    inputs = Inputs(cfg, data, sample, 0)
    fitted = inputs.fitted[0]
    other = Inputs(cfg, data, sample, 0)
    other.raw_pool = other.raw_pool.copy()
    other.raw_pool[other.test[0]] = 1e6
    probe = inputs.raw_pool[inputs.train[0]].copy()
    np.testing.assert_array_equal(fitted(probe), other.fitted[0](probe))
    assert not set(inputs.train[0]) & set(inputs.test[0])
    assert len(inputs.train[0]) + len(inputs.test[0]) == len(Y)


def test_typed_columns_by_hand():
    columns = (Column("n"), Column("c", "categorical", ("a", "b", "z")), Column("o", "ordinal", ("s", "m", "l")))
    x = np.array([[1.0, 0, 2], [3.0, 1, np.nan], [np.nan, 0, 0], [5.0, 1, 1]])
    fitted = build("preprocessing", {"name": "typed_columns"}).fit(x, columns)
    names = ["n", "n is missing", "c=a", "c=b", "o", "o is missing"]
    assert [column.name for column in fitted.columns] == names
    filled, order = np.array([1, 3, 3, 5.0]), np.array([2, 1, 0, 1.0])
    expected = np.column_stack(
        [(filled - 3) / filled.std(), [0, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1], (order - 1) / order.std(), [0, 1, 0, 0]]
    )
    np.testing.assert_allclose(fitted(x), expected)
    np.testing.assert_allclose(fitted(np.array([[3.0, 2, 1]])), [[0, 0, 0, 0, 0, 0]])  # a category never seen
    np.testing.assert_allclose(fitted(np.array([[np.nan, np.nan, 1]]))[0, :4], [0, 1, 0, 0])


@pytest.mark.parametrize("impute", ["nearest", "iterative"])
def test_gaps_filled_from_other_columns_are_those_of_scikit_learn_on_scaled_columns(impute):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    random = np.random.default_rng(0)
    whole = random.normal(size=(40, 4)) @ random.normal(size=(4, 4)) * [1, 10, 100, 1] + 5
    x = np.where(random.random(whole.shape) < 0.2, np.nan, whole)
    x[:, 3] = np.where(np.isnan(x[:, 3]), np.nan, random.integers(0, 3, 40))
    columns = (Column("a"), Column("b"), Column("c"), Column("o", "ordinal", ("s", "m", "l")))
    spec = {"name": "typed_columns", "impute": impute}
    fitted = build("preprocessing", spec).fit(x[:30], columns)
    plain = build("preprocessing", {"name": "typed_columns"}).fit(x[:30], columns)
    assert fitted.columns == plain.columns
    scaled = (x - np.nanmean(x[:30], axis=0)) / np.nanstd(x[:30], axis=0)
    peer = KNNImputer() if impute == "nearest" else IterativeImputer(random_state=0)
    expected = peer.fit(scaled[:30, :3]).transform(scaled[30:, :3])
    numbers = [i for i, column in enumerate(fitted.columns) if column.kind == "numeric"]
    np.testing.assert_allclose(fitted(x[30:])[:, numbers], expected, rtol=1e-9, atol=1e-12)
    others = [i for i in range(len(fitted.columns)) if i not in numbers]
    np.testing.assert_array_equal(fitted(x[30:])[:, others], plain(x[30:])[:, others])
    alone = build("preprocessing", spec).fit(x[:30, 3:], columns[3:])
    np.testing.assert_array_equal(alone(x[30:, 3:]), plain(x[30:])[:, -alone.origin_F.size :])


@dataclass(frozen=True)
class Spy:
    """A sampler and a model that remember which rows they were given (column 0 is the row's number)."""

    version: ClassVar[int] = 1
    classical: ClassVar[bool] = True
    given: ClassVar[list] = []
    sampled: ClassVar[list] = []
    search: ClassVar[tuple] = ({}, {"worth": 2.0})
    worth: float = 1.0

    def resample(self, x, y, columns, random):
        self.sampled.append(x[:, 0].astype(int))
        return np.concatenate([x, x[y == 1]]), np.concatenate([y, y[y == 1]])

    def fit(self, x, y, seed):
        rows = set(x[:, 0].astype(int))
        self.given.append(rows)
        worth = self.worth

        class Fitted:
            classes_ = np.array([0, 1])

            def predict_proba(self, x):
                assert not rows & set(x[:, 0].astype(int)), "a row is predicted by a model that was fitted on it"
                p = 0.5 + (worth - 1.5) * 0.5 * (Y[x[:, 0].astype(int)] - 0.5)
                return np.column_stack([1 - p, p])

        return Fitted()


def test_inner_folds_resample_fit_and_predict_apart_and_the_best_point_wins(tmp_path, monkeypatch):
    data, sample, _ = table(tmp_path)
    real = registry.build
    monkeypatch.setattr(
        fitting,
        "build",
        lambda k, s: Spy(**{a: b for a, b in s.items() if a != "name"}) if s["name"] == "spy" else real(k, s),
    )
    inputs = Inputs(recipe(preprocessing={"name": "raw"}), data, sample, 1)
    cfg = recipe(model={"name": "spy"}, sample={"name": "spy"}, inner={"folds": 3, "points": 2})
    Spy.given.clear(), Spy.sampled.clear()
    state, predict, out_of_fold, search = fitting.fit(cfg, inputs)
    assert search["chosen"] == {"name": "spy", "worth": 2.0}
    assert search["scores"][1] == 1.0
    assert search["scores"][0] < 0.5
    train, test = set(inputs.train[0]), set(inputs.test[0])
    assert len(Spy.given) == 2 * 3 + 1
    assert all(rows <= train for rows in Spy.given)
    assert Spy.given[-1] == train
    assert all(not set(rows) & test for rows in Spy.sampled)
    for point in range(2):  # each inner fold leaves out another third
        left_out = [train - rows for rows in Spy.given[3 * point : 3 * point + 3]]
        assert set.union(*left_out) == train
        assert sum(map(len, left_out)) == len(train)
    ranks_right = (out_of_fold[:, 1] > out_of_fold[:, 0]) == (inputs.train[1] == 1)
    assert ranks_right.all()
    positives = int((inputs.train[1] == 1).sum())
    assert state.seen == [len(train) - positives, 2 * positives]
    predict(inputs.raw_pool[inputs.test[0]])


def test_class_weights_reach_a_classical_model(tmp_path):
    data, sample, _ = table(tmp_path)
    inputs = Inputs(recipe(preprocessing={"name": "typed_columns"}), data, sample, 0)
    logistic = {"model": {"name": "logistic_regression"}, "preprocessing": {"name": "typed_columns"}}
    plain, weighted = (
        fitting.fit(recipe(**logistic, finetune={"loss": {"name": loss}}), inputs)[1](inputs.raw_pool[inputs.test[0]])
        for loss in ("cross_entropy", "class_weighted")
    )
    assert np.exp(weighted[:, 1]).mean() > np.exp(plain[:, 1]).mean() + 0.1
    y, x = inputs.train[1], inputs.fitted[0](inputs.raw_pool[inputs.train[0]])
    from sklearn.linear_model import LogisticRegression

    theirs = LogisticRegression(class_weight="balanced", max_iter=10_000, tol=1e-8).fit(x, y)
    expected = theirs.predict_proba(inputs.fitted[0](inputs.raw_pool[inputs.test[0]]))
    np.testing.assert_allclose(np.exp(weighted), expected, atol=2e-3)


def test_a_replicate_of_a_classical_model_sees_the_same_rows_and_draws_anew(tmp_path):
    data, sample, _ = table(tmp_path)
    inputs = Inputs(recipe(preprocessing={"name": "raw"}), data, sample, 0)
    forest = recipe(model={"name": "random_forest", "n_estimators": 5})
    rows = inputs.raw_pool[inputs.test[0]]
    found = []
    for again in (0, 0, 1):
        forest["finetune"]["replicate"] = again
        found.append(fitting.fit(forest, inputs)[1](rows))
    assert np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_missing_values_that_a_model_does_not_take_are_one_clear_line(tmp_path):
    data, sample, _ = table(tmp_path, missing=True)
    inputs = Inputs(recipe(preprocessing={"name": "raw"}), data, sample, 0)
    with pytest.raises(ImpossibleCell, match="takes no missing values; say preprocessing: typed_columns"):
        fitting.fit(recipe(model={"name": "logistic_regression"}), inputs)
    with pytest.raises(ImpossibleCell, match="column 'score' has missing values; say preprocessing: typed_columns"):
        Inputs(recipe(preprocessing={"name": "standardise"}), data, sample, 0)


# Thresholds and priors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["f1", "balanced_accuracy", "g_mean", "accuracy", "mcc"])
def test_the_best_threshold_is_that_of_trying_all(metric):
    from sklearn import metrics

    by_hand = {
        "f1": lambda y, p: metrics.f1_score(y, p, zero_division=0),
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "g_mean": lambda y, p: math.sqrt(metrics.recall_score(y, p) * metrics.recall_score(1 - y, 1 - p)),
        "accuracy": metrics.accuracy_score,
        "mcc": metrics.matthews_corrcoef,
    }[metric]
    random = np.random.default_rng(5)
    for _ in range(20):
        y = (random.random(40) < 0.3).astype(int)
        y[:2] = 0, 1
        margin = np.round(random.normal(y, 1), 1)  # with ties
        found = threshold.best(torch.from_numpy(margin), torch.from_numpy(y == 1), metric)
        cuts = [margin.min() - 1, *np.unique(margin), margin.max() + 1]
        every = [by_hand(y, (margin > cut).astype(int)) for cut in cuts]
        assert found[1] == pytest.approx(max(every))
        assert by_hand(y, (margin > found[0]).astype(int)) == pytest.approx(max(every))


def test_the_threshold_moves_decisions_and_nothing_else():
    logits = torch.tensor([[0.0, -3.0], [0.0, -1.0], [0.0, 1.0], [0.0, -2.0]]).double()
    labels = torch.tensor([0, 1, 1, 0])
    evidence = Evidence(torch.tensor([30, 10]), torch.tensor([30, 10]), logits, labels)
    scores = build("rebalancing", {"name": "tuned_threshold"}).fit(evidence)(logits)
    assert scores.decision_BC.argmax(1).tolist() == [0, 1, 1, 0]
    plain = build("rebalancing", {"name": "none"}).fit(evidence)(logits)
    assert torch.equal(scores.ranking_BC, plain.ranking_BC)
    assert torch.equal(scores.log_prob_BC, plain.log_prob_BC)


def test_probabilities_get_the_true_prior_back_after_undersampling():
    # Dal Pozzolo et al. 2015, equation 4: p = beta q / (beta q - q + 1), beta the share of negatives that was kept
    evidence = Evidence(torch.tensor([900, 100]), torch.tensor([100, 100]))
    q = torch.tensor([0.2, 0.5, 0.9]).double()
    beta = 100 / 900
    rule = build("rebalancing", {"name": "prior_correction"}).fit(evidence)
    found = rule(torch.stack([1 - q, q], 1).log()).log_prob_BC.exp()[:, 1]
    torch.testing.assert_close(found, beta * q / (beta * q - q + 1))


# Folds as evidence -------------------------------------------------------------------------------------------


def test_the_corrected_resampled_t_by_hand():
    values = np.array([0.1, 0.2, 0.3, 0.4])
    variance = values.var(ddof=1) * (1 / 4 + 1 / 3)  # Nadeau and Bengio 2003: 1 / J + n_test / n_train
    mean, low, high = st.t_interval(st.widened(values, 1 / 3), 0.05)
    assert mean == pytest.approx(0.25)
    assert high - mean == pytest.approx(3.182446305 * math.sqrt(variance), rel=1e-8)
    assert mean - low == pytest.approx(high - mean)
    assert st.widened(values, 0.0) is not None
    np.testing.assert_array_equal(st.widened(values, 0.0), values)


CLAIM = {"text": "A is better", "form": "better", "A": "a", "B": "b", "metric": "f1", "margin": 0.01, "scope": "scaled"}


def verdict(table, resampling, **changes):
    from counterpoise.judging.claims import parse_claims

    primary = {"metric": "f1"}
    factors = {"data": sorted(set(table.get("data", ["t"])))}
    claims = parse_claims(
        [CLAIM | changes], cases=["a", "b"], factors=factors, metrics=["f1"], primary=primary, where="s"
    )
    return judge(claims, table, scale="small", seeds=sorted(set(table["seed"])), resampling=resampling)[0]


def long(values):
    """Return a tidy table of {(case, data, seed): value}."""
    rows = [
        {"case": case, "point": f"data={data}", "data": data, "seed": seed, "value": value, "class": None}
        | {"selection": "last", "split": "test", "metric": "f1"}
        for (case, data, seed), value in values.items()
    ]
    return pd.DataFrame(rows)


def test_folds_of_one_table_are_not_independent_seeds():
    random = np.random.default_rng(1)
    gains = random.normal(0.02, 0.03, 40)
    values = long({(c, "t", s): 0.5 + (c == "a") * gains[s] for c in "ab" for s in range(40)})
    naive, honest = verdict(values, Resampling()), verdict(values, Resampling(4, 1 / 3))
    assert naive["verdict"] == "reproduced"
    assert honest["verdict"] == "inconclusive"
    ratio = np.ptp(honest["interval"]) / np.ptp(naive["interval"])
    assert ratio == pytest.approx(math.sqrt(1 + 40 / 3))
    assert "corrected resampled t" in honest["sentence"]
    assert "more folds of the same rows hardly help" in honest["reason"]


def test_across_tables_the_unit_is_the_table():
    gains = {"t1": 0.05, "t2": 0.03, "t3": -0.01, "t4": 0.02}
    noise = np.random.default_rng(2).normal(0, 0.2, 20)
    noise -= noise.mean()
    values = long({(c, d, s): 0.5 + (c == "a") * (gains[d] + noise[s]) for c in "ab" for d in gains for s in range(20)})
    row = verdict(values, Resampling(5, 0.25), across="data")
    mean, low, high = st.t_interval(list(gains.values()), 0.05)
    assert (row["n"], row["effect"]) == (4, pytest.approx(float(mean)))
    assert row["interval"] == pytest.approx([float(low), float(high)])
    assert "n = 4 tables" in row["sentence"]


def test_a_table_on_which_one_side_failed_is_a_gap_and_no_number():
    values = long({(c, d, s): 0.5 + (c == "a") * 0.1 for c in "ab" for d in ("t1", "t2", "t3") for s in range(5)})
    values = values[(values["case"] != "b") | (values["data"] != "t2")]
    row = verdict(values, Resampling(5, 0.25), across="data")
    assert (row["verdict"], row["n"], row["effect"]) == ("inconclusive", 0, None)
    assert row["reason"].startswith("gap: 5 of 5 seeds")
    json.dumps(row, allow_nan=False)


def test_a_published_number_of_the_same_table_is_held_to_repetitions():
    random = np.random.default_rng(4)
    folds = random.normal(0, 0.1, 4)
    values = long({("a", "t", s): 0.3 + folds[s % 4] - folds.mean() + 0.001 * (s // 4) for s in range(40)})
    claim = {k: v for k, v in CLAIM.items() if k != "B"} | {"form": "close", "to": 0.3045, "margin": 0.02}
    from counterpoise.judging.claims import parse_claims

    claims = parse_claims([claim], cases=["a"], factors={}, metrics=["f1"], primary={"metric": "f1"}, where="s")
    row = judge(claims, values, scale="small", seeds=40, resampling=Resampling(4, 1 / 3))[0]
    assert (row["n"], row["verdict"]) == (10, "reproduced")
    assert row["effect"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("form", ["exists", "depends"])
def test_forms_that_count_independent_runs_are_refused_on_folds(form):
    values = long({(c, "t", s): 0.5 for c in "ab" for s in range(8)})
    more = {"share": 0.5} if form == "exists" else {}
    claim = CLAIM | {"form": form} | more
    if form == "depends":
        claim = {k: v for k, v in claim.items() if k not in "AB"} | {"factor": "data", "levels": {"a": 1, "b": 2}}
    from counterpoise.judging.claims import parse_claims

    claims = parse_claims(
        [claim], cases=["a", "b"], factors={"data": ["t"]}, metrics=["f1"], primary={"metric": "f1"}, where="s"
    )
    with pytest.raises(UserError, match="takes independent runs, which folds of a table are not"):
        judge(claims, values, scale="small", seeds=8, resampling=Resampling(4, 1 / 3))


# The whole way -----------------------------------------------------------------------------------------------


def test_a_cross_validated_study_runs_through(tmp_path, monkeypatch):
    cases = {
        "tree": {},
        "searched": {
            "finetune": {"inner": {"folds": 3}},
            "evaluate": {"rebalancing": {"name": "tuned_threshold", "metric": "f1"}},
        },
        "network": {"model": "mlp"},
    }
    base = {"data": "breast_cancer", "imbalance": "natural", "validation": 0, "model": "decision_tree"}
    base |= {"split": {"name": "k_fold", "folds": 4}, "block": 8, "preprocessing": "typed_columns"}
    small_project.make(tmp_path, cases, seeds=8, **base)
    monkeypatch.chdir(tmp_path)
    plan = planning.make("test2026_small", "smoke")
    plan.write(planning.PLAN)
    for cell in [c for stage in planning.STAGES[:-1] for c in plan.cells.values() if c.stage == stage]:
        job.run(cell.stage, cell.name, None if cell.stage == "preprocess" else "seeds-00-07")
    entries = {e["case"]: e for e in plan.studies["test2026_small.smoke"]["entries"]}
    tested = {}
    for case, entry in entries.items():
        folder = plan.cells[entry["finetune"]].folder / "seeds-00-07"
        rows = pd.read_parquet(folder / "predictions.parquet")
        test = rows[rows["split"] == "test"]
        once = test.groupby(test["seed"] // 4)["id"]
        assert (once.nunique() == 398).all()
        assert (once.size() == 398).all()
        tested[case] = test[["seed", "id", "label"]].reset_index(drop=True)
        values = pd.read_parquet(plan.cells[entry["evaluate"]].folder / "seeds-00-07" / "metrics.parquet")
        f1 = values[(values["metric"] == "f1") & (values["split"] == "test")]["value"]
        assert len(f1) == 8
        assert f1.between(0.8, 1).all()
        has_training = (rows["split"] == "train").any()
        assert has_training == (case == "network"), "of many folds a classical model predicts the test rows only"
        if case == "searched":
            out = rows[rows["split"] == "val"]
            assert not set(zip(out["seed"], out["id"], strict=True)) & set(zip(test["seed"], test["id"], strict=True))
    pd.testing.assert_frame_equal(tested["tree"], tested["network"])


def test_seeds_that_leave_a_repetition_unfinished_are_refused(tmp_path, monkeypatch):
    from counterpoise.checking import preflight

    base = {"data": "breast_cancer", "imbalance": "natural", "validation": 0, "model": "decision_tree"}
    small_project.make(tmp_path, {"tree": {}}, seeds=6, **base, block=6, split={"name": "k_fold", "folds": 4})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="6 seeds do not fill repetitions of 4 folds"):
        preflight.check_plan(planning.make("test2026_small", "smoke"))


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ({"finetune": {"loss": "focal"}}, "of losses it takes the class weights, and focal has none"),
        ({"model": "knn", "finetune": {"loss": "class_weighted"}}, "knn takes no class weights"),
        ({"pretrain": {"method": "supervised"}}, "is fitted in one go and cannot be pretrained"),
        ({"model": "mlp", "finetune": {"inner": {"folds": 3}}}, "only classical models are searched on inner folds"),
    ],
)
def test_what_a_classical_model_cannot_take_is_said_in_planning(case, fault, tmp_path, monkeypatch):
    from counterpoise.checking import preflight

    base = {"data": "breast_cancer", "imbalance": "natural", "validation": 0, "model": "decision_tree"}
    small_project.make(tmp_path, {"tree": case}, **base)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=fault):
        preflight.check_plan(planning.make("test2026_small", "smoke"))
