"""Which cases a study of somebody's own table should have: models by remedies, fit for its size and its ratio.

Every case says why it is there; what is left out is said too.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from counterpoise.errors import UserError
from counterpoise.own_data.profiling import Profile
from counterpoise.own_data.proposal import LEAST, MODELS, SHARES, Case, Proposal, claims_of

STRETCHES = 4  # of time that are tested on
ROWS = 100_000  # that a study is computed on at most; the exported model is fitted on all
CELLS = 20_000_000  # rows by inputs that a study is computed on at most: 160 MB as float64
SMOTE_ROWS = 50_000  # above which its neighbours take longer than the models
NEIGHBOURS = 5  # of SMOTE
ENOUGH = 50  # rows of a class on which undersampling may leave a model
LEVEL = 1.5  # ratio of the largest class to the smallest, up to which nothing is to be remedied
CLASSES = 1000  # above which predictions and models outgrow a machine
BOOSTED = 50  # classes up to which trees are boosted: each round grows one for every class
RATES = {  # microseconds for each row and input of one fit, on one core; for the estimate of a study's time alone
    "logistic_regression": 1.0,
    "lightgbm": 4.0,
    "random_forest": 20.0,
    "balanced_random_forest": 14.0,
    "self_paced_ensemble": 16.0,
}
START = 2.0  # seconds that the jobs of a case take to start


def of_table(
    profile: Profile,
    data: dict[str, Any],
    name: str,
    command: str,
    group: str = "",
    groups: int = 0,
    time: str = "",
    stretches: int = STRETCHES,
) -> Proposal:
    """Return the study of a table with the options `data`; folds go by `group`, or are `stretches` of `time`."""
    many, two = len(profile.classes), len(profile.classes) == 2
    if many > CLASSES:
        raise UserError(
            f"target '{profile.target}' has {many:,} classes; a study takes at most {CLASSES:,}: merge the rare "
            "ones, or choose a coarser target"
        )
    left_out: list[str] = []
    rows = _rows(profile, left_out)
    counts = [max(1, round(n * min(1.0, rows / sum(profile.counts)))) for n in profile.counts]
    folds = stretches if time else min(profile.folds, groups or profile.folds)
    work = rows * _inputs(profile)
    repetitions = 1 if time or work > 1_000_000 else 2 if work > 60_000 else 4
    cases = _cases(two, counts, folds, max(profile.ratio, 1.0), left_out)
    cases += _learning_curve(rows, counts, folds, left_out)
    if many > BOOSTED:
        left_out.append(f"boosted trees are not tried: they would grow {many:,} trees in every round")
        cases = [case for case in cases if case.settings["model"] != "lightgbm"]
    split = {"name": "k_fold", "folds": folds}
    if group or time:
        split = {"name": "grouped_k_fold" if group else "time_ordered", "column": group or time, "folds": folds}
    rarest = profile.classes[counts.index(min(counts))]
    return Proposal(
        name=name,
        command=command,
        title=f"Which remedy for imbalance in '{profile.target}', and with which model?",
        source=f"{data['path']}, {profile.rows:,} rows",
        base="own_table",
        config={"split": split, "rows": rows if rows < sum(profile.counts) else 0, "data": {"name": "table", **data}},
        comments={c.name: c.why + (f"; {c.missing:.1%} missing" if c.missing else "") for c in profile.columns},
        primary="average_precision" if two else "macro_f1",
        why_primary=f"how well '{rarest}' is ranked first, whatever the threshold"
        if two
        else "precision and recall of every class alike",
        folds=folds,
        repetitions=repetitions,
        cases=tuple(cases),
        claims=tuple(claims_of([case.name for case in cases], "average_precision" if two else "macro_f1")),
        left_out=tuple(left_out),
        seconds=_seconds(cases, rows, _inputs(profile), many, folds * repetitions),
    )


def _rows(profile: Profile, left_out: list[str]) -> int:
    total = sum(profile.counts)
    enough = ceil(total * profile.folds / min(profile.counts))  # for the smallest class to be in every fold
    rows = min(total, max(enough, min(ROWS, max(1000, CELLS // _inputs(profile)))))
    if rows < total:
        left_out.append(
            f"the study is computed on {rows:,} of {total:,} rows, every class in proportion, to stay within time and "
            "memory; raise `rows` for more (0: all); `counterpoise export` fits all rows"
        )
    return rows


def _inputs(profile: Profile) -> int:
    """Return about how many inputs the columns make."""
    return sum(len(c.categories) if c.kind == "categorical" else 1 for c in profile.columns if c.kind != "ignore")


def _cases(two: bool, counts: list[int], folds: int, ratio: float, left_out: list[str]) -> list[Case]:
    smallest = min(counts)
    in_training = smallest - ceil(smallest / folds)
    remedies: dict[str, tuple[dict[str, Any], str]] = {
        "class_weights": ({"finetune": {"loss": "class_weighted"}}, "errors on a class cost more, the rarer it is")
    }
    if ratio <= LEVEL:
        left_out.append(
            f"the classes are nearly level (ratio {ratio:.1f}): of the remedies only class weights are tried"
        )
        return _crossed(remedies)
    if in_training <= NEIGHBOURS:
        left_out.append(
            f"SMOTE is not tried: {in_training} training rows of the smallest class are fewer than the {NEIGHBOURS} "
            "neighbours and one that it needs"
        )
    elif sum(counts) > SMOTE_ROWS:
        left_out.append(
            f"SMOTE is not tried on more than {SMOTE_ROWS:,} rows: its neighbours would take most of the time"
        )
    else:
        remedies["smote"] = {"sample": "smote"}, "new rows of rare classes are made between neighbours"
    if in_training >= ENOUGH:
        remedies["undersampling"] = {"sample": "random_undersampling"}, "rows of frequent classes are left out"
    else:
        left_out.append(f"undersampling is not tried: it would leave {in_training} training rows of each class")
    if two and in_training >= 3:
        remedies["tuned_threshold"] = (
            {"finetune": {"inner": {"folds": 3}}, "evaluate": {"rebalancing": "tuned_threshold"}},
            "the model is left alone, and the threshold with the best F1 on inner folds is taken",
        )
    elif not two:
        remedies["logit_adjustment"] = (
            {"evaluate": {"rebalancing": "logit_adjustment"}},
            "the model is left alone, and classes are chosen as if all were as frequent",
        )
    cases = _crossed(remedies)
    if in_training >= NEIGHBOURS:
        cases += [
            Case(
                "balanced_random_forest",
                {"model": "balanced_random_forest"},
                "each tree sees as many rows of each class",
            ),
            Case(
                "self_paced_ensemble",
                {"model": "self_paced_ensemble"},
                "each member sees all rare rows and those of the others that are still hard",
            ),
        ]
    return cases


def _crossed(remedies: dict[str, tuple[dict[str, Any], str]]) -> list[Case]:
    cases = []
    for model, about in MODELS.items():
        cases.append(Case(model, {"model": model}, f"{about}; nothing is done about imbalance"))
        for remedy, (settings, why) in remedies.items():
            if (model, remedy) != ("random_forest", "undersampling"):  # the balanced random forest is that, and better
                cases.append(Case(f"{model}_{remedy}", {"model": model, **settings}, why))
    return cases


def _learning_curve(rows: int, counts: list[int], folds: int, left_out: list[str]) -> list[Case]:
    least = max(LEAST, folds)
    shares = [share for share in SHARES if min(counts) * share // 100 >= least]
    if not shares:
        left_out.append(f"no learning curve: half of the rows would hold under {least} of the smallest class")
    return [
        Case(
            f"{model}_on_{share}_percent", {"model": model, "rows": rows * share // 100}, "what more rows would change"
        )
        for model in MODELS
        for share in shares
    ]


def _seconds(cases: list[Case], rows: int, inputs: int, classes: int, seeds: int) -> float:
    total = 0.0
    for case in cases:
        fits = 1 + case.settings.get("finetune", {}).get("inner", {}).get("folds", 0)
        trees = classes if case.settings["model"] == "lightgbm" and classes > 2 else 1
        held = case.settings.get("rows", rows) * (2 if case.settings.get("sample") == "smote" else 1)
        total += START + RATES[case.settings["model"]] * 1e-6 * held * (inputs + 5) * fits * seeds * trees
    return total / 2 + 2 * START
