"""Samplers at 10^5 examples: exact frequencies, the same numbers as torch's own drawing, blocks that do not show."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from counterpoise import registry
from counterpoise.methods.samplers import _classwise

SIZE = 10**5


def long_tailed(classes, seed=0):
    share = 0.01 ** (np.arange(classes) / (classes - 1))
    counts = np.maximum(1, (share / share.sum() * SIZE).astype(int))
    counts[0] += SIZE - counts.sum()
    labels = torch.arange(classes).repeat_interleave(torch.from_numpy(counts))
    return labels[torch.randperm(SIZE, generator=torch.Generator().manual_seed(seed))], counts


def draw(name, labels, epoch=3, **options):
    method = registry.build("samplers", {"name": name, **options})
    fixed, shuffle = torch.Generator().manual_seed(1), torch.Generator().manual_seed(2 + epoch)
    return method.draw(labels, epoch=epoch, epochs=10.0, fixed=fixed, shuffle=shuffle)


def share_of(name, counts):
    even = np.full(len(counts), 1 / len(counts))
    if name == "progressively_balanced":
        return 0.7 * counts / counts.sum() + 0.3 * even
    return np.sqrt(counts) / np.sqrt(counts).sum() if name == "square_root_sampling" else even


@pytest.mark.parametrize("classes", [2, 100, 1000])
@pytest.mark.parametrize("name", ["class_balanced", "progressively_balanced", "square_root_sampling"])
def test_classes_and_the_examples_of_the_largest_have_exact_frequencies(name, classes):
    labels, counts = long_tailed(classes)
    positions = draw(name, labels)
    share = share_of(name, counts)
    assert len(positions) == SIZE
    assert chisquare(labels[positions].bincount(minlength=classes).numpy(), share * SIZE).pvalue > 1e-3
    drawn_N = torch.zeros(SIZE)
    for epoch in range(10):
        drawn_N += draw("class_balanced", labels, epoch).bincount(minlength=SIZE)
    assert chisquare(drawn_N[labels == 0].numpy()).pvalue > 1e-3


def test_episodes_hold_each_class_alike_and_go_through_the_large_ones_evenly():
    labels, _ = long_tailed(100)
    positions = draw("episodic_sampling", labels, ways=5, shots=4)
    classes_EWS = labels[positions].view(-1, 5, 4)
    assert (classes_EWS == classes_EWS[..., :1]).all()
    episodes = classes_EWS[..., 0]
    assert (episodes.sort(1).values.diff(dim=1) > 0).all()
    # Of each episode one class in twenty: without replacement, so the counts spread a little less than chi-square.
    assert chisquare(episodes.flatten().bincount(minlength=100).numpy()).pvalue > 1e-3
    repeats_N = positions.bincount(minlength=SIZE)
    assert repeats_N[labels == 0].max() <= 1
    assert repeats_N[labels == 99].min() >= 1


@pytest.mark.parametrize("weights", [[1.0], [0.0, 3.0, 0.0, 1e-9, 2.0], [0.5] * 1000, list(range(70_000))])
def test_a_class_is_drawn_as_torch_multinomial_draws_it(weights):
    weights = torch.tensor(weights, dtype=torch.float64)
    ours, theirs = (torch.Generator().manual_seed(5) for _ in range(2))
    expected = torch.multinomial(weights, SIZE, replacement=True, generator=theirs)
    assert torch.equal(_classwise.categorical(weights, SIZE, ours), expected)
    assert torch.equal(ours.get_state(), theirs.get_state())


@pytest.mark.parametrize("classes", [1, 7, 300, 70_000])
def test_grouping_is_a_stable_sort(classes):
    labels = torch.randint(classes, (SIZE,), generator=torch.Generator().manual_seed(3))
    found = _classwise.grouped(labels)
    assert torch.equal(found.positions_N.long(), labels.argsort(stable=True))
    assert torch.equal(found.counts_C, labels.bincount())
    assert found.starts_C[labels[found.positions_N[-1]]] + found.counts_C[-1] == SIZE


def test_grouping_is_kept_while_the_labels_stay_as_they_are():
    labels = torch.tensor([1, 0, 1])
    first = _classwise.by_class(labels)
    assert _classwise.by_class(labels) is first
    labels[0] = 0
    assert _classwise.by_class(labels).positions_N.tolist() == [0, 1, 2]
    assert _classwise.by_class(labels.clone()).counts_C.tolist() == [2, 1]


@pytest.mark.parametrize("name", ["class_balanced", "square_root_sampling", "episodic_sampling"])
def test_the_size_of_a_block_changes_nothing(name, monkeypatch):
    labels, _ = long_tailed(10)
    whole = draw(name, labels.clone())
    monkeypatch.setattr(_classwise, "BLOCK", 1 << 10)
    assert torch.equal(draw(name, labels.clone()), whole)
