"""Class weights by the effective number of examples, for strategies that re-weight.

Legend: C classes.
"""

from torch import Tensor

from counterpoise import registry


def effective_number_weights(counts_C: Tensor, beta: float) -> Tensor:
    """Return the weights of `losses/class_balanced.py`, which sum to the number of classes that have examples."""
    return registry.build("losses", {"name": "class_balanced", "beta": beta}).weights(counts_C)
