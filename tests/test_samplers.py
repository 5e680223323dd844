"""Samplers by the class histogram that they really produce, over many epochs and at the edges."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from counterpoise import registry
from counterpoise.errors import ImpossibleCell

COUNTS = [500, 120, 31, 7, 1]
DRAWING = [n for n in registry.names("samplers") if hasattr(registry.method("samplers", n), "draw")]
WITH_REPLACEMENT = ("class_balanced", "square_root_sampling", "progressively_balanced")


def labelled(counts=COUNTS):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(99))]


def draw(name, labels, epoch=0, epochs=10.0, seed=0, **options):
    return registry.build("samplers", {"name": name, **options}).draw(
        labels,
        epoch=epoch,
        epochs=epochs,
        fixed=torch.Generator().manual_seed(seed),
        shuffle=torch.Generator().manual_seed(1000 * seed + epoch + 1),
    )


def histogram(labels, positions):
    return labels[positions].bincount(minlength=int(labels.max()) + 1).tolist()


@pytest.mark.parametrize("name", DRAWING)
def test_an_epoch_follows_from_its_generators_alone_and_is_shuffled(name):
    labels = labelled()
    before = torch.random.get_rng_state()
    first, again, later = draw(name, labels), draw(name, labels), draw(name, labels, epoch=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.dtype == torch.int64
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert (first.sort().values != first).any()
    assert 0 <= first.min() <= first.max() < len(labels)


@pytest.mark.parametrize("name", ["none", "oracle_balanced"])
def test_none_gives_every_example_once(name):
    assert torch.equal(draw(name, labelled()).sort().values, torch.arange(sum(COUNTS)))


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(500.0, COUNTS), (4.0, [max(n, 125) for n in COUNTS]), (1.0, [500] * 5)],
)
def test_oversampling_reaches_its_target_and_copies_differ_by_at_most_one(ratio, expected):
    labels = labelled()
    positions = draw("random_oversampling", labels, ratio=ratio)
    assert histogram(labels, positions) == expected
    copies = positions.bincount(minlength=len(labels))
    for label in range(len(COUNTS)):
        of_class = copies[labels == label]
        assert of_class.min() >= 1
        assert of_class.max() - of_class.min() <= 1


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(500.0, COUNTS), (10.0, [min(n, 10) for n in COUNTS]), (1.0, [1] * 5)],
)
def test_undersampling_reaches_its_target_without_repeats(ratio, expected):
    labels = labelled()
    positions = draw("random_undersampling", labels, ratio=ratio)
    assert histogram(labels, positions) == expected
    assert len(positions.unique()) == len(positions)


@pytest.mark.parametrize("name", ["random_oversampling", "random_undersampling"])
def test_copies_and_omissions_stay_the_same_in_every_epoch_and_differ_between_seeds(name):
    labels = labelled([100, 37, 10])
    first = draw(name, labels, epoch=0).sort().values
    assert torch.equal(draw(name, labels, epoch=7).sort().values, first)
    assert not torch.equal(draw(name, labels, seed=1).sort().values, first)


def test_more_undersampling_keeps_a_subset():
    labels = labelled()
    held = set(range(len(labels)))
    for ratio in (50.0, 10.0, 3.0, 1.0):
        kept = set(draw("random_undersampling", labels, ratio=ratio).tolist())
        assert kept < held
        held = kept


def test_what_undersampling_keeps_is_drawn_anew_for_another_seed_and_for_other_labels():
    labels = labelled()
    first, other, again = (draw("random_undersampling", labels, seed=seed, ratio=10.0) for seed in (0, 1, 0))
    assert torch.equal(first, again)
    assert set(first.tolist()) != set(other.tolist())
    labels[labels == 4] = 3
    assert histogram(labels, draw("random_undersampling", labels, ratio=10.0)) == [80, 80, 31, 8]


def test_the_rows_that_are_copied_or_kept_are_drawn_uniformly():
    labels = labelled([30, 20])  # ten of the 20 get a second copy; 20 of the 30 are kept
    copied, kept = torch.zeros(50), torch.zeros(50)
    for seed in range(300):
        copied += draw("random_oversampling", labels, seed=seed).bincount(minlength=50) - 1
        kept += draw("random_undersampling", labels, seed=seed).bincount(minlength=50)
    assert chisquare(copied[labels == 1].numpy()).pvalue > 1e-3
    assert chisquare(kept[labels == 0].numpy()).pvalue > 1e-3


def expected_share(name, counts, epoch=0, epochs=10.0, variant="paper"):
    n = np.array(counts, float)
    present = (n > 0) / (n > 0).sum()
    if name == "progressively_balanced":
        share = epoch / (epochs if variant == "paper" else epochs - 1)
        return (1 - share) * n / n.sum() + share * present
    return present if name == "class_balanced" else np.sqrt(n) / np.sqrt(n).sum()


@pytest.mark.parametrize("epoch", [0, 4, 9])
@pytest.mark.parametrize("name", WITH_REPLACEMENT)
def test_the_class_histogram_over_many_draws_is_the_one_of_the_paper(name, epoch):
    labels = labelled()
    total = np.zeros(len(COUNTS))
    for seed in range(200):
        positions = draw(name, labels, epoch=epoch, seed=seed)
        assert len(positions) == len(labels)
        total += histogram(labels, positions)
    assert chisquare(total, expected_share(name, COUNTS, epoch) * total.sum()).pvalue > 1e-3


@pytest.mark.parametrize("name", WITH_REPLACEMENT)
def test_the_examples_of_a_class_are_drawn_uniformly(name):
    labels = labelled([60, 20])
    total = sum(draw(name, labels, epoch=5, seed=seed).bincount(minlength=80) for seed in range(500))
    for label in range(2):
        assert chisquare(total[labels == label].numpy()).pvalue > 1e-3


def test_the_two_variants_of_progressive_balance_differ_in_the_last_epoch():
    labels = labelled([9000, 900, 100])
    for variant in ("paper", "official_code"):
        share = expected_share("progressively_balanced", [9000, 900, 100], 9, 10.0, variant)
        found = histogram(labels, draw("progressively_balanced", labels, epoch=9, variant=variant))
        assert chisquare(found, share * 10000).pvalue > 1e-3
    assert share == pytest.approx([1 / 3] * 3)  # the code ends at full balance


@pytest.mark.parametrize("epochs", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("variant", ["paper", "official_code"])
def test_progressive_balance_survives_phases_that_are_not_whole_epochs(epochs, variant):
    for epoch in range(4):
        assert len(draw("progressively_balanced", labelled(), epoch=epoch, epochs=epochs, variant=variant)) == 659


@pytest.mark.parametrize("name", DRAWING)
@pytest.mark.parametrize("counts", [[40, 0, 3], [0, 9, 2], [5, 1], [1, 1], [3]])
def test_absent_classes_lone_examples_and_few_classes(name, counts):
    labels = labelled(counts)
    for epoch in range(20):
        found = histogram(labels, draw(name, labels, epoch=epoch))
        assert all(n == 0 for n, there in zip(found, counts, strict=True) if there == 0)
        assert sum(found) > 0


def test_full_balance_ignores_an_absent_class():
    labels = labelled([40, 0, 3])
    assert histogram(labels, draw("random_oversampling", labels)) == [40, 0, 40]
    assert histogram(labels, draw("random_undersampling", labels)) == [3, 0, 3]


@pytest.mark.parametrize("name", DRAWING)
def test_more_examples_than_torch_multinomial_takes_would_do(name):
    # 2^24 is the limit; a tenth of the size shows that nothing loops over examples
    labels = torch.cat([torch.zeros(1_500_000, dtype=torch.long), torch.ones(100_000, dtype=torch.long)])
    positions = draw(name, labels)
    assert positions.max() < len(labels)


# --- oracle_balanced.redraw, which the sample stage calls


def redraw(counts, available):
    method = registry.build("samplers", {"name": "oracle_balanced"})
    return method.redraw(np.array(counts), np.array(available)).tolist()


def test_oracle_balance_splits_the_same_total_evenly():
    assert redraw([90, 8, 4], [100] * 3) == [34] * 3
    assert redraw([90, 8, 6], [100] * 3) == [35, 35, 34]


def test_oracle_balance_says_which_class_lacks_examples():
    with pytest.raises(ImpossibleCell, match="class 2 has 33 examples available for training, 34 are needed"):
        redraw([90, 8, 4], [100, 100, 33])


def test_redraw_does_not_import_torch():
    code = (
        "import sys, numpy; from counterpoise import registry;"
        "registry.build('samplers', {'name': 'oracle_balanced'}).redraw(numpy.array([3, 1]), numpy.array([9, 9]));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
