"""The LeNet-5 variant of Buda et al. for 28x28 images: convolutions of 20 and 50 filters, 500 hidden units.

Source: Buda, Maki and Mazurowski 2018, section 3.2 [recalled]; the layers are those of Caffe's LeNet example
(5x5 convolutions without padding, 2x2 max-pooling, ReLU after the hidden layer only, Xavier initialisation).
Shapes: x_BCHW -> features_BF with F = 500; H and W of 16 or more.
Units: none.
Raises: UserError for a table, or an image smaller than 16x16.
Differs from the source: the paper's text was not at hand, only Caffe's published example; the head keeps torch's
initialisation.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from torch import nn

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """conv 20 - pool - conv 50 - pool - linear 500 - ReLU, Xavier-initialised."""

    version: ClassVar[int] = 1
    shared: Annotated[int, Ge(0)] = 5
    """How many of the encoder's first children the experts of an ensemble have in common; 0: each has all its own."""

    def encoder(self, shape: tuple[int, ...]) -> tuple[nn.Module, int]:
        """Return the module and its number of features for images of `shape` = (C, H, W)."""
        if len(shape) != 3 or min(shape[1:]) < 16:
            raise UserError(f"model lenet5 needs images of at least 16x16, got inputs of shape {shape}")
        side = [((s - 4) // 2 - 4) // 2 for s in shape[1:]]
        module = nn.Sequential(
            nn.Conv2d(shape[0], 20, 5),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(50 * side[0] * side[1], 500),
            nn.ReLU(),
        )
        for layer in module:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.get_parameter("bias"))
        return module, 500
