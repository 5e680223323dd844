"""Find the file of a data set, check its content against the published checksum, and hash decoded arrays.

A file is looked for in the raw folder (`COUNTERPOISE_RAW`, by default `data/raw`) as `<dataset>/<file>` or
`<file>`, then in each folder of `COUNTERPOISE_DATA` as `<dataset>/<file>`, everywhere with or without `.gz`;
failing that it is downloaded. Checksums are of the uncompressed content, because wrappers differ. A URL that ends
in `#<member>` names a file in a tar archive: the archive is looked for in the same places and unpacked where needed.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import shutil
import tarfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from counterpoise import records
from counterpoise.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Files = Mapping[str, tuple[str, str]]
"""File name -> (canonical URL, checksum of the uncompressed content as "md5:<hex>" or "sha256:<hex>")."""

Locate = Callable[[str], Path]
"""File name -> path of a file whose content has been checked; open it with `open_file`."""

_TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20  # bytes


def raw_folder() -> Path:
    """Return the folder that downloads go to."""
    return Path(os.environ.get("COUNTERPOISE_RAW") or "data/raw")


def open_file(path: Path) -> BinaryIO | gzip.GzipFile:
    """Open a file for reading its uncompressed content."""
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def locate(dataset: str, files: Files, name: str) -> Path:
    """Return the path of a file whose content has the published checksum, downloading it if it is nowhere.

    Raises UserError when the file in the folder of its data set is truncated or another one, or when it is
    missing and cannot be downloaded.
    """
    url, checksum = files[name]
    faults = []
    for path in places(dataset, name):
        if (found := checksum_of(path, checksum)) == checksum:
            return path
        if path.parent.name == dataset:  # a file outside such a folder may belong to another data set
            faults.append(f"{path} has {found}")
    if faults:
        raise UserError(
            f"data set '{dataset}': {'; '.join(faults)}; expected {checksum} of the uncompressed content; "
            f"delete it, or put the right file at {raw_folder() / dataset / name}"
        )
    return _unpack(dataset, name, url, checksum) if "#" in url else _download(dataset, name, url, checksum)


def unchecked(dataset: str, files: Files, name: str) -> Path:
    """Return the path of a file, downloading it if it is nowhere, whatever its content: to learn its checksum.

    Raises UserError if it cannot be downloaded, and for a member of an archive whose checksum is another.
    """
    url, checksum = files[name]
    if "#" in url:
        return locate(dataset, files, name)
    return next(places(dataset, name), None) or _obtain(dataset, name, url, checksum)


def at_hand(dataset: str, files: Files, name: str) -> bool:
    """Return whether a file, or the archive that holds it, is somewhere already; its content is not checked."""
    address, _, member = files[name][0].partition("#")
    return any(places(dataset, name)) or (bool(member) and any(places(dataset, address.rsplit("/", 1)[-1])))


def hash_checksums(files: Files) -> str:
    """Return the SHA-256 over the names and checksums of files, which fix every byte that they decode to."""
    lines = [f"{name} {checksum}\n" for name, (_, checksum) in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_arrays(*arrays: np.ndarray) -> str:
    """Return the SHA-256 over each array's dtype string, shape and bytes in C order, one after the other.

    The text hashed before the bytes of an array is `<dtype.str> <shape as a tuple>`, for instance
    `|u1 (60000, 1, 28, 28)`. Byte order is made little-endian first.
    """
    total = hashlib.sha256()
    for array in arrays:
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        total.update(f"{little.dtype.str} {little.shape}".encode())
        total.update(little.data)
    return total.hexdigest()


def places(dataset: str, name: str) -> Iterator[Path]:
    """Return every file that may be the one meant, in the order in which they are tried."""
    shared = [Path(d) for d in os.environ.get("COUNTERPOISE_DATA", "").split(os.pathsep) if d]
    for folder in (raw_folder() / dataset, raw_folder(), *(d / dataset for d in shared)):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                yield path


def checksum_of(path: Path, expected: str) -> str:
    """Return the checksum of the uncompressed content in the algorithm of `expected`, or what is wrong with it."""
    algorithm = "md5" if expected.startswith("md5:") else "sha256"
    total = hashlib.new(algorithm)
    try:
        with open_file(path) as source:
            while block := source.read(_BLOCK):
                total.update(block)
    except EOFError:
        return "a truncated gzip stream"
    except (gzip.BadGzipFile, zlib.error):
        return "no valid gzip stream"
    except OSError as reason:
        return f"no readable content ({reason.strerror})"
    return f"{algorithm}:{total.hexdigest()}"


def _download(dataset: str, name: str, url: str, checksum: str) -> Path:
    target = _obtain(dataset, name, url, checksum)
    if (found := checksum_of(target, checksum)) != checksum:
        target.unlink()
        raise UserError(
            f"data set '{dataset}': {url} has {found}; expected {checksum} of the uncompressed content; "
            f"put the right file at {raw_folder() / dataset / name}"
        )
    return target


def _unpack(dataset: str, name: str, url: str, checksum: str) -> Path:
    """Return a member of an archive, unpacked into the raw folder if its content has the checksum."""
    address, member = url.split("#")
    archive = next(places(dataset, address.rsplit("/", 1)[-1]), None) or _obtain(dataset, name, address, checksum)
    target = raw_folder() / dataset / name
    try:
        with records.lock(target.parent), tarfile.open(archive) as held:
            records.write(target, lambda path: _extract(held, member, path, checksum))
    except (KeyError, ValueError, tarfile.TarError, EOFError, zlib.error, OSError) as reason:
        raise UserError(
            f"data set '{dataset}': {archive}, {member}: {reason}; expected {checksum}; "
            f"delete the archive, or put the right file at {target}"
        ) from None
    return target


def _extract(archive: tarfile.TarFile, member: str, path: Path, checksum: str) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(archive.extractfile(member) or io.BytesIO(), file, _BLOCK)
    if (found := checksum_of(path, checksum)) != checksum:
        raise ValueError(f"found {found}")


def _obtain(dataset: str, name: str, url: str, checksum: str) -> Path:
    """Return what lies at `url`, from the raw folder or downloaded into it; `name` is what it is wanted for."""
    target = raw_folder() / dataset / url.rsplit("/", 1)[-1]
    try:
        with records.lock(target.parent):  # two cells may want the same file at once
            if not target.exists():
                records.write(target, lambda path: _fetch(url, path))
    except (OSError, http.client.HTTPException) as reason:
        raise UserError(
            f"data set '{dataset}': file '{name}' ({checksum} uncompressed) is in none of {raw_folder()}, "
            f"COUNTERPOISE_DATA={os.environ.get('COUNTERPOISE_DATA', '')}, and downloading {url} failed: "
            f"{reason}; put it at {raw_folder() / dataset / name}"
        ) from reason
    return target


def _fetch(url: str, path: Path) -> None:
    from tqdm import tqdm

    with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, path.open("wb") as file:
        size = int(response.headers.get("Content-Length") or 0) or None
        with tqdm.wrapattr(file, "write", total=size, desc=url.rsplit("/", 1)[-1], unit="B") as counted:
            shutil.copyfileobj(response, counted, _BLOCK)
