"""Each form and each verdict by hand-computed examples, from a raw claim and a tidy table to the judged row."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from counterpoise import numerals
from counterpoise.errors import UserError
from counterpoise.judging import statistics as st
from counterpoise.judging.claims import parse_claims
from counterpoise.judging.verdicts import judge
from counterpoise.scoring import metrics
from counterpoise.scoring.names import UNBOUNDED, bounds

CASES = ["a", "b", "c", "d"]
FACTORS = {"imbalance.mu": [0.2, 0.5], "imbalance.rho": [10, 20, 40]}
PRIMARY = {"metric": "balanced_accuracy", "selection": "last"}
METRICS = ["balanced_accuracy", "accuracy", "auc_ovr", "ece"]


def read(*raw, **changes):
    given = {"cases": CASES, "factors": FACTORS, "metrics": METRICS, "primary": PRIMARY, "where": "study.yaml"}
    return parse_claims([{"text": "t", "scope": "scaled", **entry} for entry in raw], **given | changes)


def tidy(values, factor="imbalance.rho", at=(10, 20, 40), **columns):
    """Tabulate {case: seeds x points or one value a seed}."""
    rows = []
    for case, array in values.items():
        array = np.asarray(array, dtype=float)
        single = array.ndim == 1
        for seed, per_point in enumerate(array[:, None] if single else array):
            for index, value in enumerate(per_point):
                place = {"point": ""} if single else {"point": f"rho={at[index]}", factor: at[index]}
                rows.append({"case": case, "seed": seed, "value": value, **place})
    usual = {"selection": "last", "split": "test", "metric": "balanced_accuracy", "class": None}
    return pd.DataFrame(rows).assign(**usual | columns)


def spread(mean, sd, n=10):
    """Return n values of exactly this mean and standard deviation."""
    z = np.arange(n) - (n - 1) / 2
    return mean + sd * z / z.std(ddof=1)


def verdict_of(raw, values, n=10, scale="small", **options):
    return judge(read(raw), tidy(values), scale=scale, seeds=n, **options)[0]


BETTER = {"form": "better", "A": "a", "B": "b"}
DOMINATES = {"form": "dominates", "A": "a", "B": ["b", "c"]}


# ------------------------------------------------------------------------------- one number by hand


def test_a_row_of_the_result_by_hand():
    row = verdict_of(BETTER, {"a": [0.81, 0.82, 0.83], "b": [0.80, 0.80, 0.80]}, n=3)
    assert row["effect"] == pytest.approx(0.02)
    half = 4.302653 * 0.01 / math.sqrt(3)  # t(.975, 2) = 4.302653
    assert_allclose(row["interval"], [0.02 - half, 0.02 + half], atol=1e-7)
    assert row["p"] == pytest.approx(0.0741799, abs=1e-6)  # t = 3.4641 on 2 degrees of freedom
    assert (row["n"], row["level"], row["margin"], row["verdict"]) == (3, 0.95, 0.01, "inconclusive")
    assert row["smallest_detectable"] == pytest.approx((4.302653 + 1.060660) * 0.01 / math.sqrt(3), rel=1e-5)
    assert json.loads(json.dumps(row)) == row
    assert "3 seeds can show 0.031 with 80 % power" in row["reason"]
    assert f"{row['n_to_settle']} seeds would settle it" in row["reason"]


def test_the_sentence_names_data_model_counts_budget_and_scale():
    settings = {"data": "MNIST at 14x14", "model": "CNN 8-16-64", "counts": "1000..10", "budget": "3,000 steps"}
    row = verdict_of(BETTER, {"a": spread(0.83, 0.01), "b": np.full(10, 0.8)}, settings=settings)
    assert row["sentence"] == (
        "At scale small, on MNIST at 14x14, CNN 8-16-64, 1000..10, 3,000 steps: a minus b in balanced_accuracy "
        "(last, test) was +0.0300 [+0.0228, +0.0372] (n = 10 seeds)."
    )


# ----------------------------------------------------------------------------- every form, every verdict

DIFFERENCES = {  # (mean, sd) of A minus B at n = 10, where the half width is .7154 sd
    "reproduced": (0.03, 0.01),
    "ordering only": (0.008, 0.002),
    "refuted": (-0.03, 0.01),
    "not reproduced": (0.0, 0.005),
    "inconclusive": (0.005, 0.02),
}


@pytest.mark.parametrize(("expected", "moments"), DIFFERENCES.items())
@pytest.mark.parametrize("form", ["better", "interaction", "dominates"])
def test_verdicts_of_a_mean_difference(form, expected, moments):
    values = {"a": 0.8 + spread(*moments), "b": np.full(10, 0.8), "c": np.full(10, 0.6), "d": np.full(10, 0.6)}
    raw = {"better": BETTER, "dominates": DOMINATES, "interaction": {**BETTER, "form": form, "C": "c", "D": "d"}}
    assert verdict_of(raw[form], values)["verdict"] == expected


def test_a_small_but_certain_loss_is_not_reproduced_rather_than_refuted():
    assert verdict_of(BETTER, {"a": spread(0.795, 0.001), "b": np.full(10, 0.8)})["verdict"] == "not reproduced"


@pytest.mark.parametrize(
    ("form", "moments", "expected"),
    [
        ("no_worse", (0.0, 0.005), "reproduced"),
        ("no_worse", (-0.03, 0.01), "refuted"),
        ("no_worse", (-0.005, 0.02), "inconclusive"),  # absence of significance is never support
        ("close", (0.002, 0.005), "reproduced"),
        ("close", (0.03, 0.01), "refuted"),
        ("close", (-0.03, 0.01), "refuted"),
        ("close", (0.0, 0.02), "inconclusive"),
    ],
)
@pytest.mark.parametrize("rival", ["b", 0.8])
def test_verdicts_of_equivalence_forms(form, moments, expected, rival):
    raw = {"form": form, "A": "a", "to" if form == "close" else "B": rival}
    assert verdict_of(raw, {"a": 0.8 + spread(*moments), "b": np.full(10, 0.8)})["verdict"] == expected


@pytest.mark.parametrize(("k", "expected"), [(20, "reproduced"), (0, "refuted"), (10, "inconclusive")])
def test_exists_is_an_exact_binomial(k, expected):
    row = verdict_of(
        {**BETTER, "form": "exists", "share": 0.5}, {"a": [0.9] * k + [0.8] * (20 - k), "b": [0.8] * 20}, 20
    )
    assert (row["verdict"], row["effect"]) == (expected, k / 20)
    if k == 20:
        assert row["interval"] == pytest.approx([0.025 ** (1 / 20), 1.0])  # Clopper-Pearson at k = n
        assert row["p"] == pytest.approx(2 * 0.5**20)


def sweep(optima, levels=(1, 2, 3)):
    """Return scores of cases a, b, c, whose best level at each extent is the one given: optima are N x 3."""
    return {case: -((np.asarray(optima) - level) ** 2.0) / 10 for case, level in zip("abc", levels, strict=True)}


DEPENDS = {"form": "depends", "factor": "rho", "levels": {"a": 1, "b": 2, "c": 3}, "margin": 0.5}


@pytest.mark.parametrize(
    ("optima", "change", "expected"),
    [
        ([[1, 2, 3]] * 8, {}, "reproduced"),
        ([[3, 2, 1]] * 8, {}, "reproduced"),
        ([[3, 2, 1]] * 8, {"direction": "up"}, "refuted"),
        ([[3, 2, 1]] * 8, {"direction": "down"}, "reproduced"),
        ([[1, 2, 3], [1, 1, 2]] * 4, {"margin": 0.99}, "ordering only"),
        ([[2, 2, 2]] * 8, {}, "not reproduced"),
        ([[2, 2, 2]] * 8, {"direction": "up"}, "not reproduced"),
        ([[1, 2, 3]] * 4 + [[3, 2, 1]] * 3 + [[2, 2, 2]], {}, "inconclusive"),
        ([[1, 2, 3]] * 5, {}, "inconclusive"),  # 5 seeds: the sign-flip test cannot go below .0625
    ],
)
def test_depends_follows_the_optimum_of_each_seed(optima, change, expected):
    assert verdict_of(DEPENDS | change, sweep(optima), n=len(optima))["verdict"] == expected


def test_depends_by_hand_with_ties():
    # levels a and b tie at the middle extent: the optimum is 1.5 there; (1, 1, 2) has rho = sqrt(3) / 2
    row = verdict_of(DEPENDS, sweep([[1, 1.5, 3], [1, 1, 2]]), n=2)
    assert row["effect"] == pytest.approx((1 + math.sqrt(3) / 2) / 2)
    assert [point["effect"] for point in row["per_point"]] == pytest.approx([1, 1.25, 2.5])
    flat = verdict_of(DEPENDS, {case: np.ones((8, 3)) for case in "abc"}, n=8)
    assert (flat["effect"], flat["verdict"]) == (0, "not reproduced")


RANKS = {"form": "ranks", "pairs": [["a", "b"], ["b", "c"], ["a", "c"]], "margin": 0.5}


@pytest.mark.parametrize(
    ("orders", "change", "expected"),
    [
        (["abc"] * 8, {}, "reproduced"),
        (["abc"] * 4 + ["acb"] * 4, {"margin": 0.9}, "ordering only"),  # taus of 1 and 1/3
        (["cba"] * 8, {}, "refuted"),
        (["acb", "bca"] * 10, {"margin": 0.3}, "not reproduced"),  # taus of 1/3 and -1/3
        (["abc", "cba"] * 4, {}, "inconclusive"),
    ],
)
def test_ranks_is_kendalls_tau_over_published_pairs(orders, change, expected):
    values = {case: [0.9 - 0.1 * order.index(case) for order in orders] for case in "abc"}
    assert verdict_of(RANKS | change, values, n=len(orders))["verdict"] == expected


def test_ranks_leaves_out_published_pairs_within_their_noise():
    published = [("a", 0.90, 0.01), ("b", 0.80, 0.01), ("c", 0.802, 0.01)]
    references = [{"case": case, "value": value, "sd": sd, "n": 3} for case, value, sd in published]
    values = {"a": spread(0.9, 0.01), "b": spread(0.85, 0.01), "c": spread(0.8, 0.01)}
    row = verdict_of({"form": "ranks", "against": [0, 1, 2], "margin": 0.5}, values, references=references)
    assert [pair["point"] for pair in row["per_point"]] == ["a > b", "a > c"]
    assert (row["effect"], row["verdict"]) == (1.0, "reproduced")


def test_dominates_needs_nine_points_in_ten():
    first, last = np.full((10, 3), 0.8), np.full((10, 3), 0.7)
    gain = spread(0.0, 0.002)[:, None] + [0.1, 0.1, -0.05]  # best on seed means, 5 points behind at one of three
    row = verdict_of(DOMINATES, {"a": first + gain, "b": first, "c": last})
    assert row["verdict"] == "ordering only"
    assert "within 0.01 of the best at 2 of 3 grid points" in row["reason"]
    whole = verdict_of(DOMINATES, {"a": first + np.abs(gain), "b": first, "c": last})
    assert whole["verdict"] == "reproduced"


def test_dominates_is_held_to_the_toughest_rival():
    row = verdict_of(DOMINATES, {"a": spread(0.8, 0.002), "b": np.full(10, 0.7), "c": np.full(10, 0.85)})
    assert (row["verdict"], row["effect"]) == ("refuted", pytest.approx(-0.05))
    assert "the best other (c)" in row["sentence"]


# ----------------------------------------------------------------------------------- caps, gates and scale


@pytest.mark.parametrize(("mean", "capped"), [(0.03, "ordering only"), (-0.03, "not reproduced")])
@pytest.mark.parametrize("raw", [BETTER, {**BETTER, "form": "no_worse"}, {"form": "close", "A": "a", "to": "b"}])
def test_an_analogue_is_capped(raw, mean, capped):
    values = {"a": spread(0.8 + mean, 0.01), "b": np.full(10, 0.8)}
    plain, row = verdict_of(raw, values), verdict_of({**raw, "scope": "analogue"}, values)
    assert plain["verdict"] in ("reproduced", "refuted")
    assert row["verdict"] == {"reproduced": "ordering only", "refuted": "not reproduced"}[plain["verdict"]]
    assert "capped: an analogue" in row["reason"]
    if raw is BETTER:
        assert row["verdict"] == capped


@pytest.mark.parametrize(
    ("raw", "values", "limits"),
    [
        (BETTER, {"a": [1.0, 0.9, 0.1], "b": [0.0, 0.1, 0.9]}, (-1, 1)),
        ({**BETTER, "B": 0.95}, {"a": [1.0, 1.0, 0.9]}, (-0.95, 0.05)),
        (
            {**BETTER, "B": 0.05, "metric": "ece", "margin": 0.01, "lower_is_better": True},
            {"a": [0.0, 0.0, 0.1]},
            (-0.95, 0.05),
        ),
        ({**DOMINATES, "B": ["b"]}, {"a": [1.0, 0.9, 0.1], "b": [0.0, 0.1, 0.9]}, (-1, 1)),
        (
            {**BETTER, "form": "interaction", "C": "c", "D": "d"},
            {"a": [1.0, 1.0, 0.0], "b": [0.0, 0.0, 1.0], "c": [0.0, 0.0, 1.0], "d": [1.0, 1.0, 0.0]},
            (-2, 2),
        ),
        ({**BETTER, "split": "train-test", "lower_is_better": True}, {"a": [1, -1, -1], "b": [-1, 1, 1]}, (-2, 2)),
    ],
)
def test_an_interval_ends_where_the_difference_of_the_metric_does_and_the_verdict_rests_on_all_of_it(
    raw, values, limits
):
    claim = read(raw)[0]
    table = tidy(values, metric=claim.metric, split=claim.split)
    row = judge([claim], table, scale="small", seeds=3)[0]
    sign = -1 if claim.lower_is_better else 1
    rival = np.asarray(values[claim.cases[1]]) if len(claim.cases) > 1 else claim.B
    differences = sign * (np.asarray(values["a"]) - rival)
    if claim.form == "interaction":
        differences = differences - (np.asarray(values["c"]) - np.asarray(values["d"]))
    effect, low, high = (float(x) for x in st.t_interval(differences, 0.05))
    assert low < limits[0] or high > limits[1]
    assert_allclose(row["interval"], [max(low, limits[0]), min(high, limits[1])], atol=1e-12)
    assert_allclose(row["per_point"][0]["interval"], row["interval"], atol=1e-12)
    assert row["effect"] == pytest.approx(effect)
    assert row["verdict"] == st.verdict(claim.form, effect, low, high, claim.margin)


def test_a_verdict_is_not_that_of_the_interval_that_is_shown():
    row = verdict_of({**BETTER, "B": 0.95, "margin": 0.06}, {"a": [1.0, 1.0, 0.9]}, n=3)
    assert row["interval"][1] == pytest.approx(0.05)  # below the margin, which would be "not reproduced"
    assert row["verdict"] == "inconclusive"


def test_a_share_of_seeds_ends_at_0_and_1_whatever_the_rival():
    row = verdict_of({"form": "exists", "A": "a", "B": 0.95, "share": 0.5, "margin": 0.01}, {"a": [1.0] * 10})
    assert row["interval"] == pytest.approx(st.clopper_pearson(10, 10, 0.05))


def test_an_interval_of_logits_has_no_end():
    row = verdict_of({**BETTER, "transform": "logit", "margin": 0.1}, {"a": [1.0, 0.9, 0.1], "b": [0, 0.1, 0.9]}, n=3)
    assert row["interval"][0] < -1
    assert row["interval"][1] > 1


@pytest.mark.parametrize("has_target", [False, True])
def test_every_metric_of_a_guess_lies_within_its_bounds(has_target):
    for name in metrics.names(has_target):
        low, high = bounds(name)
        assert low in (0, -1)
        assert high == (np.inf if name in UNBOUNDED else 2 if "brier" in name else 1)
    for (name, _), value in metrics.chance([3, 2, 1]).items():
        assert value is None or bounds(name)[0] <= value <= bounds(name)[1]


def test_the_effect_in_a_sentence_is_written_as_in_a_table():
    row = verdict_of(BETTER, {"a": spread(0.7, 0.01), "b": np.full(10, 0.8)})
    assert f" was {numerals.estimate(row['effect'], row['interval'])} (n" in row["sentence"]
    assert " was −0.1000 [−0.1072, −0.0928] (n" in row["sentence"]


def test_smoke_never_gives_a_verdict():
    row = verdict_of(BETTER, {"a": spread(0.9, 0.01), "b": np.full(10, 0.8)}, scale="smoke")
    assert (row["verdict"], row["effect"]) == ("no verdict", pytest.approx(0.1))


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        ({"headroom": 0.049}, "the oracle gains 0.049, under 5 margins (0.05)"),
        ({"head_recall": 0.8}, "head recall 0.8 is not over .85"),
        ({"tail_recall": 0.9}, "tail recall 0.9 is outside .2 to .75"),
        ({"tail_recall": 0.1}, "tail recall 0.1 is outside .2 to .75"),
    ],
)
def test_without_headroom_a_claim_is_inconclusive(gate, reason):
    open_gate = {"metric": "balanced_accuracy", "head_recall": 0.95, "tail_recall": 0.4, "headroom": 0.05}
    values = {"a": spread(0.9, 0.01), "b": np.full(10, 0.8)}
    assert verdict_of(BETTER, values, gate=open_gate)["verdict"] == "reproduced"
    row = verdict_of(BETTER, values, gate=open_gate | gate)
    assert row["verdict"] == "inconclusive"
    assert row["reason"].startswith(f"no headroom: {reason}")


# ----------------------------------------------------------------------------------------- the unit is the seed


def test_grid_points_are_not_replicates():
    """Two seeds that disagree, seen at 40 points each: pooling finds p < 1e-6, two seeds decide nothing."""
    points = range(40)
    rng = np.random.default_rng(0)
    a = 0.8 + np.array([[0.06], [0.01]]) + rng.normal(0, 0.001, (2, 40))
    table = tidy({"a": a, "b": np.full((2, 40), 0.8)}, at=points)
    row = judge(read(BETTER), table, scale="small", seeds=2)[0]
    assert st.two_sided(*st.t_tails((a - 0.8).ravel())) < 1e-6
    assert (row["n"], row["verdict"], len(row["per_point"])) == (2, "inconclusive", 40)


def test_only_complete_seeds_count_and_a_gap_is_said():
    table = tidy({"a": spread(0.9, 0.01)[:, None] + np.zeros(3), "b": np.full((10, 3), 0.8)})
    table = table[~((table["case"] == "a") & (table["seed"] == 4) & (table["point"] == "rho=20"))]
    row = judge(read(BETTER), table, scale="small", seeds=12)[0]
    assert row["n"] == 9
    assert row["reason"].startswith("gap: 3 of 12 seeds are missing balanced_accuracy (last, test)")


def test_an_arm_that_failed_at_a_point_leaves_a_gap_instead_of_a_smaller_grid():
    table = tidy({"a": np.full((10, 3), 0.9), "b": np.full((10, 3), 0.8), "c": np.full((10, 3), 0.7)})
    table = table[~((table["case"] != "c") & (table["point"] == "rho=40"))]
    row = judge(read(BETTER), table, scale="small", seeds=10)[0]
    assert (row["n"], row["verdict"], row["interval"]) == (0, "inconclusive", None)
    assert "a at rho=40, b at rho=40" in row["reason"]
    assert judge(read({**BETTER, "on": {"rho": [10, 20]}}), table, scale="small", seeds=10)[0]["n"] == 10


def test_seeds_beyond_those_fixed_are_ignored():
    values = {"a": spread(0.9, 0.01, 20), "b": np.full(20, 0.8)}
    assert verdict_of(BETTER, values, n=8)["n"] == 8
    assert verdict_of(BETTER, values, n=range(5, 15))["n"] == 10


def test_on_selects_part_of_the_grid():
    table = tidy({"a": np.array([[0.9, 0.7, 0.7]] * 5) + spread(0, 0.01, 5)[:, None], "b": np.full((5, 3), 0.8)})
    row = judge(read({**BETTER, "on": {"rho": 10}}), table, scale="small", seeds=5)[0]
    assert row["effect"] == pytest.approx(0.1)
    assert "imbalance.rho in [10]" in row["sentence"]


def test_on_a_value_that_was_not_run_is_a_gap():
    table = tidy({"a": np.full((5, 2), 0.9), "b": np.full((5, 2), 0.8)})
    row = judge(read({**BETTER, "on": {"rho": [10, 40]}}), table, scale="small", seeds=5)[0]
    assert (row["n"], row["reason"].split(";")[0]) == (0, "gap: nothing was run at imbalance.rho=40")


@pytest.mark.parametrize("raw", [{**BETTER, "on": {"mu": 0.2}}, {**DEPENDS, "factor": "mu"}, DOMINATES, RANKS])
def test_a_scale_without_the_factor_or_without_any_row_is_a_gap(raw):
    table = tidy({"d": np.full((5, 3), 0.9)})
    for part in (table, table.iloc[:0]):
        row = judge(read(raw), part, scale="small", seeds=5)[0]
        assert (row["n"], row["verdict"]) == (0, "inconclusive")
        assert row["reason"].startswith("gap: ")
        assert "was not measured (n = 0 seeds)" in row["sentence"]


def test_diverged_seeds_are_counted_and_said():
    table = tidy({"a": spread(0.9, 0.01), "b": np.full(10, 0.8)})
    table["diverged"] = (table["case"] == "b") & table["seed"].isin([1, 2])
    row = judge(read(BETTER), table, scale="small", seeds=10)[0]
    assert row["diverged"] == "2 of 10"
    assert "diverged 2 of 10" in row["sentence"]


def test_what_sets_in_after_the_tail_is_known_by_heart_is_flagged():
    values = {"a": spread(0.9, 0.01), "b": spread(0.8, 0.02)}
    switches = {"a": {"rho=10": 0.9, "rho=40": 0.9951}, "b": {"": 0.995}, "c": {"": 1.0}}
    row, plain = verdict_of(BETTER, values, switches=switches), verdict_of(BETTER, values)
    assert plain["reason"] == ""
    flag = "interpolating regime: a recalled 0.9951 of the tail's training rows at rho=40 at its switch"
    assert row == plain | {"reason": flag}


def test_lower_is_better_turns_the_difference_and_its_words():
    raw = {**BETTER, "metric": "ece", "margin": 0.01, "lower_is_better": True}
    table = tidy({"a": spread(0.05, 0.01), "b": np.full(10, 0.1)}, metric="ece")
    row = judge(read(raw), table, scale="small", seeds=10)[0]
    assert (row["effect"], row["verdict"]) == (pytest.approx(0.05), "reproduced")
    assert "b minus a in ece" in row["sentence"]


def test_logit_of_saturated_scores_is_finite():
    row = verdict_of({**BETTER, "transform": "logit", "margin": 0.2}, {"a": [1.0] * 5, "b": [0.99] * 5}, n=5)
    assert row["effect"] == pytest.approx(math.log((1 - 1e-6) / 1e-6) - math.log(99))


# ------------------------------------------------------------------------------------------ zero variance


@pytest.mark.parametrize(
    ("difference", "expected"),
    [(0.0, "not reproduced"), (0.05, "reproduced"), (-0.05, "refuted"), (0.005, "ordering only")],
)
def test_identical_differences_give_the_point_and_a_warning(difference, expected):
    base = np.array([0.1, 0.7, 0.3, 0.9, 0.5])  # rounding errors must not pass for variance
    row = verdict_of(BETTER, {"a": base + difference, "b": base}, n=5)
    assert row["verdict"] == expected
    assert_allclose(row["interval"], [difference] * 2, atol=1e-12)
    assert "all 5 seeds gave the same value: up to 45% of seeds could still differ" in row["reason"]


def test_ties_at_the_ceiling():
    row = verdict_of(BETTER, {"a": [1.0] * 9 + [0.999], "b": [1.0] * 10})
    assert (row["verdict"], row["effect"]) == ("not reproduced", pytest.approx(-0.0001))
    assert "9 of 10 seeds tie exactly: at a ceiling the interval is too narrow" in row["reason"]


def test_one_seed_has_no_interval():
    row = verdict_of(BETTER, {"a": [0.9], "b": [0.8]}, n=1)
    assert (row["verdict"], row["interval"], row["p"]) == ("inconclusive", None, 1.0)


# ------------------------------------------------------------------------------------- many claims and looks


def test_holm_by_hand():
    p = [0.01, 0.04, 0.03, 0.005]
    assert_allclose(st.holm(p), [0.03, 0.06, 0.06, 0.02])  # .005 x 4, .01 x 3, .03 x 2, max(.06, .04 x 1)
    assert_allclose(st.holm(p, family_size=6), [0.05, 0.12, 0.12, 0.03])
    assert_allclose(st.holm_alphas(p, 0.05), [0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])  # stops at .03 > .025
    assert_allclose(st.holm_alphas([0.001, 0.002], 0.05), [0.025, 0.05])


def test_a_family_widens_intervals_and_may_take_a_verdict_away():
    values = {"a": spread(0.82, 0.025), "b": np.full(10, 0.8)}
    alone, crowded = verdict_of(BETTER, values), verdict_of(BETTER, values, family_size=10)
    assert (alone["verdict"], crowded["verdict"]) == ("reproduced", "inconclusive")
    assert (crowded["level"], crowded["p_holm"]) == (pytest.approx(0.995), pytest.approx(10 * alone["p"]))


def test_each_reserved_look_is_stricter_and_an_unreserved_one_is_an_error():
    values = {"a": spread(0.82, 0.025), "b": np.full(10, 0.8)}
    row = verdict_of(BETTER, values, look=2, extendable=True)
    assert (row["level"], row["look"]) == (pytest.approx(0.981), 2)
    with pytest.raises(UserError, match=r"look: found 2, expected 1 .a later look must be reserved"):
        verdict_of(BETTER, values, look=2)


# ----------------------------------------------------------------------------------------- published values


@pytest.mark.parametrize(
    ("reference", "outcome", "expected"),
    [
        ({"value": 0.84}, "agrees", "reproduced"),
        ({"value": 0.86}, "disagrees", "ordering only"),  # prediction half width .01 x 2.262 x sqrt(1.1) = .0237
        ({"value": 0.86, "read_off_error": 0.01}, "agrees", "reproduced"),
        ({"value": 0.86, "sd": 0.1, "n": 2}, "disagrees", "ordering only"),  # below n = 3 our deviation is used
        ({"value": 0.83, "sd": 0.005, "n": 10}, "agrees", "reproduced"),
        ({"value": 0.83, "sd": 0.03, "n": 3}, "not shown", "ordering only"),
        ({"value": 0.90, "sd": 0.01, "n": 5}, "disagrees", "ordering only"),
        ({"value": 0.90, "stat": "best_on_test"}, "not comparable", "reproduced"),
        ({"value": 0.90, "scale": "full"}, "not comparable", "reproduced"),
    ],
)
def test_agreement_with_a_published_value(reference, outcome, expected):
    references = [{"case": "a", "scale": "small", **reference}]
    values = {"a": spread(0.83, 0.01), "b": np.full(10, 0.8)}
    row = verdict_of({**BETTER, "against": [0]}, values, references=references)
    assert (row["agreement"][0]["outcome"], row["verdict"]) == (outcome, expected)


def test_two_published_arms_are_compared_as_a_difference():
    references = [{"case": "a", "value": 0.63, "scale": "small"}, {"case": "b", "value": 0.6, "scale": "small"}]
    values = {"a": spread(0.83, 0.01), "b": np.full(10, 0.8)}  # other levels, the same gain
    row = verdict_of({**BETTER, "against": [0, 1]}, values, references=references)
    assert (row["verdict"], row["agreement"][0]["cases"]) == ("reproduced", ["a", "b"])
    assert row["agreement"][0]["published"] == pytest.approx(0.03)


# ------------------------------------------------------------------------------------- exact small statistics


@pytest.mark.parametrize("null", [0.0, -0.01])
def test_student_and_binomial_against_scipy(null):
    from scipy import stats

    values = np.random.default_rng(0).normal(0.005, 0.01, 12)
    reference = stats.ttest_1samp(values, null)
    assert st.two_sided(*st.t_tails(values, null)) == pytest.approx(reference.pvalue)
    assert_allclose(st.t_interval(values, 0.02)[1:], reference.confidence_interval(0.98))
    share = stats.binomtest(7, 12, 0.5).proportion_ci(0.95, "exact")
    assert_allclose(st.clopper_pearson(7, 12, 0.05), [share.low, share.high])


def test_exact_tests_against_textbook_values():
    assert st.sign_flip_p([1, 1, 1, 1, 1]) == pytest.approx(2 / 32)
    assert st.sign_flip_p([1, 0.5, -0.5, 0]) == pytest.approx(0.75)  # |sum| >= 1: 12 of 16
    assert_allclose(st.clopper_pearson(9, 10, 0.05), [0.55498, 0.99747], atol=1e-5)
    assert st.binomial_p(9, 10, 0.5) == pytest.approx(22 / 1024)
    assert st.smallest_detectable(1, 10, 0.05) == pytest.approx(1.0, abs=0.01)  # G*Power: d = 1 needs n = 10
    assert st.smallest_detectable(1, 34, 0.05) == pytest.approx(0.5, abs=0.01)  # d = .5 needs n = 34
    assert st.smallest_detectable_share(5, 0.5, 0.05) is None  # 5 of 5 has p = .0625


# ------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "beter"}, "form: found 'beter', expected a claim form; did you mean 'better'?"),
        ({"A": "aa"}, "A: found 'aa', expected a case of this study"),
        ({"A": "b"}, "B: found 'b', expected a case other than A"),
        ({"B": None}, "B: found nothing, expected a case"),
        ({"B": True}, "B: found True, expected a number"),
        ({"metric": "auc"}, "metric: found 'auc', expected a metric; did you mean 'auc_ovr'?"),
        ({"metric": "accuracy"}, "margin: found nothing, expected a number between 0 and inf"),
        ({"margin": -1}, "margin: found -1, expected a number"),
        ({"margin": "0.1"}, "margin: found '0.1', expected a number"),
        ({"scope": None}, "scope: found nothing, expected a scope"),
        ({"selection": "best"}, "selection: found 'best', expected a selection"),
        ({"split": "tests"}, "split: found 'tests', expected a split; did you mean 'test'?"),
        ({"transform": "log"}, "transform: found 'log', expected a transform"),
        ({"transform": "logit"}, "margin: found nothing"),
        ({"metric": "ece", "margin": 0.01}, "lower_is_better: found nothing, expected true or false"),
        ({"split": "train-test"}, "lower_is_better: found nothing"),
        ({"on": {"nu": [1]}}, "on: found 'nu', expected a factor of this grid (valid: imbalance.mu"),
        ({"on": {"mu": [0.3]}}, "on.mu: found 0.3, expected a value of this grid"),
        ({"on": {"mu": []}}, "on.mu: found []"),
        ({"on": [1]}, "on: found [1], expected a mapping"),
        ({"marign": 0.1}, "marign: unknown key of form 'better'; did you mean 'margin'?"),
        ({"share": 0.5}, "share: unknown key of form 'better'"),
        ({"against": ["x"]}, "against: found ['x'], expected a list of positions"),
        ({"text": 3}, "text: found 3, expected a text"),
        ({"form": "dominates", "B": []}, "B: found [], expected a list that is not empty"),
        ({"form": "dominates", "B": ["a"]}, "B: found ['a'], expected a case other than A"),
        ({"form": "exists", "share": 1.5}, "share: found 1.5, expected a number between 0 and 1"),
    ],
)
def test_a_fault_names_file_claim_key_found_and_expected(change, message):
    with pytest.raises(UserError) as caught:
        read(BETTER, BETTER | change)
    assert str(caught.value).startswith(f"study.yaml: claim 2: {message}")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({**DEPENDS, "levels": {"a": 1}}, "levels: found {'a': 1}, expected a mapping of two cases or more"),
        ({**DEPENDS, "levels": {"a": 1, "b": "x"}}, "levels.b: found 'x', expected a number"),
        ({**RANKS, "against": [0]}, "pairs: found [['a', 'b'], ['b', 'c'], ['a', 'c']], expected either `pairs` or"),
        ({**DEPENDS, "factor": "roh"}, "factor: found 'roh', expected a factor of this grid"),
        ({**DEPENDS, "direction": "left"}, "direction: found 'left'"),
        ({"form": "depends", "factor": "rho", "levels": {"a": 1, "b": 2}}, "margin: found nothing"),
        ({"form": "ranks", "margin": 0.5}, "pairs: found nothing, expected a list of [better, worse], or `against`"),
        ({"form": "ranks", "margin": 0.5, "pairs": [["a"]]}, "pairs: found [['a']], expected a list of"),
        ({"form": "close", "A": "a", "to": "e"}, "to: found 'e', expected a case of this study"),
    ],
)
def test_faults_of_the_other_forms(raw, message):
    with pytest.raises(UserError) as caught:
        read(raw)
    assert str(caught.value).startswith(f"study.yaml: claim 1: {message}")


def test_an_ambiguous_factor_is_a_fault():
    with pytest.raises(UserError, match=r"on: found 'mu', expected one of imbalance\.mu, sample\.mu: it is ambiguous"):
        read({**BETTER, "on": {"mu": 1}}, factors={"imbalance.mu": [1], "sample.mu": [1]})


def test_nan_two_values_and_a_missing_reference_are_errors():
    table = tidy({"a": [0.9, math.nan], "b": [0.8, 0.8]})
    with pytest.raises(UserError, match=r"balanced_accuracy .*case a, point '', seed 1: found NaN"):
        judge(read(BETTER), table, scale="small", seeds=2)
    endless = tidy({"a": [0.9, math.inf], "b": [0.8, 0.8]})
    with pytest.raises(UserError, match=r"case a, point '', seed 1: found an infinite value"):
        judge(read(BETTER), endless, scale="small", seeds=2)
    double = pd.concat([tidy({"a": [0.9], "b": [0.8]})] * 2)
    with pytest.raises(UserError, match="case a, point '', seed 0: found two values"):
        judge(read(BETTER), double, scale="small", seeds=1)
    with pytest.raises(UserError, match=r"claim 1: against: found \[3\], expected none"):
        verdict_of({**BETTER, "against": [3]}, {"a": [0.9], "b": [0.8]}, n=1)
