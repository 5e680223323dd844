"""Growth: CPU time and memory against rows, classes, seeds and cells; slopes in logarithms, 1 being linear.

Each point is measured in a process of its own; the slope is that of the least-squares line through the larger half of
the sizes, where what does not grow matters least. Planning grows with cells, sampling and metrics with rows and
classes, stacked training with seeds.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import _projects
from benchmarks.harness import Fresh, Json, Options, Target, compare, main, value

ROWS, CLASSES = 20_000, 10
LINEAR = Target("value", at_most=1.1)


def sampler(name: str, rows: int, classes: int) -> Callable[[], Any]:
    """Return an epoch of a sampler, grouping by class included."""
    import torch

    from counterpoise import registry

    method = registry.build("samplers", {"name": name})
    labels_N = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(0))
    labels_N[:classes] = torch.arange(classes)
    fixed, shuffle = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    return lambda: method.draw(labels_N, epoch=1, epochs=10.0, fixed=fixed, shuffle=shuffle)


def measured(rows: int, classes: int) -> Callable[[], Any]:
    """Return all metrics of predictions."""
    import torch

    from counterpoise.scoring import metrics
    from counterpoise.scoring.evidence import Scores

    labels_N = torch.arange(rows) % classes
    draw = torch.randn(rows, classes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = draw.log_softmax(1)
    metrics.confusion(labels_N[:2], scores[:2])
    given, counts_C = Scores(scores, scores, scores), torch.arange(classes, 0, -1)
    return lambda: metrics.compute(labels_N, given, counts_C)


def block(seeds: int) -> Callable[[], Any]:
    """Return the training of a block of seeds, stacked."""
    from benchmarks import stacked
    from counterpoise.training import loop

    loop.one_thread()
    stacked.together("digits MLP", 2, 5)
    return lambda: stacked.together("digits MLP", seeds, 60)


def planned(folder: str) -> Callable[[], Any]:
    """Return the planning of a project, after one that has imported what it needs."""
    from counterpoise.planning import plan

    plan.make("size_made", "full", Path(folder) / "config")
    return lambda: plan.make("size_made", "full", Path(folder) / "config")


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the points of every curve, and its slopes."""
    few = options.quick
    rows = [10**4, 10**5] if few else [10**4, 10**5, 10**6, 10**7]
    classes = [10, 100, 1000] if few else [10, 100, 1000, 10_000]
    for name in ("class_balanced", "random_oversampling", "episodic_sampling"):

        def of_rows(size: int, name: str = name) -> Fresh:
            return _fresh("sampler", name, size, 100)

        def of_classes(size: int, name: str = name) -> Fresh:
            return _fresh("sampler", name, 10**5, size)

        yield from _curve(f"{name}, rows", rows, of_rows, options)
        yield from _curve(f"{name}, classes", classes, of_classes, options)
    yield from _curve("metrics, rows", rows[:3], lambda n: _fresh("measured", n, CLASSES), options)
    yield from _curve("metrics, classes", classes, lambda n: _fresh("measured", ROWS, n), options)
    yield from _curve(
        "stacked training, seeds", [2, 8] if few else [2, 8, 32, 128], lambda n: _fresh("block", n), options
    )
    with tempfile.TemporaryDirectory() as held:

        def project(cells: int) -> Fresh:
            return _fresh("planned", str(_projects.write(Path(held) / str(cells), cells)))

        yield from _curve("planning, cells", [100, 1000] if few else [100, 1000, 10_000], project, options)


def _fresh(function: str, *arguments: Any) -> Fresh:
    return Fresh(f"benchmarks.growth:{function}", arguments)


def _curve(name: str, sizes: list[int], side: Callable[[int], Fresh], options: Options) -> Iterator[Json | None]:
    """Yield a row for each size, and the slopes of CPU time and memory."""
    if not options.wants(name):
        return
    rounds, found = Options(options.quick, min(3, options.repeats)), []
    for size in sizes:
        row = compare(f"{name}: {size:,}", {"ours": side(size)}, rounds, work=(size, name.split(", ")[1]), warm=False)
        assert row is not None
        found.append((size, row["sides"]["ours"]["cpu"][1], row["sides"]["ours"]["peak"]))
        yield row
    upper = found[len(found) // 2 - (len(found) < 4) :]
    yield value(f"slope of CPU time, {name}", slope([(n, cpu) for n, cpu, _ in upper]), "", target=LINEAR)
    peaks = [(n, peak) for n, _, peak in upper if peak]
    yield value(f"slope of memory, {name}", slope(peaks) if len(peaks) > 1 else None, "", target=LINEAR)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through the logarithms."""
    x, y = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True)) / sum((a - middle_x) ** 2 for a in x)


if __name__ == "__main__":
    main("benchmarks.growth", "Growth", measure, __doc__.partition("\n\n")[2])
