"""One network, no experts.

Source: none.
Shapes: none.
Units: none.
Raises: nothing.
Differs from the source: nothing.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """One network."""

    version: ClassVar[int] = 1
