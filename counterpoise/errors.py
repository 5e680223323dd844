"""The exceptions that mean something to a user or to a record, and how a message suggests the nearest valid name."""

import re
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

FEW = 12  # names that a message lists
LONGEST = 100  # characters of a name that are compared


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


def closest(name: object, valid: Iterable[str]) -> str:
    """Return the middle of an error message: the closest valid name, if any is close."""
    close = get_close_matches(str(name)[:LONGEST], [str(v) for v in valid], n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


def nearest(name: object, valid: Iterable[str], listed: str = "") -> str:
    """Return the tail of an error message: the closest valid name, then all of them where they are few.

    Where they are many, the two next closest, how many there are and what lists them: `listed`, a command or a page.
    """
    choices = sorted(str(v) for v in valid)
    if len(choices) <= FEW:
        return f"{closest(name, choices)} (valid: {', '.join(choices) or 'none'})"
    others = get_close_matches(str(name)[:LONGEST], choices, n=3, cutoff=0.5)[1:]
    near = f"or {', '.join(map(repr, others))}; " if others else ""
    count = f"{listed} lists all {len(choices):,}" if listed else f"{len(choices):,} are valid"
    return f"{closest(name, choices)} ({near}{count})"


def some(names: Collection[str]) -> str:
    """Return names for an error message, the first few where they are many."""
    rest = len(names) - FEW
    return ", ".join(list(names)[:FEW]) + (f" and {rest} more" if rest > 0 else "")


def told_of(error: UserError | OSError) -> tuple[str, int]:
    """Return the line that says a fault, and the exit code: 2 for the user's faults, 1 for the machine's."""
    if isinstance(error, OSError):  # a full disk, no permission: Snakemake tries the job again
        return f"error: {error.filename or 'system'}: {error.strerror or error}", 1
    return f"error: {error}", 2
