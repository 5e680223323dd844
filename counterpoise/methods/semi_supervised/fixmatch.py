"""FixMatch: an unlabelled image counts as of the class that a weak view makes near-certain, and a strong one learns it.

Source: Sohn et al. 2020, equations 3 and 4 and algorithm 1; github.com/kekmodel/FixMatch-pytorch, train.py;
github.com/ytaek-oh/daso, lib/algorithm/fixmatch.py. Pseudo-labels from logits that are adjusted by the class prior:
Menon et al. 2021, section 4.2.
Shapes: images_BCHW, images_UCHW with U = unlabelled_ratio * B -> scalar.
Units: nats; `threshold` is a probability.
Raises: UserError without unlabelled examples, for tables, and for `mixing` or `ensemble`.
Differs from the source: the strong view is the weak augmentation followed by `affine_cutout`, where the source has
RandAugment and cutout. Weights are not averaged for prediction: `optimizer: sgd_ema` does that. In the adjustment, a
class without labelled examples counts as if it had one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Interval
from torch import Tensor

from counterpoise.methods.semi_supervised import _views

if TYPE_CHECKING:
    from counterpoise.training.phases import Step


@dataclass(frozen=True)
class Method:
    """The phase's loss on labelled images, and consistency between two views of unlabelled ones."""

    version: ClassVar[int] = 1
    images: ClassVar[bool] = True
    unlabelled_ratio: Annotated[int, Ge(1)] = 7
    """Unlabelled images for each labelled one in a batch."""
    threshold: Annotated[float, Interval(gt=0, le=1)] = 0.95
    """A pseudo-label is used where its probability is at least this."""
    unlabelled_weight: Annotated[float, Ge(0)] = 1.0
    """Weight of the unlabelled loss."""
    tau: Annotated[float, Ge(0)] = 0.0
    """Log priors of the labelled part that are subtracted before pseudo-labels are taken; 0 is plain FixMatch."""

    @property
    def evaluations(self) -> int:
        """Passes of a step, in labelled batches: one, and two views of each unlabelled image."""
        return 1 + 2 * self.unlabelled_ratio

    def objective(self, step: "Step", rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the sum of both losses and the right answers on the labelled batch."""
        own_BD, labels_B, weak_UD, strong_UD = _views.features("fixmatch", step, rows)
        loss, hits = _views.criterion(step, own_BD, labels_B)
        weak_UC, strong_UC = (_views.logits(step, x_UD) for x_UD in (weak_UD.detach(), strong_UD))
        prior_C = step.counts_C.clamp(min=1).to(weak_UC.dtype)
        shift_C = self.tau * (prior_C / prior_C.sum()).log()
        labels_U, kept_U = _views.pseudo_labels((weak_UC.detach() - shift_C).softmax(1), self.threshold)
        return loss + self.unlabelled_weight * _views.consistency(strong_UC, labels_U, kept_U), hits
