"""Context-rich minority oversampling: a box of an image of a rarer class is pasted on each image of the batch.

Source: Park et al. 2022, "The Majority Can Help the Minority", algorithm 1; github.com/naver-ai/cmo, cifar_train.py
(`train`, `rand_bbox`) and imbalance_data/imbalance_cifar.py (`get_weighted_sampler`).
Shapes: x_BCHW, others_BCHW -> mixed_BCHW, share_B; one box for the whole batch.
Units: shares; the share of a label is the area that its image has left, after the box is cut at the border.
Raises: UserError if the inputs are not images.
Differs from the source: mixing is on throughout; the code leaves it out in the first 4 and the last 3 of 200 epochs.
The paper gives a class the probability 1 / n^r [recalled]; the code gives that weight to each example, hence the class
n^(1 - r), which for r = 1 is class-balanced sampling.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar, Literal

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor

from counterpoise.errors import UserError
from counterpoise.methods.mixing import _beta


@dataclass(frozen=True)
class Partners:
    """Draws with replacement, a class with a probability proportional to a power of its count."""

    power: float

    def draw(
        self, labels_N: Tensor, *, epoch: int, epochs: float, fixed: torch.Generator, shuffle: torch.Generator
    ) -> Tensor:
        """Return N positions; p_c is proportional to n_c^power."""
        each_N = labels_N.bincount().double()[labels_N] ** (self.power - 1)
        return torch.multinomial(each_N, len(labels_N), replacement=True, generator=shuffle)


def box(share: float, centre: tuple[int, int], sides: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of a box of about 1 - share of the area, cut where it leaves the image."""
    halves = [int(side * sqrt(1 - share)) // 2 for side in sides]
    rows, columns = (
        slice(max(at - half, 0), min(at + half, side)) for at, half, side in zip(centre, halves, sides, strict=True)
    )
    return rows, columns


@dataclass(frozen=True)
class Method:
    """CutMix with partners from the tail."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    variant: Literal["paper", "official_code"] = "official_code"
    """Whose reading of the weight 1 / n^r: the probability of a class, or of each of its examples."""
    r: Annotated[float, Ge(0)] = 1.0
    """How strongly the partners favour rarer classes."""
    probability: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Share of the batches that are mixed."""
    beta: Annotated[float, Gt(0)] = 1.0
    """Both parameters of the Beta distribution of 1 - the area of the box."""

    def partners(self) -> Partners:
        """Return the sampler of the images that boxes are cut from."""
        return Partners(-self.r if self.variant == "paper" else 1 - self.r)

    def mix(
        self,
        x_B: Tensor,
        others_B: Tensor,
        labels_B: Tensor,
        other_labels_B: Tensor,
        counts_C: Tensor,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """Return images with a box of the other ones, and the share of the area that is left of them."""
        if x_B.ndim != 4:
            raise UserError(f"mixing cmo needs images, got inputs of shape {tuple(x_B.shape[1:])}")
        if torch.rand((), generator=generator) >= self.probability:
            return x_B, x_B.new_ones(len(x_B))
        high, wide = x_B.shape[2:]
        share = _beta.draw(self.beta, generator)
        row, column = (int(torch.randint(side, (), generator=generator)) for side in (high, wide))
        rows, columns = box(share, (row, column), (high, wide))
        mixed_B = x_B.clone()
        mixed_B[:, :, rows, columns] = others_B[:, :, rows, columns]
        pasted = (rows.stop - rows.start) * (columns.stop - columns.start)
        return mixed_B, x_B.new_full((len(x_B),), 1 - pasted / (high * wide))
