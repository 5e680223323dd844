"""CIFAR: official archives, the subset that the long-tail papers share, and their augmentation.

.venv/bin/python -m pytest -n 0 tests/test_cifar.py
"""

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from small_project import recipe

from counterpoise import records, registry
from counterpoise.checking.recipe import check_sample
from counterpoise.data import draw
from counterpoise.data import files as data
from counterpoise.errors import ImpossibleCell, UserError
from counterpoise.methods.augmentation import crop_flip
from counterpoise.methods.datasets import _cifar, cifar10, cifar100
from counterpoise.methods.imbalance import ldam_subset
from counterpoise.stages import preprocess

ARCHIVES = {"cifar10": "cifar-10-binary.tar.gz", "cifar100": "cifar-100-binary.tar.gz"}
FOLDERS = {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}


def records_of(labels: list[list[int]], seed: int) -> bytes:
    """Return records in the official format: label bytes, then red, green and blue, each row by row."""
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), np.uint8)
    return np.hstack([np.array(labels, np.uint8), pixels]).tobytes()


def parts_of(name: str) -> dict[str, bytes]:
    if name == "cifar10":
        members = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        return {m: records_of([[(i + j) % 10] for j in range(4)], i) for i, m in enumerate(members)}
    return {m: records_of([[19, 99 - i], [0, i], [7, 50]], i) for i, m in enumerate(("train.bin", "test.bin"))}


def archive_of(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for member, content in members.items():
            about = tarfile.TarInfo(member)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return held.getvalue()


@pytest.fixture(params=["cifar10", "cifar100"])
def tiny(request, tmp_path, monkeypatch):
    """A few records in the official format: name, members, and folders for downloads and for shared files."""
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("COUNTERPOISE_DATA", str(tmp_path / "shared"))

    def offline(*arguments, **keywords):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    name, parts = request.param, parts_of(request.param)
    checksums = {member: f"md5:{hashlib.md5(content).hexdigest()}" for member, content in parts.items()}
    files = _cifar.files(ARCHIVES[name], FOLDERS[name], checksums)
    monkeypatch.setattr(registry.method("datasets", name), "files", files)
    monkeypatch.setattr(registry.method("datasets", name), "data_hash", data.hash_checksums(files))
    for folder in ("raw", "shared"):
        (tmp_path / folder / name).mkdir(parents=True)
    return name, parts, tmp_path


def read(name):
    method = registry.method("datasets", name)
    return method().read(partial(data.locate, name, method.files))


def put_archive(tiny, folder="shared", **changed):
    name, parts, home = tiny
    content = archive_of({f"{FOLDERS[name]}/{m}": changed.get(m.partition(".")[0], c) for m, c in parts.items()})
    path = home / folder / name / ARCHIVES[name]
    path.write_bytes(content)
    return path


def check_arrays(tiny):
    name, parts, _ = tiny
    labels, found = {"cifar10": 1, "cifar100": 2}[name], read(name)
    for x, y, members in ((*found[:2], list(parts.values())[:-1]), (*found[2:], list(parts.values())[-1:])):
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        content, size = b"".join(members), labels + 3072
        assert x.shape == (len(content) // size, 3, 32, 32)
        for i in range(len(x)):
            record = content[i * size : (i + 1) * size]
            assert y[i] == record[labels - 1]  # the fine label follows the coarse one
            assert x[i, 1, 2, 3] == record[labels + 1024 + 2 * 32 + 3]
            assert x[i].tobytes() == record[labels:]


# --- archives


def test_the_official_archive_is_unpacked_into_the_raw_folder(tiny):
    name, parts, home = tiny
    archive = put_archive(tiny)
    assert all(data.at_hand(name, registry.method("datasets", name).files, member) for member in parts)
    check_arrays(tiny)
    archive.unlink()
    assert {p.name for p in (home / "raw" / name).glob("*.bin")} == set(parts)
    check_arrays(tiny)


def test_members_beside_the_archive_are_used_as_they_are(tiny):
    name, parts, home = tiny
    for member, content in parts.items():
        (home / "shared" / name / member).write_bytes(content)
    check_arrays(tiny)
    assert not list((home / "raw" / name).glob("*.bin"))


def test_the_archive_is_downloaded_once(tiny, monkeypatch):
    name, _, home = tiny
    archive, asked = put_archive(tiny, "raw").read_bytes(), []
    (home / "raw" / name / ARCHIVES[name]).unlink()

    class Response(io.BytesIO):
        headers: ClassVar[dict[str, str]] = {}

    def answer(url, timeout):
        asked.append(url)
        return Response(archive)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    check_arrays(tiny)
    assert asked == [f"https://www.cs.toronto.edu/~kriz/{ARCHIVES[name]}"]


@pytest.mark.parametrize(
    ("fault", "said"), [("truncated", "ended"), ("page", "not a gzip"), ("other", "found md5:"), ("bare", "not found")]
)
def test_an_archive_that_is_not_the_official_one_is_named_and_nothing_of_it_is_kept(tiny, fault, said):
    name, parts, home = tiny
    path = put_archive(tiny)
    first = next(iter(parts))
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif fault == "page":
        path.write_bytes(b"<html>not found</html>")
    elif fault == "other":
        put_archive(tiny, **{first.partition(".")[0]: b"another file"})
    else:
        path.write_bytes(archive_of({"readme.html": b""}))
    with pytest.raises(UserError) as caught:
        read(name)
    for part in (str(path), said, str(home / "raw" / name / first)):
        assert part in str(caught.value)
    assert not list((home / "raw" / name).glob("*.bin"))


def test_without_archive_and_network_the_error_says_what_to_put_where(tiny):
    name, parts, home = tiny
    assert not data.at_hand(name, registry.method("datasets", name).files, next(iter(parts)))
    with pytest.raises(UserError, match="no route to host") as caught:
        read(name)
    assert str(home / "raw" / name / next(iter(parts))) in str(caught.value)


def test_preprocess_takes_data_known_by_the_checksums_of_their_files(tiny, monkeypatch):
    name, _, home = tiny
    put_archive(tiny)
    cls = registry.method("datasets", name)
    counts = np.bincount(read(name)[1], minlength=len(cls.classes))
    monkeypatch.setattr(cls, "train_counts", tuple(counts.tolist()))
    preprocess.run({"data": {"name": name, "pool": 2}}, out=home / "out", spec={})
    meta = records.read_json(home / "out" / "meta.json")
    assert meta["data_hash"] == data.hash_checksums(registry.method("datasets", name).files)
    assert meta["shape"] == [3, 16, 16]


def test_other_checksums_are_another_hash_and_urls_do_not_count():
    files = {"a": ("https://one/a", "md5:1"), "b": ("https://one/b", "md5:2")}
    assert data.hash_checksums(files) == hashlib.sha256(b"a md5:1\nb md5:2\n").hexdigest()
    assert data.hash_checksums(files) == data.hash_checksums({"b": ("x", "md5:2"), "a": ("y", "md5:1")})


@pytest.mark.parametrize("content", [b"", bytes(3072), records_of([[10]], 0)])
def test_what_is_no_whole_record_or_no_label_is_a_user_error(tmp_path, content):
    (tmp_path / "part.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"part\.bin: found"):
        _cifar.read([tmp_path / "part.bin"], 1, 10)


def test_classes_stand_in_the_official_order():
    assert cifar10.Method.classes[3:6] == ("cat", "deer", "dog")
    assert list(cifar100.Method.classes) == sorted(cifar100.Method.classes)
    assert len(cifar100.Method.classes) == 100


# --- the subset of LDAM-DRW


def as_the_source_draws(targets, form, imb_factor, rand_number):
    """Its rule, line by line, with numpy's global generator."""
    classes = len(np.unique(targets))
    img_max = len(targets) / classes
    if form == "exp":
        counts = [int(img_max * imb_factor ** (i / (classes - 1.0))) for i in range(classes)]
    else:
        counts = [int(img_max)] * (classes // 2) + [int(img_max * imb_factor)] * (classes // 2)
    held = np.random.get_state()
    np.random.seed(rand_number)
    drawn = []
    for label, count in enumerate(counts):
        rows = np.where(targets == label)[0]
        np.random.shuffle(rows)
        drawn.append(rows[:count])
    np.random.set_state(held)
    return np.concatenate(drawn)


@pytest.mark.parametrize("form", ["exp", "step"])
@pytest.mark.parametrize(("classes", "size", "factor"), [(10, 5000, 100), (10, 5000, 50), (100, 500, 10), (4, 60, 20)])
@pytest.mark.parametrize("rand_number", [0, 3])
def test_the_subset_is_that_of_the_source_whatever_the_seed(form, classes, size, factor, rand_number):
    y = np.random.default_rng(1).permutation(np.repeat(np.arange(classes), size))
    expected = as_the_source_draws(y, form, 1 / factor, rand_number)
    spec = {"name": "ldam_subset", "form": form, "factor": factor, "seed": rand_number}
    for seed in (0, 7):
        split = draw.draw(recipe(imbalance=spec), y, classes, seed)
        np.testing.assert_array_equal(split.train_ids, np.sort(expected))
        np.testing.assert_array_equal(split.order, np.arange(classes))


def test_the_rows_are_those_of_the_published_lists():
    """First and last rows of class 0, by their place among its 5,000: facts of numpy's generator at seed 0."""
    places = np.argsort(ldam_subset.Method().priority(np.zeros(5000, np.int64)))
    assert places[:5].tolist() == [398, 3833, 4836, 4572, 636]
    assert places[-2:].tolist() == [2607, 2732]
    counts = ldam_subset.Method().counts(np.full(10, 5000), np.arange(10))
    assert counts.tolist() == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_validation_comes_from_the_back_of_the_same_order_and_a_smaller_factor_contains_a_larger_one():
    y = np.random.default_rng(1).permutation(np.repeat(np.arange(4), 60))
    held = set(range(len(y)))
    for factor in (1, 5, 20):
        spec = {"name": "ldam_subset", "factor": factor, "per_class": 40}
        split = draw.draw(recipe(imbalance=spec, validation=10), y, 4, seed=0)
        assert np.bincount(y[split.val_ids]).tolist() == [10] * 4
        assert not set(split.val_ids) & set(split.train_ids)
        assert set(split.train_ids) < held
        held = set(split.train_ids)


def test_step_has_no_count_for_the_last_of_an_odd_number_of_classes():
    with pytest.raises(ImpossibleCell, match="class 4 is left empty"):
        ldam_subset.Method(form="step").counts(np.full(5, 500), np.arange(5))


def test_the_plan_is_checked_against_the_class_order_that_sampling_uses():
    given = recipe(data={"name": "cifar10"}, imbalance={"name": "ldam_subset", "factor": 6000.0})
    with pytest.raises(UserError, match=r"here: seed 3: .*class 9 is left empty"):  # drawn, it would be class 8
        check_sample(given, [3], "here")


# --- crops


def test_every_crop_of_the_padded_image_comes_as_often_mirrored_or_not():
    image = torch.arange(1.0, 25).view(2, 3, 4)
    padded = torch.zeros(2, 7, 8)
    padded[:, 2:5, 2:6] = image
    expected = {}
    for top in range(5):
        for left in range(5):
            crop = padded[:, top : top + 3, left : left + 4]
            for view in (crop, crop.flip(2)):
                expected[tuple(view.flatten().tolist())] = 0
    views = crop_flip.Method(padding=2)(image.expand(20000, 2, 3, 4), torch.Generator().manual_seed(0))
    for view in views.flatten(1).tolist():
        expected[tuple(view)] += 1  # an unexpected one is a KeyError
    assert len(expected) == 50
    times = np.array(list(expected.values()))
    assert np.square(times - 400).sum() / 400 < 49 + 5 * (2 * 49) ** 0.5  # chi-square at 49 degrees of freedom
