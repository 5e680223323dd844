"""Data of the user's own: whether a file, or a folder of files, is still what it was when its study was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

from counterpoise.errors import UserError
from counterpoise.reading import tables


def fingerprint(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files in a folder."""
    path = Path(path)
    if not path.is_dir():
        return tables.sha256(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{tables.sha256(file)}\n".encode())
    return total.hexdigest()


def check(path: str | Path, expected: str) -> None:
    """Raise UserError if there is nothing at `path`, or something else than what had the fingerprint `expected`."""
    if not Path(path).exists():
        raise UserError(f"{path}: there is no such file or folder (from here: {Path.cwd()})")
    if expected and fingerprint(path) != expected:
        raise UserError(
            f"{path} has changed since its study was written; if that is meant, write the study again with "
            "`counterpoise new`, under another --name, and results of the old data stay what they are"
        )
