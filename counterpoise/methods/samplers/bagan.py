"""Fills the smaller classes with images of a GAN that starts from an autoencoder and is told the class by its latent.

Source: Mariani, Scheidegger, Istrate, Bekas and Malossi 2018, "BAGAN: Data augmentation with balancing GAN";
github.com/IBM/BAGAN, balancing_gan.py. (1) An autoencoder learns all images. (2) The latents of each class give a
Gaussian; the decoder becomes the generator, the encoder the start of a discriminator of C + 1 outputs, the last one
"generated". (3) In each step the discriminator sees B real images (as frequent as they are) and ceil(B / C) generated
ones, then the generator makes B + ceil(B / C) images that are to be taken for their class; classes of generated images
are uniform. At last each class is filled up to the largest.
Shapes: x_NCHW, y_N -> x_MCHW, y_M, the real images first.
Units: those of the images; inside they run from -1 (least training value) to 1 (greatest).
Raises: UserError for a table; ImpossibleCell where what is generated is not finite.
Differs from the source: sized for one core and small images. Layers have `width` / 128 of the source's units, steps are
some hundreds where it takes 150 epochs of MNIST twice, and rates are higher than its 5e-5. Any height and width will
do, not only i 2^n. A class with one example has covariance 0, where the code has NaN: its images are all the same one.
Left out: the code's other ways to draw classes ("rebalance"), of which it says that they made no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Interval

from counterpoise.errors import ImpossibleCell, UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from counterpoise.data.columns import Column


@dataclass(frozen=True)
class Method:
    """Balancing GAN."""

    version: ClassVar[int] = 1
    steps_autoencoder: Annotated[int, Ge(0)] = 500
    """Steps of the autoencoder; 0 starts the GAN from random numbers and its latents from an untrained encoder."""
    steps_gan: Annotated[int, Ge(0)] = 500
    """Steps of the discriminator, each followed by one of the generator; 0 leaves the decoder as it is."""
    latent: Annotated[int, Ge(1)] = 100
    """Size of the latent vector."""
    width: Annotated[int, Ge(4)] = 16
    """Channels of the generator's first image; all other layers have a multiple or a fraction of it."""
    batch_size: Annotated[int, Ge(1)] = 64
    """Real images of a step (the source: 128)."""
    lr_autoencoder: Annotated[float, Gt(0)] = 0.002
    """Adam's rate for the autoencoder."""
    lr_gan: Annotated[float, Gt(0)] = 0.0005
    """Adam's rate for generator and discriminator."""
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.3
    """Share of the activations dropped after each convolution of encoder and discriminator."""

    def resample(
        self, x_NCHW: np.ndarray, y_N: np.ndarray, columns: tuple[Column, ...], random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the real images, and generated ones until all classes are as large as the largest."""
        if x_NCHW.ndim != 4:
            raise UserError(f"bagan generates images, and found rows of shape {x_NCHW.shape[1:]}: name another sampler")
        import torch

        classes_C, which_N, counts_C = np.unique(y_N, return_inverse=True, return_counts=True)
        missing_M = np.repeat(np.arange(len(classes_C)), counts_C.max() - counts_C)
        real, seed = x_NCHW.astype(np.float32), int(random.integers(2**63 - 1))
        if not len(missing_M):
            return real, y_N.astype(np.int64)
        low, span = real.min(), max(np.ptp(real), np.finfo(np.float32).tiny)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = self._generate(*map(torch.from_numpy, ((real - low) / span * 2 - 1, which_N, missing_M)))
        if not made.isfinite().all():
            raise ImpossibleCell("bagan: what is generated is not finite; lower lr_gan")
        filled = np.concatenate([real, (made.numpy() + 1) / 2 * span + low])
        return filled, np.concatenate([y_N, classes_C[missing_M]]).astype(np.int64)

    def _generate(self, x_NCHW: Tensor, labels_N: Tensor, wanted_M: Tensor) -> Tensor:
        """Train on images from -1 to 1, and return one of each class that is wanted."""
        import torch
        from torch import nn
        from torch.nn import functional as F

        from counterpoise.methods.samplers import _bagan_networks as networks

        C, shape = int(labels_N.max()) + 1, tuple(x_NCHW.shape[1:])
        generator = networks.generator(self.latent, shape, self.width)
        convolutions, features = networks.convolutions(shape, self.width, self.dropout)
        encoder = nn.Sequential(convolutions, networks.linear(features, self.latent))
        optimizer = _adam(self.lr_autoencoder, encoder, generator)
        for rows in _batches(len(x_NCHW), self.batch_size, self.steps_autoencoder):
            _descend(optimizer, (generator(encoder(x_NCHW[rows])) - x_NCHW[rows]).square().mean())
        latents = _gaussians(encoder, x_NCHW, labels_N)

        discriminator = nn.Sequential(deepcopy(convolutions), networks.linear(features, C + 1)).train()
        of_discriminator, of_generator = _adam(self.lr_gan, discriminator), _adam(self.lr_gan, generator)
        few = ceil(self.batch_size / C)
        for rows in _batches(len(x_NCHW), self.batch_size, self.steps_gan):
            with torch.no_grad():
                fake = generator(latents(torch.randint(C, (few,))))
            images, targets = torch.cat([x_NCHW[rows], fake]), torch.cat([labels_N[rows], torch.full((few,), C)])
            _descend(of_discriminator, F.cross_entropy(discriminator(images), targets))
            classes = torch.randint(C, (len(rows) + few,))
            _descend(of_generator, F.cross_entropy(discriminator(generator(latents(classes))), classes))
        with torch.no_grad():
            return torch.cat([generator(latents(part_B)) for part_B in wanted_M.split(256)])


def _adam(lr: float, *modules: nn.Module) -> torch.optim.Adam:
    import torch

    return torch.optim.Adam([p for module in modules for p in module.parameters()], lr, betas=(0.5, 0.999), eps=1e-7)


def _descend(optimizer: torch.optim.Adam, loss: Tensor) -> None:
    """Take one step; what other parameters gathered meanwhile, their own step forgets."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def _batches(rows: int, size: int, steps: int) -> Iterator[Tensor]:
    """Yield `steps` batches of row numbers; every epoch is shuffled and cut to whole batches, as in the source."""
    import torch

    size, order = min(size, rows), torch.empty(0, dtype=torch.long)
    for _ in range(steps):
        if len(order) < size:
            order = torch.randperm(rows)
        yield order[:size]
        order = order[size:]


def _gaussians(encoder: nn.Module, x_NCHW: Tensor, labels_N: Tensor) -> Callable[[Tensor], Tensor]:
    """Return classes_B -> latents_BL, drawn from the Gaussian of each class's encoded images."""
    import torch

    encoder.eval()
    with torch.no_grad():
        latents_NL = torch.cat([encoder(part) for part in x_NCHW.split(1024)]).double()
    if not latents_NL.isfinite().all():
        raise ImpossibleCell("bagan: the autoencoder has diverged; lower lr_autoencoder")
    means, factors = [], []
    for c in range(int(labels_N.max()) + 1):
        of_class = latents_NL[labels_N == c]
        means.append(of_class.mean(0))
        centred = of_class - means[-1]
        values_L, vectors_LL = torch.linalg.eigh(centred.T @ centred / max(1, len(of_class) - 1))
        factors.append((vectors_LL * values_L.clamp(min=0).sqrt()).T)
    means_CL, factors_CLL = torch.stack(means).float(), torch.stack(factors).float()

    def draw(classes_B: Tensor) -> Tensor:
        noise_B1L = torch.randn(len(classes_B), 1, means_CL.shape[1])
        return means_CL[classes_B] + (noise_B1L @ factors_CLL[classes_B])[:, 0]

    return draw
