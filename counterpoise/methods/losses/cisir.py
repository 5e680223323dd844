"""Squared error weighted by an involution of the target's density, plus one minus the correlation with the target.

Source: Moukpe, Chan and Zhang 2025 (CISIR); github.com/Machine-Earning/CISIR, modules,
reweighting/ImportanceWeighting.py (`MDI`, `DenseLossImportance`) and training/ts_modeling.py (`cmse`, `coreg`).
MDI: (1 - p^alpha)^(1 / alpha), p the density of the training targets over its maximum. Its stratified batches are the
sampler `stratified_batches`.
Shapes: outputs_B1, target_B, importance_BK (K = 2: of the squared error and of the correlation) -> scalar.
Units: squared standard deviations of the training targets, plus a correlation by `correlation`.
Raises: nothing; equal targets have importance 1.
Differs from the source: of the paper the abstract and a summary were at hand. `official_code` adds .001 to the maximum
of the density, sets the density of targets of 2 and more to their least, divides MDI by its sum over the training part
and sums over the batch, so that its squared error shrinks with the batch's share of the training part; `paper` does
none of this and takes the mean. In the code alpha is .18 to .9 and `correlation` .3 to 1, by data set, and the
correlation may be weighted with an alpha of its own; 1e-7 stands beside its denominator, here in both.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt
from torch import Tensor

BLIP = 2.0  # the code's threshold of an extreme target


@dataclass(frozen=True)
class Method:
    """Correlation and importance."""

    version: ClassVar[int] = 1
    uses: ClassVar[tuple[str, ...]] = ("target_B", "importance_BK")
    density: Literal["mdi", "dense", "none"] = "mdi"
    """How importance falls with density: MDI; 1 - alpha p, of the density between its extremes (DenseLoss); not."""
    alpha: Annotated[float, Gt(0)] = 2.0
    """Bend of MDI (1 a straight line, above it concave), or slope of `dense`."""
    correlation: Annotated[float, Ge(0)] = 0.5
    """Weight of one minus Pearson's correlation; 0 for squared error alone."""
    correlation_alpha: Annotated[float, Ge(0)] = 0.0
    """Bend of the importance within the correlation; 0 for a plain one."""
    bandwidth: Annotated[float, Gt(0)] = 0.5
    """Of the density, in standard deviations of the training targets; .07 to 1.7 in the code."""
    variant: Literal["paper", "official_code"] = "paper"
    """How density and importance are scaled."""

    def outputs(self, classes: int) -> int:
        """Return how many outputs the head has: the value."""
        return 1

    def importance(self, target_N: np.ndarray) -> np.ndarray:
        """Return the importance of each training target in the squared error, and in the correlation."""
        of_error_N = np.ones(len(target_N)) if self.density == "none" else self._importance(target_N, self.alpha)
        bend = self.correlation_alpha
        return np.column_stack([of_error_N, self._importance(target_N, bend) if bend else np.ones(len(target_N))])

    def _importance(self, target_N: np.ndarray, alpha: float) -> np.ndarray:
        from scipy.stats import gaussian_kde

        if np.ptp(target_N) == 0:
            return np.ones(len(target_N))
        values_M, place_N = np.unique(target_N, return_inverse=True)  # rounded targets repeat
        p_N = gaussian_kde(target_N, bw_method=self.bandwidth)(values_M)[place_N]
        is_code = self.variant == "official_code"
        if is_code and (target_N >= BLIP).any():
            p_N = np.where(target_N >= BLIP, p_N[target_N >= BLIP].min(), p_N)
        if self.density == "dense":
            made_N = np.maximum(1 - alpha * (p_N - p_N.min()) / np.ptp(p_N), 1e-6)
            return made_N / made_N.mean()
        made_N = (1 - (p_N / (p_N.max() + 1e-3 * is_code)) ** alpha) ** (1 / alpha)
        return made_N / made_N.sum() if is_code else made_N

    def __call__(
        self, outputs_BK: Tensor, labels_B: Tensor, counts_C: Tensor, target_B: Tensor, importance_BK: Tensor
    ) -> Tensor:
        """Return the weighted error of the batch plus what its correlation lacks."""
        value_B = outputs_BK[:, 0]
        error_B = importance_BK[:, 0] * (value_B - target_B).square()
        summed = self.variant == "official_code" and self.density == "mdi"
        loss = error_B.sum() if summed else error_B.mean()
        if not self.correlation:
            return loss
        weight_B, target_B, value_B = importance_BK[:, 1], target_B - target_B.mean(), value_B - value_B.mean()
        covariance = (weight_B * target_B * value_B).sum()
        spread = (weight_B * target_B.square()).sum() * (weight_B * value_B.square()).sum()
        # Below the clamp one value is predicted for all: no correlation, and no gradient that is not a number.
        return loss + self.correlation * (1 - covariance / (spread.clamp(min=1e-30).sqrt() + 1e-7))
