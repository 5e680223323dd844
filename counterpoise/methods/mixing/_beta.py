"""A share drawn from a Beta distribution, from a torch generator."""

import numpy as np
import torch


def draw(alpha: float, generator: torch.Generator) -> float:
    """Return one value of Beta(alpha, alpha); numpy's, since torch's takes no generator."""
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))
