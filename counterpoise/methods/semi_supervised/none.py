"""Learn from labelled examples only.

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
    """No unlabelled examples."""

    version: ClassVar[int] = 1
