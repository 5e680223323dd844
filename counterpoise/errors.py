"""The one exception that a user is meant to see, and how it suggests the nearest valid name."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A fault in what the user gave (configuration, data, checkpoint, environment), said in one line."""


class ImpossibleCell(Exception):
    """A cell that cannot be computed however often it is tried: a result, recorded as `failed`."""


class SkippedCell(ImpossibleCell):
    """A cell that cannot be computed because a cell that it needs could not."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """Return the tail of an error message: the closest valid name, then all of them."""
    choices = sorted(str(v) for v in valid)
    close = get_close_matches(str(name), choices, n=1, cutoff=0.5)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    return f"{hint} (valid: {', '.join(choices) or 'none'})"
