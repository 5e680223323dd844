"""The verdict of each claim of a study: levels over the family, agreement with what was published, and the reasons.

Statistics and the rules that name a verdict: `counterpoise.judging.statistics`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from counterpoise.errors import UserError
from counterpoise.judging import statistics as st
from counterpoise.judging.claims import IN_RANKS, MARGIN, Claim
from counterpoise.judging.effects import (
    ALONE,
    ALPHA,
    Evidence,
    Resampling,
    arm_of,
    arms_of,
    measure,
    place_of,
    repetitions,
)
from counterpoise.numerals import estimate, short
from counterpoise.planning.schema import UNJUDGED

INTERPOLATES = 0.995  # recall of the tail's training rows above which what sets in late meets a loss near zero
LOOK_ALPHA = 0.019
"""Alpha of each look at n, 2n and 4n seeds: holds the three together at .05 from n = 5 on. Pocock's .022 is
for equal steps (n, 2n, 3n) and gives .053 to .057 when n doubles (simulated in the tests)."""
HEADROOM = 5  # margins that an oracle must gain over the baseline
TIES = 1 / 3  # share of exact ties from which coverage falls under 94 % at small n (simulated in the tests)


def _agreements(
    claim: Claim,
    table: pd.DataFrame,
    seeds: Collection[int],
    references: Sequence[Mapping],
    scale: str,
    folds: int,
) -> list[dict[str, Any]]:
    """Compare our values with the published ones of `against`; a difference where both arms are published."""
    places: dict[str, dict[str, Mapping]] = {}
    for index in claim.against:
        reference = references[index]
        places.setdefault(repr(sorted(reference.get("at", {}).items())), {})[reference["case"]] = reference
    found = []
    for here in places.values():
        groups = [[reference] for reference in here.values()]
        if claim.A in here and isinstance(claim.B, str) and claim.B in here:
            groups = [[here.pop(claim.A), here.pop(claim.B)], *([reference] for reference in here.values())]
        found += [_compare(claim, table, seeds, group, scale, folds) for group in groups]
    return found


def _compare(
    claim: Claim, table: pd.DataFrame, seeds: Collection[int], group: list[Mapping], scale: str, folds: int
) -> dict[str, Any]:
    """Compare one published value, or the difference of two, with our untransformed seed values."""
    published = group[0]["value"] - sum(reference["value"] for reference in group[1:])
    cases = [reference["case"] for reference in group]
    result = {"cases": cases, "at": dict(group[0].get("at", {})), "published": published}
    runs = min(reference.get("n", 1) for reference in group)
    stats = {reference.get("stat", "mean") for reference in group}
    why = ""
    if any(reference.get("scale", "full") != scale for reference in group):
        why = f"it describes another scale than {scale}"
    elif (stats == {"best_on_test"}) != (claim.selection == "best_on_test"):
        why = "best on test compares with best on test only"
    elif runs >= 3 and (claim.transform != "none" or claim.form in IN_RANKS):
        why = "the margin is in other units than the value"
    if why:
        return result | {"outcome": "not comparable", "why": why}
    place = replace(claim, transform="none", on=place_of(claim, group[0], table), factor="")
    wide = arms_of(place, table, seeds, *cases).wide
    if len(wide) < 2:
        return result | {"outcome": "not comparable", "why": f"fewer than 2 complete seeds of {' and '.join(cases)}"}
    ours = arm_of(wide, cases[0]).mean(axis=1)
    for case in cases[1:]:
        ours = ours - arm_of(wide, case).mean(axis=1)
    if folds > 1:  # a published number of the same table is a mean over the folds of a repetition
        ours = repetitions(ours, folds)
        if len(ours) < 2:
            return result | {"outcome": "not comparable", "why": "fewer than 2 complete repetitions"}
    sds = [reference["sd"] for reference in group if reference.get("sd") is not None]
    outcome, low, high = st.agreement(
        ours.to_numpy(),
        published,
        n=runs,
        sd=float(np.linalg.norm(sds)) if len(sds) == len(group) else None,
        error=sum(reference.get("read_off_error", 0.0) for reference in group),
        median="median" in stats,
        margin=claim.margin,
    )
    return result | {"outcome": outcome, "ours": float(ours.mean()), "interval": [low, high]}


def _p(claim: Claim, evidence: Evidence) -> float:
    """Return the level at which the claim's interval begins to decide it; 1 without an interval."""
    values = st.widened(evidence.values, evidence.overlap)
    if evidence.n < 2:
        return 1.0
    if claim.form == "exists":
        return st.binomial_p(int(values.sum()), evidence.n, claim.share)
    if claim.form == "close":
        return float(st.equivalence_p(values, claim.margin))
    if claim.form == "dominates":
        return float(st.best_p(values))
    p = float(st.two_sided(*st.t_tails(values, -claim.margin if claim.form == "no_worse" else 0.0)))
    return max(p, st.sign_flip_p(values)) if claim.form in IN_RANKS else p


def _interval(claim: Claim, values: np.ndarray, alpha: float) -> tuple[float, float, float]:
    """Return effect, lower and upper limit at the claim's Holm level."""
    if claim.form == "exists":
        return float(values.mean()), *st.clopper_pearson(int(values.sum()), len(values), alpha)
    estimate = {"dominates": st.best_interval, "depends": st.rank_interval, "ranks": st.rank_interval}
    effect, low, high = estimate.get(claim.form, st.t_interval)(values, alpha)
    return float(effect), float(low), float(high)


def _no_headroom(claim: Claim, gate: Mapping[str, Any] | None) -> str:
    """Say why the gate is closed, or nothing. A claim in other units is held to the usual margin."""
    if not gate:
        return ""
    same = claim.metric == gate.get("metric") and claim.transform == "none" and claim.form not in IN_RANKS
    need = HEADROOM * (claim.margin if same else MARGIN)
    head, tail, gain = gate.get("head_recall"), gate.get("tail_recall"), gate.get("headroom")
    faults = []
    if gain is not None and gain < need - st.IDENTICAL:
        faults.append(f"the oracle gains {short(gain)}, under {HEADROOM} margins ({need:.3g})")
    if head is not None and not head > 0.85:
        faults.append(f"head recall {head:.3g} is not over .85")
    if tail is not None and not 0.2 <= tail <= 0.75:
        faults.append(f"tail recall {tail:.3g} is outside .2 to .75")
    return "no headroom: " + ", ".join(faults) if faults else ""


def _regime(claim: Claim, switches: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Say of which cases a last stage of training had little left to learn: the tail's own rows were known by heart."""
    notes = []
    for case in claim.cases:
        point, recall = max(switches.get(case, {}).items(), key=lambda item: item[1], default=("", 0.0))
        if recall > INTERPOLATES:
            place = f" at {point}" if point else ""
            notes.append(
                f"interpolating regime: {case} recalled {recall:.4g} of the tail's training rows{place} at its switch"
            )
    return notes


def _sentence(claim: Claim, evidence: Evidence, scale: str, settings: Mapping[str, Any] | None, row: Any) -> str:
    chosen = [str(settings[key]) for key in ("data", "model", "counts", "budget") if settings and key in settings]
    place = f"At scale {scale}" + (f", on {', '.join(chosen)}" if chosen else "")
    unit = claim.metric if claim.transform == "none" else f"logit {claim.metric}"
    part = ", ".join(f"{factor} in {list(values)}" for factor, values in claim.on.items())
    seen = f"{claim.selection}, {claim.split}" + (f", {part}" if part else "")
    seen += ", chosen on the test part: published protocol only" if claim.selection == "best_on_test" else ""
    result = "was not measured" if row["interval"] is None else f"was {estimate(row['effect'], row['interval'])}"
    lost = f"; diverged {evidence.diverged} of {evidence.n}" if evidence.diverged else ""
    widened = ", folds of one table: corrected resampled t" if evidence.overlap else ""
    return (
        f"{place}: {evidence.quantity} in {unit} ({seen}) {result} (n = {evidence.n} {evidence.unit}{widened}{lost})."
    )


def judge(
    claims: Sequence[Claim],
    table: pd.DataFrame,
    *,
    scale: str,
    seeds: int | Collection[int],
    references: Sequence[Mapping[str, Any]] = (),
    look: int = 1,
    extendable: bool = False,
    family_size: int | None = None,
    settings: Mapping[str, Any] | None = None,
    gate: Mapping[str, Any] | None = None,
    resampling: Resampling = ALONE,
    switches: Mapping[str, Mapping[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Give every claim of a study its verdict; the returned rows are ready for JSON.

    `seeds` are those fixed by the study, or their number when they start at 0; others are ignored.
    `extendable` says that the study reserved looks at n, 2n and 4n before the first of them, each then at `LOOK_ALPHA`.
    `switches` tells, by case and grid point, the recall of the tail's training rows when the last stage began.
    `family_size` is the number of claims of the key over all its studies. Raises UserError for a table with
    NaN, a reference that does not exist, or a look that was not reserved.
    """
    if look not in ((1, 2, 3) if extendable else (1,)):
        expected = "1, 2 or 3" if extendable else "1 (a later look must be reserved before the first)"
        raise UserError(f"claims: look: found {look}, expected {expected}")
    for number, claim in enumerate(claims, start=1):
        if any(index >= len(references) for index in claim.against):
            valid = f"positions 0 to {len(references) - 1}" if references else "none: there is no reference"
            raise UserError(f"claim {number}: against: found {list(claim.against)}, expected {valid}")
    fixed = range(seeds) if isinstance(seeds, int) else seeds
    evidence = [measure(claim, table, fixed, references, resampling) for claim in claims]
    p = np.array([_p(claim, found) for claim, found in zip(claims, evidence, strict=True)])
    size = max(family_size or 0, len(claims))
    alphas = st.holm_alphas(p, LOOK_ALPHA if extendable else ALPHA, size)
    adjusted = st.holm(p, size)
    rows = []
    for i, (claim, found) in enumerate(zip(claims, evidence, strict=True)):
        compared = []
        if claim.form != "ranks":
            compared = _agreements(claim, table, fixed, references, scale, resampling.folds)
        found = replace(found, notes=[*found.notes, *_regime(claim, switches or {})])
        row = _row(claim, found, float(alphas[i]), len(fixed), scale, compared, _no_headroom(claim, gate))
        rows.append(
            row
            | {"p": float(p[i]), "p_holm": float(adjusted[i]), "family_size": size, "look": look}
            | {"sentence": _sentence(claim, found, scale, settings, row), "agreement": compared}
        )
    return rows


def _row(
    claim: Claim,
    evidence: Evidence,
    alpha: float,
    seeds: int,
    scale: str,
    compared: list[dict[str, Any]],
    no_headroom: str,
) -> dict[str, Any]:
    """Apply the rules to one claim at its level: interval, verdict, caps, power and the reason."""
    n, notes = evidence.n, list(evidence.notes)
    effect = interval = detectable = settle = None
    outcome = "inconclusive"
    if n >= 2:
        effect, low, high = _interval(claim, st.widened(evidence.values, evidence.overlap), alpha)
        interval = st.limited(low, high, evidence.limits)
        line = claim.share if claim.form == "exists" else claim.margin
        either = claim.form == "depends" and not claim.direction
        outcome = str(st.verdict("depends either way" if either else claim.form, effect, low, high, line))
        detectable, settle = _power(claim, evidence, alpha)
        notes += _warnings(claim, evidence.values)
    else:
        notes.append(f"{n} complete {evidence.unit}: an interval needs 2")
    if outcome == "inconclusive" and n >= 2:
        notes.append(_unsettled(claim, evidence, seeds, detectable, settle))
    failing = [entry for entry in compared if entry["outcome"] in ("disagrees", "not shown")]
    if outcome == "reproduced" and (failing or not evidence.widely):
        outcome = "ordering only"
        notes += [f"agreement with the published {short(e['published'], 4)}: {e['outcome']}" for e in failing]
    if claim.scope == "analogue" and outcome in ("reproduced", "refuted"):
        notes.append(f"capped: an analogue cannot be {outcome}")
        outcome = {"reproduced": "ordering only", "refuted": "not reproduced"}[outcome]
    if no_headroom:
        outcome, notes = "inconclusive", [no_headroom, *notes]
    return {
        "text": claim.text,
        "form": claim.form,
        "scope": claim.scope,
        "scale": scale,
        "key": claim.key,
        "metric": claim.metric,
        "selection": claim.selection,
        "split": claim.split,
        "verdict": "no verdict" if scale in UNJUDGED else outcome,
        "effect": effect,
        "interval": interval,
        "level": 1 - alpha,
        "n": n,
        "margin": claim.margin,
        "smallest_detectable": detectable,
        "n_to_settle": settle,
        "reason": "; ".join(notes),
        "diverged": f"{evidence.diverged} of {n}",
        "per_point": evidence.per_point,
        "concerns": claim.concerns,
    }


def _warnings(claim: Claim, values: np.ndarray) -> list[str]:
    """Say where the interval deserves less trust: too many seeds with the same value or with exact ties."""
    n = values.shape[-1]
    if claim.form == "exists":
        return []
    if np.ptp(values, axis=-1).max() <= st.IDENTICAL:
        unlike = 1 - ALPHA ** (1 / n)
        return [f"all {n} seeds gave the same value: up to {unlike:.0%} of seeds could still differ"]
    ties = int((np.abs(values) <= st.IDENTICAL).sum(axis=-1).max())
    if claim.form in IN_RANKS or ties < TIES * n:
        return []
    return [f"{ties} of {n} seeds tie exactly: at a ceiling the interval is too narrow"]


def _power(claim: Claim, evidence: Evidence, alpha: float) -> tuple[float | None, int | None]:
    """Return the smallest detectable effect at 80 % power and the seeds that would settle the claim."""
    if claim.form == "exists":
        return st.smallest_detectable_share(evidence.n, claim.share, alpha), None
    values = np.atleast_2d(st.widened(evidence.values, evidence.overlap))
    sd = float(values[values.mean(axis=1).argmin()].std(ddof=1))  # of the toughest rival
    settle = None if evidence.overlap else st.seeds_to_settle(sd, evidence.n, claim.margin, alpha)
    return st.smallest_detectable(sd, evidence.n, alpha), settle


def _unsettled(claim: Claim, evidence: Evidence, seeds: int, detectable: float | None, settle: int | None) -> str:
    """Say what an inconclusive claim could have shown, and why it could not show less."""
    n, unit = evidence.n, evidence.unit
    power = "never show such a share" if detectable is None else f"show {detectable:.3g} with 80 % power"
    told = f"undecided: {n} {unit} can {power}"
    if evidence.overlap:
        told += f", the margin is {claim.margin:g}; more folds of the same rows hardly help, more rows or tables would"
    elif claim.form != "exists":
        more = "over 100,000" if settle is None else str(settle)
        told += f", the margin is {claim.margin:g}, and {more} {unit} would settle it"
    return f"{told}; the study fixed {seeds}" + ("" if unit == "seeds" else " seeds")
