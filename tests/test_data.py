"""Files are found, checked and decoded; every fault of a file is one line that says what to do."""

import gzip
import hashlib
import struct
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from counterpoise import records, registry
from counterpoise.data import files, pooling
from counterpoise.errors import UserError
from counterpoise.methods.datasets import _idx, fashion_mnist, mnist
from counterpoise.stages import preprocess

CONTENT = b"a small official file"
CHECKSUM = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path / "raw"))
    monkeypatch.setenv("COUNTERPOISE_DATA", "")

    def offline(*arguments, **keywords):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path / "raw"


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def find(url: str = "https://example.org/part.gz", checksum: str = CHECKSUM) -> Path:
    return files.locate("tiny", {"part": (url, checksum)}, "part")


def fault(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("place", ["raw/tiny/part", "raw/tiny/part.gz", "raw/part", "raw/part.gz"])
def test_a_file_in_the_raw_folder_is_used(raw, place):
    path = put(raw.parent / place, gzip.compress(CONTENT) if place.endswith(".gz") else CONTENT)
    assert find() == path
    with files.open_file(find()) as file:
        assert file.read() == CONTENT


def test_the_folders_of_counterpoise_data_come_after_the_raw_folder(raw, tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("COUNTERPOISE_DATA", f"{first}:{second}")
    in_second = put(second / "tiny" / "part.gz", gzip.compress(CONTENT))
    assert find() == in_second
    in_first = put(first / "tiny" / "part", CONTENT)
    assert find() == in_first
    in_raw = put(raw / "tiny" / "part", CONTENT)
    assert find() == in_raw


def test_the_raw_folder_is_data_raw_unless_said_otherwise(monkeypatch):
    monkeypatch.delenv("COUNTERPOISE_RAW", raising=False)
    assert files.raw_folder() == Path("data/raw")


def test_sha256_is_checked_as_well_as_md5(raw):
    put(raw / "tiny" / "part", CONTENT)
    assert find(checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}").name == "part"


def test_a_missing_file_without_network_names_file_checksum_reason_and_place(raw):
    message = fault(find)
    for part in ("'tiny'", "'part'", CHECKSUM, "example.org/part.gz", "no route to host", str(raw / "tiny" / "part")):
        assert part in message


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("part", CONTENT[:-3], f"md5:{hashlib.md5(CONTENT[:-3]).hexdigest()}"),
        ("part", b"another file", f"md5:{hashlib.md5(b'another file').hexdigest()}"),
        ("part.gz", gzip.compress(CONTENT, mtime=0)[:-12], "truncated"),
        ("part.gz", gzip.compress(b"another file", mtime=0), f"md5:{hashlib.md5(b'another file').hexdigest()}"),
        ("part.gz", b"<html>not found</html>", "no valid gzip"),
        ("part.gz", gzip.compress(CONTENT, mtime=0)[:10] + b"\xff" * 20, "no valid gzip"),
    ],
    ids=["truncated", "other", "truncated-gz", "other-gz", "not-gz", "damaged-gz"],
)
def test_a_faulty_file_is_named_with_what_was_found_and_expected_and_kept(raw, name, content, found):
    path = put(raw / "tiny" / name, content)
    message = fault(find)
    for part in (str(path), found, CHECKSUM, str(raw / "tiny" / "part")):
        assert part in message
    assert path.read_bytes() == content


def test_a_good_copy_elsewhere_is_used_in_place_of_a_faulty_one(raw, tmp_path, monkeypatch):
    put(raw / "tiny" / "part", b"damaged")
    monkeypatch.setenv("COUNTERPOISE_DATA", str(tmp_path / "shared"))
    good = put(tmp_path / "shared" / "tiny" / "part", CONTENT)
    assert find() == good


def test_a_file_of_the_same_name_that_belongs_to_another_data_set_is_passed_over(raw):
    put(raw / "part", b"of another data set")
    assert "downloading" in fault(find)


def test_a_download_lands_whole_in_the_folder_of_its_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path / "raw"))
    monkeypatch.delenv("COUNTERPOISE_DATA", raising=False)
    origin = put(tmp_path / "origin" / "part.gz", gzip.compress(CONTENT))
    path = find(origin.as_uri())
    assert path == tmp_path / "raw" / "tiny" / "part.gz"
    assert path.read_bytes() == origin.read_bytes()
    assert not list(path.parent.glob("*.tmp"))
    origin.unlink()
    assert find(origin.as_uri()) == path  # found, not downloaded again


def test_a_download_of_something_else_is_refused_and_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path / "raw"))
    monkeypatch.delenv("COUNTERPOISE_DATA", raising=False)
    origin = put(tmp_path / "origin" / "part.gz", gzip.compress(b"a log-in page"))
    assert hashlib.md5(b"a log-in page").hexdigest() in fault(lambda: find(origin.as_uri()))
    assert not (tmp_path / "raw" / "tiny" / "part.gz").exists()


def test_a_raw_folder_that_cannot_be_written_is_a_user_error(tmp_path, monkeypatch):
    put(tmp_path / "raw", b"a file where the folder should be")
    monkeypatch.setenv("COUNTERPOISE_RAW", str(tmp_path / "raw"))
    assert str(tmp_path / "raw") in fault(find)


def test_the_hash_of_arrays_sees_values_types_and_shapes_but_not_byte_order_or_layout():
    x = np.arange(6, dtype=np.int64).reshape(2, 3)
    text = b"<i8 (2, 3)" + x.tobytes()
    assert files.hash_arrays(x) == hashlib.sha256(text).hexdigest()
    assert files.hash_arrays(x) == files.hash_arrays(x.astype(">i8")) == files.hash_arrays(np.asfortranarray(x))
    others = [x + 1, x.astype(np.int32), x.reshape(3, 2), x.T]
    assert len({files.hash_arrays(x), *map(files.hash_arrays, others)}) == 5


# --- IDX


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def test_an_idx_file_is_read_as_its_header_says(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(_idx.read(put(tmp_path / "x", idx(array))), array)
    np.testing.assert_array_equal(_idx.read(put(tmp_path / "x.gz", gzip.compress(idx(array)))), array)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"\x1f\x8b\x08\0", b"\0\0\x0d\x01\0\0\0\x02ab", b"\0\0\x08\x03\0\0", idx(np.ones(5))[:-1]]
)
def test_an_idx_file_that_is_none_is_a_user_error(tmp_path, content):
    assert str(tmp_path / "x") in fault(lambda: _idx.read(put(tmp_path / "x", content)))


@pytest.fixture(params=[mnist, fashion_mnist], ids=["mnist", "fashion_mnist"])
def tiny(request, raw, monkeypatch):
    """A few images in the official format under the official names, with checksums to match."""
    module = request.param
    name = module.__name__.rsplit(".", 1)[-1]
    random = np.random.default_rng(0)
    arrays = {
        _idx.TRAIN_IMAGES: random.integers(0, 256, (20, 28, 28)),
        _idx.TRAIN_LABELS: np.arange(20) % 10,
        _idx.TEST_IMAGES: random.integers(0, 256, (10, 28, 28)),
        _idx.TEST_LABELS: np.arange(10),
    }
    checksums = {}
    for file, array in arrays.items():
        put(raw / name / f"{file}.gz", gzip.compress(idx(array)))
        checksums[file] = f"md5:{hashlib.md5(idx(array)).hexdigest()}"
    monkeypatch.setattr(module.Method, "files", _idx.files("https://example.org", checksums))
    read = module.Method().read(partial(files.locate, name, module.Method.files))
    monkeypatch.setattr(module.Method, "data_hash", files.hash_arrays(*read))
    monkeypatch.setattr(module.Method, "train_counts", (2,) * 10)
    return name, arrays


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_preprocess_keeps_the_official_parts_and_pools_without_rounding(tiny, tmp_path, pool):
    name, arrays = tiny
    preprocess.run({"data": {"name": name, "pool": pool}}, out=tmp_path / "out", spec={"stage": "preprocess"})
    for part, images, labels in (
        ("train", _idx.TRAIN_IMAGES, _idx.TRAIN_LABELS),
        ("test", _idx.TEST_IMAGES, _idx.TEST_LABELS),
    ):
        x = np.load(tmp_path / "out" / f"{part}_x.npy", mmap_mode="r", allow_pickle=False)
        side = 28 // pool
        assert x.dtype == (np.uint8 if pool == 1 else np.float32)
        expected = arrays[images].reshape(-1, 1, side, pool, side, pool).astype(np.float64).mean((3, 5))
        np.testing.assert_array_equal(x, expected)
        y = np.load(tmp_path / "out" / f"{part}_y.npy", allow_pickle=False)
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, arrays[labels])
    meta = records.read_json(tmp_path / "out" / "meta.json")
    assert (meta["name"], meta["kind"], meta["shape"]) == (name, "image", [1, 28 // pool, 28 // pool])
    assert len(meta["classes"]) == 10
    assert meta["data_hash"] == registry.method("datasets", name).data_hash
    run = records.read_json(tmp_path / "out" / "run.json")
    assert run["status"] == "done"


def test_preprocess_refuses_data_that_decode_to_something_else(tiny, tmp_path, monkeypatch):
    name, _ = tiny
    monkeypatch.setattr(registry.method("datasets", name), "data_hash", "0" * 64)
    message = fault(lambda: preprocess.run({"data": {"name": name}}, out=tmp_path / "out", spec={}))
    assert name in message
    assert "0" * 64 in message
    assert not (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize(("name", "pool"), [("mnist", 3), ("fashion_mnist", 29), ("digits", 3)])
def test_a_pool_that_does_not_divide_the_side_is_a_user_error(name, pool):
    message = fault(lambda: registry.build("datasets", {"name": name, "pool": pool}))
    assert f"found {pool}" in message
    assert "[1, 2, 4" in message


def test_average_pooling_averages_each_square():
    x = np.array([[[[0, 255, 1, 2], [255, 255, 3, 5]]]], np.uint8)
    np.testing.assert_array_equal(pooling.average_pool(x, 2), np.array([[[[191.25, 2.75]]]], np.float32))


# --- what the data sets of this project really are


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])  # preprocess checks the others against theirs
def test_a_data_set_is_what_its_constants_say(name):
    method = registry.method("datasets", name)
    train_x, train_y, test_x, test_y = method().read(partial(files.locate, name, method.files))
    assert files.hash_arrays(train_x, train_y, test_x, test_y) == method.data_hash
    assert train_x.shape[1:] == test_x.shape[1:] == method.shape
    assert tuple(np.bincount(train_y)) == method.train_counts
    assert len(np.bincount(test_y)) == len(method.classes) == len(method.train_counts)
    assert train_y.dtype == test_y.dtype == np.int64


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_the_test_part_that_is_set_aside_is_a_stratified_30_percent(name):
    method = registry.method("datasets", name)
    train_x, train_y, test_x, test_y = method().read(partial(files.locate, name, method.files))
    total = np.bincount(train_y) + np.bincount(test_y)
    np.testing.assert_array_less(np.abs(np.bincount(test_y) - 0.3 * total), 0.51)
    rows = [x.tobytes() for x in train_x]
    assert not set(rows) & {x.tobytes() for x in test_x}
