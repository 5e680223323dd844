"""The synthesis over published studies, and what tuning chooses.

.venv/bin/python -m pytest -n 0 tests/test_synthesis.py
"""

import json

import numpy as np
import pandas as pd
import pytest

from counterpoise.errors import UserError
from counterpoise.judging.trials import at_edge, choose
from counterpoise.planning import study as studies
from counterpoise.planning import tuned
from counterpoise.publishing import synthesis


def publish(folder, study, cases, point="data=mnist", n=10):
    """Write what a study published: case -> its value at every seed."""
    table = [
        {"case": c, "point": point, "metric": "balanced_accuracy", "selection": "last", "split": "test", "values": v}
        for c, v in cases.items()
    ]
    work = {case: {"evaluations": 3000 if case != "twice" else 6000} for case in cases}
    for case, seconds in {"logit_adjustment": 40.0, "twice": 100.0}.items():
        work.setdefault(case, {})["cpu_seconds"] = seconds
    document = {"study": study, "key": study.split("_")[0], "table": table, "work": work}
    (folder / f"{study}.small.json").write_text(json.dumps(document))


NOISE = np.linspace(-1, 1, 10) * 0.003


def values(mean, flip=1):
    return (mean + flip * NOISE).tolist()


def test_each_case_is_compared_with_logit_adjustment_on_its_own_seeds(tmp_path):
    cases = {
        "logit_adjustment": values(0.8),
        "better": values(0.85, -1),
        "worse": values(0.7, -1),
        "same": values(0.801, -1),
        "unsure": (0.8 + np.linspace(-0.05, 0.06, 10)).tolist(),
        "twice": values(0.82, -1),
    }
    publish(tmp_path, "one2020_x", cases)
    found = {row["case"]: row for row in synthesis.rows(tmp_path, "small")}
    assert {case: row["outcome"] for case, row in found.items()} == {
        "better": "win", "worse": "loss", "same": "tie", "unsure": "open", "twice": "win",
    }  # fmt: skip
    assert found["better"]["gain"] == pytest.approx(0.05)
    # differences -2 e_i have the deviation 2 sd(e); t(9, .975) = 2.2622
    half = 2.2622 * 2 * NOISE.std(ddof=1) / 10**0.5
    assert found["better"]["interval"] == pytest.approx([0.05 - half, 0.05 + half], rel=1e-4)
    assert (found["twice"]["evaluations"], found["twice"]["cpu_seconds"]) == (2, 2.5)
    assert (found["same"]["evaluations"], found["same"]["cpu_seconds"]) == (1, None), "not told"
    ordered = sorted(found.values(), key=lambda row: row["p"])
    steps = [row["p"] * len(ordered) / (i + 1) for i, row in enumerate(ordered)]
    assert [row["q"] for row in ordered] == pytest.approx([min(steps[i:]) for i in range(len(steps))])


def test_a_case_of_two_studies_counts_once_and_other_seeds_are_left_out(tmp_path):
    cases = {"logit_adjustment": values(0.8), "baseline": values(0.7, -1)}
    publish(tmp_path, "one2020_x", cases)
    publish(tmp_path, "two2021_y", cases | {"short": values(0.9)[:5]})
    publish(tmp_path, "three2022_z", {"alone": values(0.9)})
    assert [row["case"] for row in synthesis.rows(tmp_path, "small")] == ["baseline"]
    assert synthesis.rows(tmp_path, "full") == []


def test_what_is_written_holds_every_row(tmp_path):
    publish(tmp_path, "one2020_x", {"logit_adjustment": values(0.8), "better": values(0.85, -1)})
    publish(tmp_path, "two2021_y", {"logit_adjustment": values(0.6), "worse": values(0.5, -1)}, point="data=other")
    made = {path.suffix: path.read_text() for path in synthesis.write(tmp_path, "small")}
    assert [row["case"] for row in json.loads(made[".json"])["rows"]] == ["better", "worse"]
    assert "| better | 0.8500 | +0.0500 |" in made[".md"]
    assert "win 1, tie 0, loss 0, open 0." in made[".md"]
    assert made[".svg"].count("<path") > 4


# Tuning ------------------------------------------------------------------------------------------------------


def trials(case, scores):
    """Return validation and test rows of one case: learning rate -> means on two data sets."""
    common = {"case": case, "seed": 900, "selection": "last", "metric": "balanced_accuracy", "class": None}
    return [
        common | {"lr": lr, "data": data, "split": split, "value": value if split == "val" else 1 - value}
        for lr, means in scores.items()
        for data, value in zip("ab", means, strict=True)
        for split in ("val", "test")
    ]


def test_the_best_mean_on_validation_wins_and_never_that_on_test():
    table = pd.DataFrame(
        trials("one", {0.1: (0.5, 0.9), 0.2: (0.8, 0.7), 0.4: (0.6, 0.6)})
        + trials("two", {0.1: (0.5, 0.5), 0.2: (0.5, 0.5)})
    )
    found = choose(table, "balanced_accuracy", ["lr"])
    assert found["one"]["chosen"] == {"lr": 0.2}
    assert [t["balanced_accuracy"] for t in found["one"]["trials"]] == [0.75, 0.7, 0.6]
    assert found["two"]["chosen"] == {"lr": 0.1}, "of equal trials the first wins"
    assert at_edge({"lr": 0.1}, {"lr": [0.1, 0.2, 0.4]}) == ["lr"]
    assert at_edge({"lr": 0.2}, {"lr": [0.1, 0.2, 0.4]}) == []
    with pytest.raises(UserError, match="case one; set `validation`"):
        choose(table[table["split"] == "test"], "balanced_accuracy", ["lr"])


def test_a_tuned_scale_takes_what_was_chosen_and_says_when_nothing_was(tmp_path):
    for part in ("bases", "studies"):
        (tmp_path / part).mkdir()
    (tmp_path / "bases" / "b.yaml").write_text(
        "block: 1\ndata: digits\nmodel: mlp\npretrain: {steps: 5, batch_size: 8}\nfinetune: {steps: 5, batch_size: 8}\n"
    )
    (tmp_path / "studies" / "a2020_t.yaml").write_text(
        "title: t\nsource: {paper: p}\nbase: b\ncases: {one: {finetune: {optimizer: {lr: 0.3}}}, two: {}}\nseeds: 1\n"
        "primary: {metric: accuracy}\nclaims: []\n"
        "scales: {plain: {}, small: {tuned: true}, wide: {block: 2, seeds: 2}}\n"
    )
    with pytest.raises(UserError, match=r"a2020_t\.yaml: nothing is chosen yet.*counterpoise tune a2020_t"):
        studies.load("a2020_t", "small", tmp_path)
    cases = {"one": {"chosen": {"finetune.optimizer.lr": 0.7}, "trials": []}}
    tuned.write("a2020_t", "pilot", "accuracy", [900], cases, tmp_path)

    def rate(scale, case):
        return studies.load("a2020_t", scale, tmp_path).recipes[case, ""]["finetune"]["optimizer"]["lr"]

    assert (rate("plain", "one"), rate("small", "one"), rate("small", "two")) == (0.3, 0.7, 0.05)
    assert studies.load("a2020_t", "wide", tmp_path).block == 2


def test_an_a_a_case_gets_the_trials_of_its_twin():
    from counterpoise.commands.tune import _replicas

    def entry(case, point, lr, replicate, sample="none"):
        return {
            "case": case,
            "point": point,
            "recipe": {"sample": sample, "finetune": {"lr": lr, "replicate": replicate}},
        }

    entries = [
        entry(case, point, lr, replicate, sample)
        for case, replicate, sample in [("base", 0, "none"), ("again", 1, "none"), ("other", 1, "balanced")]
        for point, lr in [("lr=1", 1), ("lr=2", 2)]
    ]
    assert _replicas({"entries": entries}) == {"again": "base"}


def test_a_gain_is_shown_within_what_an_accuracy_can_gain(tmp_path):
    ours, theirs = [1.0, 0.9, 0.1], [0.0, 0.1, 0.9]
    publish(tmp_path, "one2020_x", {"logit_adjustment": theirs, "wild": ours})
    [row] = synthesis.rows(tmp_path, "small")
    assert row["interval"] == [-1.0, 1.0]
    assert row["outcome"] == "open"
    assert "| +0.3333 | [−1.0000, +1.0000] | open |" in synthesis.markdown([row], "small")


def test_a_single_seed_has_no_interval_and_no_row(tmp_path):
    publish(tmp_path, "one2020_x", {"logit_adjustment": [0.8], "other": [0.9]})
    assert synthesis.rows(tmp_path, "small") == []
