"""The page of benchmarks follows from the JSON, and the harness's arithmetic is right. Nothing is timed here."""

import json
import sys

import pytest

from benchmarks import harness, page
from benchmarks.harness import Once, Target


def test_the_page_is_what_the_results_give():
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run `python -m benchmarks.page`"


def calls(*seconds):
    return [Once(wall=2 * s, cpu=s, peak=round(s * 2**20)) for s in seconds]


def test_ratios_are_taken_within_a_round_and_shown_with_their_quartiles():
    found = harness.row("draw", {"ours": calls(1, 2, 4), "peer": calls(10, 40, 80)}, work=(100, "items"))
    assert found["sides"]["ours"]["cpu"] == [1.5, 2, 3]
    assert found["sides"]["peer"]["peak"] == 80 * 2**20
    assert found["ratios"] == {"peer": {"cpu": [15, 20, 20], "wall": [15, 20, 20]}}  # of 10, 20 and 20
    turned = harness.row("draw", {"ours": calls(1, 2, 4), "peer": calls(10, 40, 80)}, cost=True)
    assert turned["ratios"]["peer"]["cpu"] == [0.05, 0.05, pytest.approx(0.075)]


@pytest.mark.parametrize(
    ("target", "reached", "met"),
    [
        (Target("cpu_ratio", at_least=20), 20, True),
        (Target("wall_ratio", at_least=20.5), 20, False),
        (Target("cpu_ratio", at_least=1, against="absent"), None, None),
        (Target("cpu", at_most=2), 2, True),
        (Target("wall", at_most=2), 4, False),
        (Target("peak", at_most=2**22), 2**22, True),
    ],
)
def test_a_target_is_met_by_the_median_or_not_measured(target, reached, met):
    found = harness.row("draw", {"ours": calls(1, 2, 4), "peer": calls(10, 40, 80)}, target=target)
    assert (found["reached"], found["met"]) == (reached, met)


def test_both_sides_are_called_in_turns_and_each_round_in_the_other_order():
    order = []
    sides = {name: (lambda name=name: order.append(name)) for name in ("a", "b")}
    found = harness.compare("x", sides, harness.Options(repeats=3))
    assert order == ["a", "b", "a", "b", "b", "a", "a", "b"]  # the first two are not counted
    assert found["sides"]["a"]["repeats"] == 3
    assert harness.compare("x", sides, harness.Options(only="y")) is None
    assert len(order) == 8


def test_the_rise_of_memory_during_a_call_is_seen():
    cost = harness.once(lambda: len(b"x" * (64 << 20)))
    assert cost.peak is None or 60 << 20 < cost.peak < 100 << 20


def test_a_section_shows_targets_spread_and_what_was_not_measured():
    rows = [
        harness.row("draw", {"ours": calls(1, 2, 4), "peer": calls(10, 40, 80)}, target=Target("cpu_ratio", 20)),
        harness.value("slope", None, "", target=Target("value", at_most=1.1), note="no time"),
    ]
    about = json.loads(json.dumps({"title": "T", "about": "A.", **harness.surroundings(), "rows": rows}))
    text = page.section(about, "sampling.h100")
    assert "| 20 [15, 20] | 20 [15, 20] |" in text
    assert "cpu ratio ≥ 20: met" in text
    assert "| slope | not measured | value ≤ 1.1: not measured |" in text
    assert "- slope: no time" in text
    assert "`python -m benchmarks.sampling`" in text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process cannot adopt orphans")
def test_a_command_costs_what_it_leaves_behind_too():
    burn = f"{sys.executable} -c 'import time\nwhile time.process_time() < 0.4: pass'"
    cost = harness.Command(("bash", "-c", f"setsid {burn} & exit 0"))()
    assert cost.cpu >= 0.4
