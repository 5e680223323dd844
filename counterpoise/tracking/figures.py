"""Two small pictures of a case for the tracker: what training saw, and what the test part was taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def class_histogram(classes: list[str], unique: dict[str, list[int]], seen: dict[str, list[int]]) -> Figure:
    """Draw the mean training examples of each class over seeds, and the share of batches that they filled.

    `unique` and `seen` map a seed to counts_C. Each seed's classes are sorted by size first, because which classes
    are rare is drawn by seed; the axis therefore shows ranks unless all seeds have the same order.
    """
    import numpy as np

    have = np.array([unique[seed] for seed in unique], float)
    drawn = np.array([seen[seed] for seed in unique], float)
    order = np.argsort(-have, axis=1, kind="stable")
    same = (order == order[0]).all()
    have, drawn = np.take_along_axis(have, order, 1), np.take_along_axis(drawn, order, 1)
    drawn = drawn * have.sum(1, keepdims=True) / np.maximum(drawn.sum(1, keepdims=True), 1)
    figure, axes = _figure(5, 3.4, (0.12, 0.3, 0.85, 0.6))
    at = np.arange(len(classes))
    axes.bar(at - 0.2, have.mean(0), 0.4, color="#0072b2", label="unique examples")
    axes.bar(at + 0.2, drawn.mean(0), 0.4, color="#e69f00", label="as batches held them, same total")
    axes.set_xticks(
        at, [classes[i] for i in order[0]] if same else [f"#{i + 1}" for i in at], **_slanted(classes, same)
    )
    axes.set(ylabel="examples", title=f"Training classes, mean of {len(have)} seeds")
    figure.legend(loc="lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def confusion_matrix(classes: list[str], shares: list[list[float]]) -> Figure:
    """Draw a matrix of shares (rows are true classes and sum to 1) of the test part over all seeds."""
    size = max(3.5, 0.4 * len(classes) + 1)
    figure, axes = _figure(size, size, (0.2, 0.2, 0.68, 0.7))
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    at = range(len(classes))
    axes.set_xticks(at, classes, **_slanted(classes, True))
    axes.set_yticks(at, classes)
    axes.set(xlabel="predicted", ylabel="true", title="Test part: share of each true class")
    if len(classes) <= 12:
        for i, row in enumerate(shares):
            for j, share in enumerate(row):
                if share >= 0.005:
                    axes.text(j, i, f"{share:.2f}", ha="center", va="center", fontsize=7, color=_ink(share))
    figure.colorbar(image, cax=figure.add_axes((0.9, 0.2, 0.03, 0.7)))
    return figure


def _slanted(classes: list[str], named: bool) -> dict[str, Any]:
    return {"rotation": 45, "ha": "right"} if named and max(map(len, classes)) > 3 else {}


def _ink(share: float) -> str:
    return "black" if share > 0.5 else "white"


def _figure(width: float, height: float, axes: tuple[float, float, float, float]) -> tuple[Figure, Any]:
    """Return a figure and its axes at fixed places: to find places by drawing would cost as much again."""
    from matplotlib.figure import Figure  # without pyplot: no global state, no window system

    figure = Figure((width, height), dpi=100)
    return figure, figure.add_axes(axes)
