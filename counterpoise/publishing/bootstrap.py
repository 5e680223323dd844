"""A second interval of a difference in accuracy: seeds and test examples drawn anew together.

A test part is fixed, so an interval over seeds is conditional on it. Here seeds are drawn with replacement, and so are
the test examples of each class, the same ones for both cases and all seeds: a two-way bootstrap, by percentiles. It is
shown beside the interval that the verdict rests on and decides nothing: over few seeds percentiles are too narrow.

Legend: C classes, D draws, K examples of one class, N test examples, S seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counterpoise import registry, streams
from counterpoise.judging import results
from counterpoise.judging.claims import Claim, parse_claims
from counterpoise.records import Json
from counterpoise.report import words
from counterpoise.scoring import evaluation

if TYPE_CHECKING:
    import numpy as np

DRAWS, LEVEL = 1000, 0.95
METRICS = ("accuracy", "balanced_accuracy")


def intervals(study: Json, found: list[results.Row], kind: str) -> list[list[float] | None]:
    """Return the interval of each claim (or control) that one case is better or no worse than another in accuracy.

    None for any other, and where seeds are missing, diverged, or were not all tested on the same examples.
    """
    claims = parse_claims(
        study[kind],
        cases=study["cases"],
        factors=results.factors(study),
        metrics=words.METRICS,
        primary=study["primary"],
        where=f"config/studies/{study['name']}.yaml, {kind}",
    )
    held: dict[str, Any] = {}
    return [_of(claim, study, found, held) for claim in claims]


def _of(claim: Claim, study: Json, found: list[results.Row], held: dict[str, Any]) -> list[float] | None:
    import numpy as np

    about = (claim.selection, claim.split, claim.transform) == ("last", "test", "none") and claim.metric in METRICS
    if claim.form not in ("better", "no_worse") or not about:
        return None
    differences: dict[str, list[np.ndarray]] = {}
    labels: dict[str, np.ndarray] = {}
    points = {e["point"]: e for e in study["entries"] if _on(claim, e["factors"])}
    for point, entry in points.items():
        ours, theirs = (_right(case, point, study, found, held) for case in (claim.A, claim.B))
        if ours is None or theirs is None:
            return None
        data = entry["recipe"]["data"]["name"]  # its test examples are the same at every grid point
        expected_N = labels.setdefault(data, ours[1])
        if any(not np.array_equal(labels_N, expected_N) for labels_N in (ours[1], theirs[1])):
            return None
        differences.setdefault(data, []).append((ours[0] - theirs[0]) / len(points))
    parts = [
        (weighted(np.sum(of_data, axis=0), labels[data], claim.metric), labels[data])
        for data, of_data in differences.items()
    ]
    return percentiles(parts, streams.numpy("report", "two-way", 0)) if parts else None


def _on(claim: Claim, factors: Json) -> bool:
    """Return whether a grid point belongs to the part of the grid that the claim is about."""
    return all(factors.get(name) in values for name, values in claim.on.items())


def _right(
    case: Any, point: str, study: Json, found: list[results.Row], held: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return right_SN (1 or 0) of a case at a grid point and labels_N; None where they are not one whole array."""
    import numpy as np

    rows: dict[int, tuple[np.ndarray, ...]] = {}
    for entry, stages in found:
        if (entry["case"], entry["point"]) == (case, point):
            key = str(stages["evaluate"].folder)
            if key not in held:
                held[key] = _decided(entry["recipe"]["evaluate"], stages)
            rows |= held[key]
    if not rows or any(seed not in rows for seed in study["seeds"]):
        return None
    ids, labels, _ = rows[study["seeds"][0]]
    if any(not np.array_equal(rows[seed][0], ids) for seed in study["seeds"]):
        return None
    return np.stack([rows[seed][2] for seed in study["seeds"]]).astype(float), labels


def _decided(section: Json, stages: dict[str, results.Block]) -> dict[int, tuple[np.ndarray, ...]]:
    """Return ids, labels and whether each decision was right, of every seed of a block, on the test part."""
    path = stages["finetune"].folder / "predictions.parquet"
    if stages["evaluate"].status != "done" or not path.exists():
        return {}
    frame, meta = evaluation.read(path)
    if section["test_factor"] > 1:
        frame = evaluation.shifted(frame, meta, section["test_factor"], section["test_order"])
    method, parts = (
        registry.build("rebalancing", section["rebalancing"]),
        evaluation.parts_of(frame, len(meta["classes"])),
    )
    on_test = frame[(frame["selection"] == "last") & (frame["split"] == "test")]
    made: dict[int, tuple[np.ndarray, ...]] = {}
    for seed, rows in on_test.groupby("seed", observed=True):
        labels_N, logits = parts[int(str(seed)), "last", "test"]
        rule = evaluation.rule_of(method, parts, meta, int(str(seed)))
        if getattr(method, "needs_experts", False):
            logits = evaluation.experts_of(parts, int(str(seed)), "test")
        right_N = rule(logits).decision_BC.argmax(1) == labels_N
        made[int(str(seed))] = rows["id"].to_numpy(), labels_N.numpy(), right_N.numpy()
    return made


def weighted(values_SN: np.ndarray, labels_N: np.ndarray, metric: str) -> np.ndarray:
    """Return the share of every example in the metric, of which the sum over examples is the metric."""
    import numpy as np

    if metric == "accuracy":
        return values_SN / len(labels_N)
    classes, counts_C = np.unique(labels_N, return_counts=True)
    return values_SN / counts_C[np.searchsorted(classes, labels_N)] / len(classes)


def percentiles(parts: list[tuple[np.ndarray, np.ndarray]], random: np.random.Generator) -> list[float]:
    """Return the interval of the mean over seeds of the sum over all parts of shares_SN, given with labels_N."""
    import numpy as np

    S = len(parts[0][0])
    times_DS = random.multinomial(S, np.full(S, 1 / S), size=DRAWS)
    total_D = np.zeros(DRAWS)
    for shares_SN, labels_N in parts:
        for label in np.unique(labels_N):
            own_SK = shares_SN[:, labels_N == label]
            K = own_SK.shape[1]
            drawn = random.integers(K, size=(DRAWS, K)) + K * np.arange(DRAWS)[:, None]
            times_DK = np.bincount(drawn.ravel(), minlength=DRAWS * K).reshape(DRAWS, K)
            total_D += ((times_DS / S) @ own_SK * times_DK).sum(1)
    return [float(v) for v in np.quantile(total_D, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])]
