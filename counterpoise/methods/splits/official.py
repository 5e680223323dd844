"""Tests on the part that the data set sets aside, for every seed alike.

Source: the data set's own.
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """The official test part."""

    version: ClassVar[int] = 1
