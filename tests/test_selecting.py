"""Cases that are chosen among others: by validation seed by seed, by the test part once for a grid point."""

import copy

import pandas as pd
import pytest
import yaml
from test_config import BASE, STUDY

from counterpoise.errors import UserError
from counterpoise.judging import selections as selecting
from counterpoise.planning import study
from counterpoise.planning.plan import Plan

#        case, seed, val, test
VALUES = [
    ("a", 0, 0.9, 0.5),
    ("b", 0, 0.8, 0.7),
    ("a", 1, 0.6, 0.9),
    ("b", 1, 0.7, 0.6),
    ("a", 2, 0.5, 0.1),
    ("b", 2, 0.5, 0.2),
]


def table_of(values, metric="f1"):
    rows = []
    for point, sign in (("p", 1), ("q", -1)):
        for case, seed, *parts in values:
            for split, value in zip(("val", "test"), parts, strict=True):
                rows.append((case, point, seed, "last", split, metric, None, sign * value, False))
                rows.append((case, point, seed, "last", split, "recall", "cat", ord(case) + seed, False))
    names = ("case", "point", "seed", "selection", "split", "metric", "class", "value", "diverged")
    return pd.DataFrame(rows, columns=names)


def picked(table, by, metric="f1"):
    found = selecting.rows(table, {"s": {"among": ["a", "b"], "by": by}}, metric)
    assert set(found["case"]) == {"s"}
    own = found[(found["metric"] == "recall") & (found["split"] == "test")]
    return {(p, seed): chr(int(v) - seed) for p, seed, v in own[["point", "seed", "value"]].itertuples(index=False)}


def test_the_validation_part_chooses_for_each_seed_and_the_first_of_equals_is_taken():
    assert picked(table_of(VALUES), "val") == {
        ("p", 0): "a", ("p", 1): "b", ("p", 2): "a", ("q", 0): "b", ("q", 1): "a", ("q", 2): "a",
    }  # fmt: skip


def test_the_test_part_chooses_once_for_a_grid_point():
    """Means over seeds: a has .5, b has .5 at p, so the first; without seed 2, a has .7 and b .65."""
    assert set(picked(table_of(VALUES), "test").values()) == {"a"}
    better = [(c, s, v, t + 0.01 * (c == "b")) for c, s, v, t in VALUES]
    chosen = picked(table_of(better), "test")
    assert {chosen["p", s] for s in range(3)} == {"b"}
    assert {chosen["q", s] for s in range(3)} == {"a"}


def test_a_cost_is_best_where_it_is_lowest_and_a_seed_that_one_case_lacks_is_left_out():
    costs = table_of(VALUES, "log_loss")
    assert picked(costs, "val", "log_loss")["p", 0] == "b"
    assert {seed for _, seed in picked(table_of(VALUES[:-1]), "val")} == {0, 1}


def test_what_is_taken_over_is_the_whole_row():
    table = table_of(VALUES)
    found = selecting.rows(table, {"s": {"among": ["a", "b"], "by": "val"}}, "f1")
    same = ["point", "seed", "selection", "split", "metric", "class", "value"]
    whole = table[(table["case"] == "a") & (table["point"] == "p") & (table["seed"] == 0)]
    ours = found[(found["point"] == "p") & (found["seed"] == 0)]
    assert ours[same].values.tolist() == whole[same].values.tolist()


@pytest.fixture
def load(tmp_path):
    def loaded(selections, **changes):
        content = {**copy.deepcopy(STUDY), "selections": selections, **changes}
        for folder, name, text in (("bases", "small", BASE), ("studies", "a2000_b", content)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{name}.yaml").write_text(yaml.safe_dump(text))
        return study.load("a2000_b", "smoke", tmp_path)

    return loaded


def test_a_study_without_selections_has_the_report_cell_that_it_had(load):
    names = {}
    for key, selections in (("none", {}), ("some", {"best": {"among": ["ros", "baseline"]}})):
        plan = Plan()
        plan.add(load(selections))
        names[key] = set(plan.cells)
        (about,) = plan.studies.values()
        assert ("selections" in about) == (key == "some")
    assert len(names["none"] ^ names["some"]) == 2, "the report's alone"


def test_a_claim_may_name_a_selection_and_a_scale_may_leave_out_cases_of_it(load):
    made = load({"best": {"among": ["ros", "baseline"]}}, scales={"smoke": {"only": ["baseline"]}}, claims=[])
    assert made.cases == ("baseline", "best")
    assert made.selections == {"best": {"among": ["baseline"], "by": "val"}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ros": {"among": ["baseline"]}}, "selections, ros: is a case already; give the selection another name"),
        ({"best": {"among": ["rus"]}}, "selections, best, among: unknown case 'rus'; did you mean 'ros'?"),
        ({"best": {"among": ["ros"], "by": "train"}}, "selections, best, by: expected 'val' or 'test'"),
        ({"best": {}}, "selections, best: missing key 'among'"),
    ],
)
def test_a_fault_of_a_selection_is_named(load, given, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        load(given)
