"""The exceptions that mean something to a user or to a record, and how a message suggests the nearest valid name."""

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class UserError(Exception):
    """A fault in what the user gave (configuration, data, checkpoint, environment), said in one line."""


class ImpossibleCell(Exception):
    """A cell that cannot be computed however often it is tried: a result, recorded as `failed`."""


class SkippedCell(ImpossibleCell):
    """A cell that cannot be computed because a cell that it needs could not."""


PASSED = (ImpossibleCell, UserError, MemoryError, OSError, ImportError, NameError, AssertionError)
_MEMORY = re.compile("bad_alloc|out of memory|(can't|cannot|unable to) allocate", re.IGNORECASE)


@contextmanager
def recorded(what: str) -> Iterator[None]:
    """Make what a method or its library raises on some data a result with its reason; the log keeps the traceback.

    Tried again it would raise the same, for ever. Failures of the machine pass and are tried again; so do faults that
    are in the code whatever the data, such as a missing import.
    """
    try:
        yield
    except PASSED:
        raise
    except Exception as reason:
        if _MEMORY.search(str(reason)):  # as C++ libraries and torch say it
            raise
        traceback.print_exc()
        raise ImpossibleCell(f"{what}: {type(reason).__name__}: {' '.join(str(reason).split())}") from reason


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return the tail of an error message: the closest valid name, then all of them."""
    choices = sorted(str(v) for v in valid)
    close = get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"{hint} (valid: {', '.join(choices) or 'none'})"


def told_of(error: UserError | OSError) -> tuple[str, int]:
    """Return the line that says a fault, and the exit code: 2 for the user's faults, 1 for the machine's."""
    if isinstance(error, OSError):  # a full disk, no permission: Snakemake tries the job again
        return f"error: {error.filename or 'system'}: {error.strerror or error}", 1
    return f"error: {error}", 2
