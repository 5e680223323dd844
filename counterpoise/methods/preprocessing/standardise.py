"""Subtracts the mean of the training rows and divides by their standard deviation, per feature or channel.

Source: common practice.
Shapes: x_N... -> the same.
Units: standard deviations of the training rows.
Raises: ImpossibleCell for a column that holds categories, or a missing value, which `typed_columns` is for.
Differs from the source: nothing. The statistics are those of the sample stage, so nothing is fitted here.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Method:
    """Mean 0, standard deviation 1."""

    version: ClassVar[int] = 1
