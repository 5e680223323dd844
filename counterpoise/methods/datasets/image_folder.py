"""Images of the user's own: a folder with a sub-folder for each class, all made one size.

Source: `counterpoise new <folder>` writes the options; the layout is that of torchvision's `ImageFolder`.
Shapes: images (3, side, side), or (1, side, side) in grey; no official test part.
Units: 0 to 255.
Raises: UserError if options do not fit together; when it is read, if a file is no image or its class has another count.
Differs from the source: the middle square of an image is scaled to `side`; files that are no images are an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from counterpoise.data import pooling
from counterpoise.data.files import Files, Locate, hash_checksums
from counterpoise.errors import UserError
from counterpoise.methods.datasets import _tables

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True)
class Method:
    """The user's own images."""

    version: ClassVar[int] = 1
    kind: ClassVar[str] = "image"

    path: str = ""
    """The folder, relative to the working folder."""
    side: Annotated[int, Ge(4)] = 32
    """Pixels on each side of an image as it is used."""
    colour: Literal["rgb", "grey"] = "rgb"
    """Three channels, or one."""
    classes: list[str] = field(default_factory=list)
    """Names of the sub-folders in the order of the labels; of two, the second is the positive one."""
    counts: list[Annotated[int, Ge(1)]] = field(default_factory=list)
    """Images of each class."""
    sha256: str = ""
    """Over names and contents of all files when the study was written; if empty it is not checked."""
    pool: Annotated[int, Ge(1)] = 1
    """Side of the squares of pixels that are averaged."""

    def __post_init__(self) -> None:
        if not self.path:
            raise UserError("path: name the folder of images")
        if len(set(self.classes)) < 2 or len(self.classes) != len(set(self.classes)):
            raise UserError(f"classes: expected two or more different names, found {self.classes}")
        if len(self.counts) != len(self.classes) or min(self.counts) < 1:
            raise UserError(f"counts: expected the images of each of {len(self.classes)} classes, found {self.counts}")
        pooling.check_pool(self.pool, self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image."""
        return (3 if self.colour == "rgb" else 1, self.side, self.side)

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Images of each class."""
        return tuple(self.counts)

    @property
    def files(self) -> Files:
        """The folder, which is not downloaded."""
        path = Path(self.path)
        return {path.name: (path.resolve().as_uri(), f"sha256:{self.sha256}")}

    @property
    def data_hash(self) -> str:
        """Of the folder as it was when the study was written."""
        return hash_checksums(self.files)

    def read(self, locate: Locate) -> _tables.Parts:
        """Return all images to train on and none to test, class by class in the order of their names."""
        parts = [images_in(Path(self.path) / name) for name in self.classes]
        if (found := list(map(len, parts))) != self.counts:
            raise UserError(f"{self.path}: found {found} images of the classes, expected {self.counts}, as counts say")
        about = {"side": self.side, "colour": self.colour, "pool": 1}
        x_NCHW = decoded([file for files in parts for file in files], about)
        y_N = np.repeat(np.arange(len(parts), dtype=np.int64), found)
        return x_NCHW, y_N, x_NCHW[:0], y_N[:0]


def images_in(folder: Path) -> list[Path]:
    """Return the files below a folder, hidden ones left out; raise UserError if one is no image or there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if strange := [p for p in files if p.suffix.lower() not in SUFFIXES]:
        raise UserError(f"{strange[0]}: is no image ({', '.join(SUFFIXES)}); move it out of the folder")
    if not files:
        raise UserError(f"{folder}: there is no image in it")
    return files


def decoded(files: Sequence[Path], about: dict[str, Any]) -> np.ndarray:
    """Return x_NCHW uint8 (averaged, float32) of image files."""
    from PIL import Image

    side, is_rgb = about["side"], about["colour"] == "rgb"
    x_NCHW = np.empty((len(files), 3 if is_rgb else 1, side, side), np.uint8)
    for i, path in enumerate(files):
        try:
            with Image.open(path) as image:
                x_HWC = np.asarray(_squared(image.convert("RGB" if is_rgb else "L"), side))
        except (OSError, ValueError, Image.DecompressionBombError) as reason:
            raise UserError(f"{path}: cannot be read as an image ({' '.join(str(reason).split())})") from None
        x_NCHW[i] = x_HWC.reshape(side, side, -1).transpose(2, 0, 1)
    return pooling.average_pool(x_NCHW, about["pool"]) if about["pool"] > 1 else x_NCHW


def _squared(image: Any, side: int) -> Any:
    from PIL import ImageOps

    return ImageOps.fit(image, (side, side))
