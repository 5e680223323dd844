"""Inputs by the type of each column, and beside them how likely the target is to lie below each of some thresholds.

Source: Troisemaine and Lemaire 2021, "Construction de variables a l'aide de classifieurs comme aide a la regression",
of which the abstract was at hand: thresholds from a discretised target, a classifier each, outputs appended.
Shapes: x_ND, target_N -> x_NF; as `typed_columns`, and one probability for each threshold.
Units: standard deviations of the training rows; probabilities.
Raises: ImpossibleCell for equal targets, and for fewer training rows than folds.
Differs from the source: probabilities of the training rows are out of fold, by classifiers that did not see the row;
those of any other row are by classifiers of all training rows. How the source keeps targets from leaking is not known.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise import registry, streams
from counterpoise.data.columns import Column
from counterpoise.errors import ImpossibleCell


@dataclass(frozen=True)
class Fitted:
    """What the training rows decided."""

    columns: tuple[Column, ...]
    """What the inputs are."""
    typed: Any
    """Raw rows to inputs by type."""
    classifiers: list[Any]
    """One for each threshold."""
    made_of_training: np.ndarray
    """The inputs of the training rows, with probabilities by classifiers that did not see them."""

    def __call__(self, x_ND: np.ndarray) -> np.ndarray:
        """Return the inputs of rows other than those of training, float64."""
        x_NF = self.typed(x_ND)
        return np.column_stack([x_NF, *(below(classifier, x_NF) for classifier in self.classifiers)])


@dataclass(frozen=True)
class Method:
    """Outputs of classifiers as inputs of a regressor."""

    version: ClassVar[int] = 1
    supervised: ClassVar[bool] = True
    thresholds: Annotated[int, Ge(1)] = 10
    """Values that the target is compared with; equal ones count once."""
    spacing: Literal["frequency", "width"] = "frequency"
    """Whether intervals between thresholds hold equal numbers of training rows, or are equally wide."""
    folds: Annotated[int, Ge(2)] = 5
    """Folds of the training rows that probabilities are made out of."""
    classifier: dict = registry.nested("models", "logistic_regression")
    """The model of each threshold."""

    def fit(self, x_ND: np.ndarray, columns: tuple[Column, ...], target_N: np.ndarray, seed: int) -> Fitted:
        """Return what the training rows `x_ND` and their targets decide."""
        if len(target_N) < self.folds:
            raise ImpossibleCell(
                f"classifier_features: {len(target_N)} training rows are fewer than {self.folds} folds"
            )
        typed = registry.build("preprocessing", {"name": "typed_columns"}).fit(x_ND, columns)
        model, cuts_T, x_NF = registry.build("models", self.classifier), self.cuts(target_N), typed(x_ND)
        fold_N = streams.numpy("finetune", "classifier_features", seed).permutation(len(x_NF)) % self.folds
        made_NT = np.empty((len(x_NF), len(cuts_T)))
        for fold in range(self.folds):
            out = fold_N == fold
            for t, cut in enumerate(cuts_T):
                made_NT[out, t] = below(fitted(model, x_NF[~out], target_N[~out] <= cut, seed), x_NF[out])
        whole = [fitted(model, x_NF, target_N <= cut, seed) for cut in cuts_T]
        added = tuple(Column(f"target <= {cut:.6g}") for cut in cuts_T)
        return Fitted((*typed.columns, *added), typed, whole, np.column_stack([x_NF, made_NT]))

    def cuts(self, target_N: np.ndarray) -> np.ndarray:
        """Return the thresholds, ascending; some training targets lie below each, or on it, and some above."""
        share_T = np.arange(1, self.thresholds + 1) / (self.thresholds + 1)
        spaced = (
            np.quantile(target_N, share_T)
            if self.spacing == "frequency"
            else target_N.min() + share_T * np.ptp(target_N)
        )
        cuts_T = np.unique(spaced)
        cuts_T = cuts_T[cuts_T < target_N.max()]
        if not len(cuts_T):
            raise ImpossibleCell(
                "classifier_features: the training targets are equal, or nearly all of them the greatest"
            )
        return cuts_T


def fitted(model: Any, x_NF: np.ndarray, is_below_N: np.ndarray, seed: int) -> Any:
    """Return a classifier of rows below a threshold; the one answer where the rows give only one."""
    return (
        model.fit(x_NF, is_below_N.astype(np.int64), seed)
        if np.ptp(is_below_N.astype(np.int8))
        else bool(is_below_N[0])
    )


def below(classifier: Any, x_NF: np.ndarray) -> np.ndarray:
    """Return the probability that the target of each row is at most the threshold."""
    return (
        np.full(len(x_NF), float(classifier)) if isinstance(classifier, bool) else classifier.predict_proba(x_NF)[:, 1]
    )
