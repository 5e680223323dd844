"""Any file of text as UTF-8: gzipped or not, in UTF-8, UTF-16, Windows-1252 or a mixture, marked or not."""

from __future__ import annotations

import codecs
import gzip
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO

from counterpoise.errors import UserError

_BLOCK = 1 << 20  # bytes


def opened(path: Path, stack: ExitStack, notes: list[str]) -> IO[bytes]:
    """Return the content as UTF-8, to be read from where the first line with text begins."""
    file: IO[bytes] = stack.enter_context(path.open("rb"))
    start = file.read(2)
    file.seek(0)
    if start == b"\x1f\x8b":
        try:
            with gzip.open(file) as unzipped:
                file = _copied(stack, iter(partial(unzipped.read, _BLOCK), b""))
        except (EOFError, zlib.error, gzip.BadGzipFile) as reason:
            raise UserError(f"{path}: the file is cut off or damaged: {reason}") from None
        start = file.read(2)
        file.seek(0)
    if encoding := _utf16(start):
        reader = codecs.getreader(encoding)(file, "replace")
        file = _copied(stack, (text.encode() for text in iter(partial(reader.read, _BLOCK), "")))
    elif not _is_utf8(path, file):
        odd = [0, 0]
        file = _copied(stack, _lines(file, odd))
        notes.append(f"{odd[0]:,} of {odd[1]:,} lines are not UTF-8 and are read as Windows-1252")
    if file.read(3) != codecs.BOM_UTF8:
        file.seek(0)
    place = file.tell()
    while (line := file.readline()) and not line.strip():
        place = file.tell()
    file.seek(place)
    return file


def _utf16(start: bytes) -> str | None:
    """Return the kind of UTF-16 that the first two bytes belong to, with the mark of its order or without."""
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    letter = start.strip(b"\0")
    if len(start) == 2 and len(letter) == 1 and 32 < letter[0] < 127:
        return "utf-16-le" if start.startswith(letter) else "utf-16-be"
    return None


def _is_utf8(path: Path, file: IO[bytes]) -> bool:
    """Return whether all of a file is UTF-8, and go back to its start; raise UserError if it is no text at all."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    valid = True
    while block := file.read(_BLOCK):
        if b"\0" in block:
            raise UserError(f"{path}: this is no text (it has zero bytes); expected CSV, TSV or Parquet")
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            valid = False
            break
    file.seek(0)
    return valid


def _lines(file: IO[bytes], odd: list[int]) -> Iterator[bytes]:
    """Yield the lines of a file as UTF-8, and count those that were not, and all."""
    for line in file:
        odd[1] += 1
        try:
            line.decode()
        except UnicodeDecodeError:
            odd[0] += 1
            line = line.decode("cp1252", errors="replace").encode()
        yield line


def _copied(stack: ExitStack, blocks: Iterable[bytes]) -> IO[bytes]:
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 the stack closes it
    copy.writelines(blocks)
    copy.seek(0)
    return copy
