"""The second interval of accuracies: seeds and test examples drawn anew together, against loops and evaluation.

.venv/bin/python -m pytest -n 0 tests/test_bootstrap.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from counterpoise import registry, streams
from counterpoise.judging import results
from counterpoise.publishing import bootstrap
from counterpoise.scoring import evaluation

SEEDS, COUNTS = [0, 1, 2], [40, 12, 4]
LABELS = np.repeat([0, 1, 2], [20, 9, 4])
CASES = {"adjusted": "logit_adjustment", "plain": "none"}


def frame(data, case, seed, ids=None):
    draw = np.random.default_rng([len(data), len(case), seed])
    logits = draw.normal(size=(len(LABELS), 3)) + 1.2 * np.eye(3)[LABELS] + [1.0, 0, -1]
    about = {"selection": "last", "split": "test", "id": np.arange(len(LABELS)) if ids is None else ids}
    return pd.DataFrame({"seed": seed, **about, "label": LABELS, **{f"logit_{c}": logits[:, c] for c in range(3)}})


def study_of(folder, claims, ids=None, seeds=SEEDS):
    """Write the predictions of two cases on two data sets; return the study and its blocks."""
    entries, found = [], []
    for case, rule in CASES.items():
        for data in ("mnist", "fashion_mnist"):
            spec = {"rebalancing": {"name": rule}, "test_factor": 1.0}
            entry = {"case": case, "point": f"data={data}", "factors": {"data": data}}
            entry["recipe"] = {"data": {"name": data}, "evaluate": spec}
            place = Path(folder) / case / data
            place.mkdir(parents=True)
            counts = {str(seed): COUNTS for seed in seeds}
            meta = {"classes": ["a", "b", "c"], "class_counts": counts, "seen_counts": counts}
            meta |= {"design_counts": counts, "diverged": {}, "heads": {}}
            made = pd.concat([frame(data, case, seed, None if ids is None else ids[seed]) for seed in seeds])
            made = pa.Table.from_pandas(made, preserve_index=False)
            pq.write_table(
                made.replace_schema_metadata({"counterpoise": json.dumps(meta)}), place / "predictions.parquet"
            )
            blocks = {
                stage: results.Block(stage, case, place, {"status": "done"}) for stage in ("finetune", "evaluate")
            }
            entries.append(entry)
            found.append((entry, blocks))
    common = {"text": "t", "form": "better", "scope": "scaled", "A": "adjusted", "B": "plain", "margin": 0.01}
    primary = {"metric": "balanced_accuracy", "selection": "last", "transform": "none"}
    study = {"name": "a2000_b", "cases": list(CASES), "seeds": SEEDS, "primary": primary, "entries": entries}
    return study | {"claims": [common | claim for claim in claims]}, found


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_what_is_drawn_anew_is_the_effect_that_evaluation_measures(tmp_path, metric):
    study, found = study_of(tmp_path, [{"metric": metric}])
    for entry, blocks in found:
        measured, _ = evaluation.evaluate(
            *evaluation.read(blocks["finetune"].folder / "predictions.parquet"),
            registry.build("rebalancing", entry["recipe"]["evaluate"]["rebalancing"]),
        )
        values = measured[(measured["metric"] == metric) & (measured["split"] == "test")].sort_values("seed")["value"]
        right_SN, labels_N = bootstrap._right(entry["case"], entry["point"], study, found, {})
        assert bootstrap.weighted(right_SN, labels_N, metric).sum(1) == pytest.approx(values.tolist(), rel=1e-12)


def test_seeds_and_examples_are_drawn_together_by_a_plain_loop(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 40)
    draw = np.random.default_rng(1)
    parts = [(draw.normal(size=(3, 7)), np.array([0, 0, 1, 1, 1, 2, 0])), (draw.normal(size=(3, 2)), np.array([1, 0]))]
    random, totals = streams.numpy("t", "t", 0), np.zeros(40)
    seeds = [np.repeat(np.arange(3), times) for times in random.multinomial(3, [1 / 3] * 3, size=40)]
    for shares, labels in parts:
        for c in sorted(set(labels.tolist())):
            own = np.flatnonzero(labels == c)
            for d, places in enumerate(random.integers(len(own), size=(40, len(own)))):
                totals[d] += sum(shares[s, own[k]] for s in seeds[d] for k in places) / 3
    found = bootstrap.percentiles(parts, streams.numpy("t", "t", 0))
    assert found == pytest.approx(np.quantile(totals, [0.025, 0.975]).tolist(), rel=1e-12)


def test_the_interval_has_the_width_of_both_sources_together():
    # One class, right or wrong by a coin for each example in all seeds alike, and a level for each seed.
    draw = np.random.default_rng(2)
    level_S, example_N = 0.1 * draw.normal(size=30), draw.normal(size=400)
    low, high = bootstrap.percentiles(
        [((level_S[:, None] + example_N) / 400, np.zeros(400, int))], streams.numpy("t", "t", 1)
    )
    sd = (level_S.var() / 30 + example_N.var() / 400) ** 0.5
    assert high - low == pytest.approx(2 * 1.96 * sd, rel=0.1)


def test_a_study_s_intervals_hold_its_effects_and_are_the_same_each_time(tmp_path):
    claims = [{}, {"form": "no_worse", "on": {"data": "mnist"}}, {"metric": "macro_f1"}, {"B": 0.5}]
    claims += [{"form": "exists", "share": 0.5}, {"split": "train"}]
    study, found = study_of(tmp_path, claims)
    both, mnist, *others = bootstrap.intervals(study, found, "claims")
    assert others == [None] * 4
    assert [both, mnist] == bootstrap.intervals(study, found, "claims")[:2]
    for interval, points in ((both, ("data=mnist", "data=fashion_mnist")), (mnist, ("data=mnist",))):
        arms = [
            np.mean([bootstrap.weighted(*bootstrap._right(case, p, study, found, {}), "balanced_accuracy").sum(1)
                     for p in points])
            for case in CASES
        ]  # fmt: skip
        assert interval[0] < arms[0] - arms[1] < interval[1]
    assert both[1] - both[0] < mnist[1] - mnist[0]


def test_missing_seeds_and_other_test_examples_leave_no_interval(tmp_path):
    study, found = study_of(tmp_path / "seeds", [{}], seeds=[0, 1])
    assert bootstrap.intervals(study, found, "claims") == [None]
    ids = {seed: np.arange(len(LABELS)) + seed for seed in SEEDS}  # folds: other rows for each seed
    study, found = study_of(tmp_path / "folds", [{}], ids=ids)
    assert bootstrap.intervals(study, found, "claims") == [None]
