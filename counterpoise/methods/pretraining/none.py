"""No pretraining: fine-tuning starts from the initialisation.

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
    """Nothing to do, so the plan has no cell for it."""

    version: ClassVar[int] = 1
