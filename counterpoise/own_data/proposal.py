"""A study of somebody's own data as it is proposed: its cases, each with the reason for it, and its claims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

MARGIN = 0.01
MODELS = {
    "logistic_regression": "the linear model: fast, and hard to beat where effects add up",
    "lightgbm": "boosted trees: usually the strongest on tables",
    "random_forest": "averaged trees: robust without any tuning",
}
HELPS = {
    "class_weights": "Class weights help",
    "smote": "SMOTE helps",
    "undersampling": "Undersampling helps",
    "tuned_threshold": "A tuned threshold helps",
    "logit_adjustment": "Logit adjustment helps",
    "oversampling": "Oversampling helps",
    "balanced_softmax": "A balanced softmax helps",
}
LEAST = 20  # rows of the smallest class that a point of the learning curve must have
SHARES = (25, 50)  # per cent of the rows, for the learning curve


@dataclass(frozen=True)
class Case:
    """One case of a study: what it changes, and why it is there."""

    name: str
    settings: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Proposal:
    """A study of somebody's own data."""

    name: str
    command: str
    title: str
    source: str
    base: str
    config: dict[str, Any]
    comments: dict[str, str]
    """What there is to say of a column, in the list of kinds."""
    primary: str
    why_primary: str
    folds: int
    repetitions: int
    cases: tuple[Case, ...]
    claims: tuple[dict[str, Any], ...]
    left_out: tuple[str, ...] = ()
    """What is not tried, or not computed on all rows, and why."""
    seconds: float = 0.0
    """About how long it takes on two cores."""

    def without_curve(self) -> Proposal:
        """Return the study without the cases on fewer rows, which may lack a class in some fold."""
        kept = tuple(case for case in self.cases if "rows" not in case.settings)
        note = "no learning curve: on fewer rows some fold would lack a class"
        return replace(self, cases=kept, left_out=(*self.left_out, note)) if kept != self.cases else self

    @property
    def seeds(self) -> int:
        """Folds of all repetitions."""
        return self.folds * self.repetitions


def claims_of(cases: list[str], metric: str, models: Iterable[str] = MODELS) -> list[dict[str, Any]]:
    """Return each remedy against none, and one model against another."""
    claims = []

    def better(one: str, other: str, text: str, on: str = metric) -> None:
        if one in cases and other in cases:
            claims.append({"text": text, "form": "better", "A": one, "B": other, "metric": on, "margin": MARGIN})

    for model in models:
        for case in cases:
            remedy = case.removeprefix(f"{model}_")
            if remedy != case and "percent" not in remedy:
                on = "f1" if remedy == "tuned_threshold" else metric  # a threshold changes decisions, not the ranking
                better(case, model, f"{HELPS[remedy]} {model.replace('_', ' ')}", on)
    better("balanced_random_forest", "random_forest", "Balanced trees beat those of a plain random forest")
    better("self_paced_ensemble", "lightgbm", "A self-paced ensemble beats plain boosted trees")
    better("lightgbm", "logistic_regression", "Boosted trees beat the linear model")
    better("random_forest", "lightgbm", "A random forest beats boosted trees")
    return claims
