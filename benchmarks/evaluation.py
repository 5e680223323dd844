"""Evaluation: metrics of many predictions, the verdicts of many claims, and the pages of studies.

Metrics are those of every part of every cell (`metrics.compute`: counts, exact AUC against the rest and in pairs,
average precision, calibration), beside scikit-learn's functions for a part of them: confusion matrix, AUC against the
rest, average precision, log loss. A study here has 5 cases at 10 points with 20 seeds and 8 claims.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Fresh, Json, Options, Target, compare, main

CLASSES, STUDIES, FLOAT = 100, 174, 8


def predictions(size: int) -> tuple[Any, Any]:
    """Return labels and logits of a network that is right about half the time."""
    import torch

    generator = torch.Generator().manual_seed(0)
    labels_N = torch.randint(CLASSES, (size,), generator=generator)
    logits_NC = torch.randn(size, CLASSES, generator=generator, dtype=torch.float64)
    logits_NC[torch.arange(size), labels_N] += 2.5
    return labels_N, logits_NC


def ours(size: int) -> Callable[[], Any]:
    """Return all our metrics of so many predictions."""
    import torch

    from counterpoise import registry
    from counterpoise.scoring import metrics
    from counterpoise.scoring.evidence import Evidence

    labels_N, logits_NC = predictions(size)
    counts_C = torch.arange(CLASSES, 0, -1)
    evidence = Evidence(counts_C, counts_C, None, None, test_logits_BC=logits_NC)
    rule = registry.build("rebalancing", {"name": "none"}).fit(evidence)
    metrics.compute(labels_N[:1000], rule(logits_NC[:1000]), counts_C)
    return lambda: metrics.compute(labels_N, rule(logits_NC), counts_C)


def scikit_learn(size: int) -> Callable[[], Any]:
    """Return some of them by scikit-learn."""
    from sklearn.metrics import average_precision_score, confusion_matrix, log_loss, roc_auc_score

    labels_N, logits_NC = predictions(size)
    label_N = labels_N.numpy()

    def call() -> None:
        prob_NC = logits_NC.softmax(1).numpy()
        confusion_matrix(label_N, prob_NC.argmax(1))
        roc_auc_score(label_N, prob_NC, multi_class="ovr")
        average_precision_score(label_N, prob_NC)
        log_loss(label_N, prob_NC)

    return call


def verdicts(folder: str, studies: int) -> Callable[[], Any]:
    """Return the verdicts of a study's claims, as often as there are studies."""
    from counterpoise.judging import results
    from counterpoise.planning import plan
    from counterpoise.stages import report

    os.chdir(folder)
    made = plan.read()
    study = made.studies["size_made.full"]
    found = results.rows(made, study)
    table = results.measurements(found, study)
    report.judge(made, study, found, table)
    return lambda: [report.judge(made, study, found, table) for _ in range(studies)]


def pages(folder: str, studies: int) -> Callable[[], Any]:
    """Return the whole report of a study, from its files to its page, as often as there are studies."""
    from counterpoise.planning import plan
    from counterpoise.stages import report

    os.chdir(folder)
    made = plan.read()
    return lambda: [report.run(made, made.studies["size_made.full"]["report"]) for _ in range(studies)]


def measure(options: Options) -> Iterator[Json | None]:
    """Yield metrics at two sizes, then claims and pages."""
    for exponent in (4, 5) if options.quick else (5, 6):
        size = 10**exponent
        sides = {"ours": Fresh("benchmarks.evaluation:ours", (size,))}
        if exponent < 6:
            sides["scikit-learn, some"] = Fresh("benchmarks.evaluation:scikit_learn", (size,))
        target = Target("peak", at_most=5 * size * CLASSES * FLOAT) if exponent == 6 else None
        note = "bounded: the target is five times the logits in float64" if exponent == 6 else ""
        work = (size, "predictions")
        name = f"metrics of 10^{exponent} x {CLASSES}"
        yield compare(name, sides, options, target=target, work=work, warm=False, note=note)
    with tempfile.TemporaryDirectory() as held:
        folder = _projects.write(Path(held) / "study", 20 if options.quick else 100, seeds=5 if options.quick else 20)
        _claims(folder)
        if options.wants("claims") or options.wants("page"):
            _projects.filled(folder)
        for name, function, studies in (
            ("claims", "verdicts", 10 if options.quick else STUDIES),
            ("pages", "pages", 1 if options.quick else 5),
        ):
            side = Fresh(f"benchmarks.evaluation:{function}", (str(folder), studies))
            yield compare(
                f"{name} of {studies} studies", {"ours": side}, options, work=(studies, "studies"), warm=False
            )


def _claims(folder: Path) -> None:
    """Give the study eight claims of several forms."""
    path = folder / "config/studies/size_made.yaml"
    rivals = ["oversampling", "undersampling", "class_balanced", "thresholding"]
    claims = [
        {"form": "better", "A": a, "B": "baseline", "metric": m} for a in rivals[:3] for m in ("accuracy", "macro_f1")
    ]
    claims += [
        {"form": "dominates", "A": rivals[0], "B": rivals[1:]},
        {"form": "no_worse", "A": rivals[3], "B": rivals[0]},
    ]
    lines = [json.dumps(claim | {"text": "made", "scope": "analogue", "margin": 0.01}) for claim in claims]
    text = path.read_text().splitlines()
    path.write_text("\n".join(f"claims: [{', '.join(lines)}]" if x.startswith("claims:") else x for x in text) + "\n")


if __name__ == "__main__":
    main("benchmarks.evaluation", "Evaluation, claims and report", measure, __doc__.partition("\n\n")[2])
