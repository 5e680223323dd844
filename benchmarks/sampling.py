"""Sampling: whole epochs as index tensors, against torch, imbalanced-dataset-sampler and imbalanced-learn.

Our side is `Method.draw` of an epoch after the first, which has from the first the positions by class, or which ones
undersampling keeps; the peers, too, are set up before the clock starts, and then iterated over once. Labels are
long-tailed over 100 classes (largest to smallest 100), shuffled. Floor: two random numbers for each position, and one
look-up at random in memory.
"""

from __future__ import annotations

import importlib.util
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from scipy.stats import chisquare

from benchmarks.harness import Json, Options, Target, compare, main, once, row, value
from counterpoise import registry

CLASSES = 100
FAST = Target("cpu_ratio", at_least=20)
Side = Callable[[], Any]


def labels_of(size: int) -> torch.Tensor:
    """Return long-tailed labels in random order."""
    share_C = 0.01 ** (np.arange(CLASSES) / (CLASSES - 1))
    counts_C = np.maximum(1, (share_C / share_C.sum() * size).astype(int))
    counts_C[0] += size - counts_C.sum()
    labels_N = torch.arange(CLASSES).repeat_interleave(torch.from_numpy(counts_C))
    return labels_N[torch.randperm(size, generator=torch.Generator().manual_seed(0))]


def ours(name: str, labels_N: torch.Tensor, **options: Any) -> Side:
    """Return an epoch of one of our samplers."""
    method = registry.build("samplers", {"name": name, **options})
    shuffle = torch.Generator().manual_seed(2)

    def epoch() -> torch.Tensor:
        fixed = torch.Generator().manual_seed(1)  # as in training, the same for every epoch
        return method.draw(labels_N, epoch=1, epochs=10.0, fixed=fixed, shuffle=shuffle)

    return epoch


def weighted_random_sampler(labels_N: torch.Tensor, weights_C: torch.Tensor) -> Side:
    """Return an epoch of torch's sampler, gone through as a loader would."""
    sampler = torch.utils.data.WeightedRandomSampler(weights_C.double()[labels_N], len(labels_N))
    return lambda: deque(sampler, maxlen=0)


def loaded(path: Path) -> Any:
    """Return one file of a peer as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imbalanced_dataset_sampler(folder: Path, labels_N: torch.Tensor) -> Side:
    """Return an epoch of ufoym's sampler, which imports torchvision only to recognise its data sets."""
    sys.modules["torchvision"] = ModuleType("torchvision")
    try:
        peer = loaded(folder / "torchsampler" / "imbalanced.py")
    finally:
        del sys.modules["torchvision"]
    sampler = peer.ImbalancedDatasetSampler(labels_N, labels=labels_N.tolist())
    return lambda: deque(sampler, maxlen=0)


def balanced_batch_generator(labels_N: torch.Tensor, over: bool) -> Side:
    """Return what imbalanced-learn's generator of batches does for an epoch: draw, shuffle, take batches of 128."""
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.tensorflow import balanced_batch_generator
    from imblearn.under_sampling import RandomUnderSampler

    sampler = (RandomOverSampler if over else RandomUnderSampler)(random_state=0)
    positions_N1, label_N = np.arange(len(labels_N))[:, None], labels_N.numpy()

    def epoch() -> None:
        batches, steps = balanced_batch_generator(
            positions_N1, label_N, sampler=sampler, batch_size=128, random_state=0
        )
        for _ in range(steps):
            next(batches)

    return epoch


def categories_sampler(folder: Path, labels_N: torch.Tensor, episodes: int, ways: int, shots: int) -> Side:
    """Return episodes of the sampler of prototypical-network-pytorch."""
    sampler = loaded(folder / "samplers.py").CategoriesSampler(labels_N.numpy(), episodes, ways, shots)
    return lambda: deque(sampler, maxlen=0)


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the rows of every size."""
    for exponent in (5, 6) if options.quick else (5, 7):
        yield from _of_size(10**exponent, f"10^{exponent}", options)
    if not options.quick and options.wants("10^8"):
        yield from _largest(10**8, options)


def _of_size(size: int, shown: str, options: Options) -> Iterator[Json | None]:
    labels_N = labels_of(size)
    counts_C, work = labels_N.bincount(), (size, "positions")
    target = FAST if size >= 10**7 else None
    folder, few_shot = options.peer("imbalanced-dataset-sampler"), options.peer("prototypical-network-pytorch")
    torch_peer = "torch WeightedRandomSampler"
    sides = {"ours": ours("class_balanced", labels_N), torch_peer: weighted_random_sampler(labels_N, 1 / counts_C)}
    if folder:
        sides["imbalanced-dataset-sampler"] = imbalanced_dataset_sampler(folder, labels_N)
    yield compare(f"class-balanced, {shown}", sides, options, target=target, work=work)
    for name, title, weights_C in (
        ("square_root_sampling", "weighted (square root)", counts_C**-0.5),
        ("progressively_balanced", "progressively balanced", 0.9 / size + 0.1 / CLASSES / counts_C),
    ):
        sides = {"ours": ours(name, labels_N), torch_peer: weighted_random_sampler(labels_N, weights_C)}
        yield compare(f"{title}, {shown}", sides, options, target=target, work=work)
    for over in (False, True):
        name = "random_oversampling" if over else "random_undersampling"
        drawn = int(counts_C.max() if over else counts_C.min()) * CLASSES
        sides = {"ours": ours(name, labels_N), "imbalanced-learn batches": balanced_batch_generator(labels_N, over)}
        note = "a permutation by torch.randperm of all positions that come out, as the draws are fixed" if over else ""
        yield compare(f"{name}, {shown}", sides, options, target=target, work=(drawn, "positions"), note=note)
    sides = {"ours": ours("episodic_sampling", labels_N, ways=5, shots=4)}
    episodes = size // 20
    if few_shot and size <= 10**6:  # it permutes a whole class for each row of an episode
        sides["prototypical-network-pytorch"] = categories_sampler(few_shot, labels_N, episodes, 5, 4)
    yield compare(f"episodic, {shown}", sides, options, target=target if len(sides) > 1 else None, work=work)


def _largest(size: int, options: Options) -> Iterator[Json | None]:
    """Yield what 10^8 items take: time, memory beside the labels, and whether frequencies are exact."""
    labels_N, index = labels_of(size), 8 * size
    for name in ("class_balanced", "progressively_balanced", "square_root_sampling"):
        epoch = ours(name, labels_N)
        calls = [once(epoch) for _ in range(2)]
        target = Target("peak", at_most=4 * index)
        note = "the first epoch, which groups the positions by class, and a second; torch refuses more than 2^24 items"
        yield row(f"{name}, 10^8", {"ours": calls}, work=(size, "positions"), target=target, note=note)
    drawn_C = labels_N[ours("class_balanced", labels_N)()].bincount()
    number = float(chisquare(drawn_C.numpy()).pvalue)
    yield value("chi-square p of class-balanced, 10^8", number, "", target=Target("value", at_least=1e-3))


if __name__ == "__main__":
    main("benchmarks.sampling", "Sampling", measure, __doc__.partition("\n\n")[2])
