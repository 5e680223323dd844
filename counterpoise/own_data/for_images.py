"""What there is in a folder of images, and which cases a study of it should have."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from counterpoise.errors import UserError
from counterpoise.methods.datasets import image_folder
from counterpoise.own_data.profiling import FOLDS
from counterpoise.own_data.proposal import LEAST, SHARES, Case, Proposal, claims_of
from counterpoise.reading import fingerprint, tables

LOOKED_AT = 200  # images whose size and colour are looked at
SIDES = (16, 32, 64)
STEP = 2e-5  # seconds for each pixel and channel of a step of 32 images, for the estimate alone
STEPS = 500  # of config/bases/own_images.yaml


@dataclass(frozen=True)
class Found:
    """A folder of images, with a sub-folder for each class."""

    path: Path
    classes: tuple[str, ...]
    """Of two, the rarer is last."""
    counts: tuple[int, ...]
    side: int
    """Pixels that every image will be scaled to."""
    colour: str
    sizes: str
    """The sizes that occur, in words."""
    warnings: tuple[str, ...]


def look(path: Path) -> Found:
    """Return what is in a folder; raise UserError if it is no folder of images by class."""
    from PIL import Image

    folders = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if len(folders) < 2:
        raise UserError(f"{path}: has {len(folders)} sub-folders; expected one for each class, with its images in it")
    loose = [p.name for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
    files = {folder.name: image_folder.images_in(folder) for folder in folders}
    if single := [name for name, held in files.items() if len(held) < 2]:
        raise UserError(f"{path / single[0]}: has a single image, which cannot be both learnt and tested")
    names = sorted(files, key=lambda name: -len(files[name])) if len(files) == 2 else list(files)
    every = [file for held in files.values() for file in held]
    sizes: Counter[tuple[int, int]] = Counter()
    modes: Counter[str] = Counter()
    for file in every[:: max(1, len(every) // LOOKED_AT)]:
        try:
            with Image.open(file) as image:
                sizes[image.size] += 1
                modes[image.mode] += 1
        except OSError as reason:
            raise UserError(f"{file}: cannot be read as an image ({' '.join(str(reason).split())})") from None
    shortest = sorted(min(size) for size in sizes.elements())[sizes.total() // 2]
    most = ", ".join(f"{w} x {h}" for (w, h), _ in sizes.most_common(3)) + (" and others" if len(sizes) > 3 else "")
    same = Counter(tables.sha256(file) for file in every)
    repeated = sum(count - 1 for count in same.values())
    warnings = [f"{name} lies beside the sub-folders and is not used" for name in loose[:3]]
    if repeated:
        warnings.append(f"{repeated:,} files are copies of another: copies on both sides of a split flatter every case")
    return Found(
        path=path,
        classes=tuple(names),
        counts=tuple(len(files[name]) for name in names),
        side=min(SIDES, key=lambda side: abs(side - shortest)),
        colour="grey" if set(modes) <= {"L", "1", "I", "I;16"} else "rgb",
        sizes=most,
        warnings=tuple(warnings),
    )


def of_images(found: Found, name: str) -> Proposal:
    """Return the study of a folder of images."""
    total, smallest, two = sum(found.counts), min(found.counts), len(found.classes) == 2
    folds = min(FOLDS, smallest)
    left_out = []
    cases = [
        Case("cnn", {}, "a small network; nothing is done about imbalance"),
        Case("cnn_oversampling", {"sample": "random_oversampling"}, "images of rare classes are repeated"),
        Case("cnn_class_weights", {"finetune": {"loss": "class_weighted"}}, "errors on a rare class cost more"),
        Case("cnn_balanced_softmax", {"finetune": {"loss": "balanced_softmax"}}, "the loss knows how rare a class is"),
    ]
    adjusted = {"evaluate": {"rebalancing": "logit_adjustment"}}
    cases.append(Case("cnn_logit_adjustment", adjusted, "trained plainly; classes are chosen as if equally frequent"))
    if shares := [share for share in SHARES if smallest * share // 100 >= max(LEAST, folds)]:
        cases += [
            Case(f"cnn_on_{s}_percent", {"rows": total * s // 100}, "what more images would change") for s in shares
        ]
    else:
        left_out.append(f"no learning curve: half of the images would hold under {LEAST} of the smallest class")
    metric = "average_precision" if two else "macro_f1"
    data: dict[str, Any] = {
        "name": "image_folder",
        "path": found.path.as_posix(),
        "side": found.side,
        "colour": found.colour,
        "classes": list(found.classes),
        "counts": list(found.counts),
        "sha256": fingerprint.fingerprint(found.path),
    }
    pixels = found.side**2 * (3 if found.colour == "rgb" else 1)
    return Proposal(
        name=name,
        command=f"counterpoise new {found.path}",
        title=f"Which remedy for imbalance among the images in {found.path.name}?",
        source=f"{found.path.as_posix()}, {total:,} images",
        base="own_images",
        config={"split": {"name": "k_fold", "folds": folds}, "data": data},
        comments={},
        primary=metric,
        why_primary="how well the rarer class is ranked first" if two else "precision and recall of every class alike",
        folds=folds,
        repetitions=1,
        cases=tuple(cases),
        claims=tuple(claims_of([case.name for case in cases], metric, ("cnn",))),
        left_out=tuple(left_out),
        seconds=ceil(len(cases) * folds * STEPS * (STEP * pixels + 0.002) / 2),
    )
