"""Many seeds at once: a block of seeds stacked and stepped together, against the loop over the same seeds.

Both sides take the same steps on the same rows by the recipe of the base (`digits_mlp`, `mnist14_mlp`; rows are random
numbers of that shape), without checkpoints, so the ratio of CPU seconds is that of seeds an hour on a core. Floor:
the arithmetic of one seed, which stacking cannot reduce; it removes what each operation costs beside it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Json, Options, Target, compare, main
from counterpoise import registry
from counterpoise.training import loop as train
from counterpoise.training import network, phases, stacked
from counterpoise.training.partial import Partial

CASES = {  # name: shape of an image, rows, augmentation
    "digits MLP": ((1, 8, 8), 1200, "none"),
    "14x14 MLP": ((1, 14, 14), 5000, "shift"),
}
AIMS = {10: 2.0, 32: 3.0}


def runs(name: str, seeds: int, steps: int) -> list[phases.Run]:
    """Return the runs of a block."""
    shape, rows, augmentation = CASES[name]
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (rows, *shape), dtype=np.uint8), np.arange(rows) % 10
    phase = phases.Phase(
        steps=steps,
        batch_size=64,
        task=registry.build("pretraining", {"name": "supervised"}),
        sampler=registry.build("samplers", {"name": "none"}),
        loss=registry.build("losses", {"name": "cross_entropy"}),
        augmentation=registry.build("augmentation", {"name": augmentation}),
        optimizer=registry.build("optimizers", {"name": "sgd", "lr": 0.05}),
        schedule=registry.build("schedules", {"name": "step_decay"}),
        mixing=registry.build("mixing", {"name": "none"}),
    )
    model = registry.build("models", {"name": "mlp"})
    made = []
    for seed in range(seeds):
        ids = np.random.default_rng(seed).permutation(rows)
        sample = train.Sample(x, ids, y[ids], [120.0], [60.0])
        net = network.build(model, registry.build("heads", {"name": "linear"}), shape, 10, seed)
        made.append(phases.Run(net, [phase], sample, torch.full((10,), rows / 10), "finetune", seed))
    return made


def together(name: str, seeds: int, steps: int) -> None:
    """Train a block stacked."""
    with tempfile.TemporaryDirectory() as folder:
        stacked.train(runs(name, seeds, steps), Partial(Path(folder), "cell"))


def loop(name: str, seeds: int, steps: int) -> None:
    """Train a block one seed after the other."""
    for run in runs(name, seeds, steps):
        train.train(run, resume=None, save=lambda tensors, state: None, log=lambda row, phase: None)


def measure(options: Options) -> Iterator[Json | None]:
    """Yield a row for each network and number of seeds."""
    train.one_thread()
    steps = 300 if options.quick else 1000
    for name in CASES:
        for seeds in (2, 10, 32) if options.quick else (2, 5, 10, 20, 32):
            sides = {
                "stacked": lambda name=name, seeds=seeds: together(name, seeds, steps),
                "loop": lambda name=name, seeds=seeds: loop(name, seeds, steps),
            }
            target = Target("cpu_ratio", at_least=AIMS[seeds]) if seeds in AIMS else None
            yield compare(
                f"{name}, {seeds} seeds", sides, options, target=target, work=(seeds * steps, "steps of a seed")
            )


if __name__ == "__main__":
    main("benchmarks.stacked", "Many seeds at once", measure, __doc__.partition("\n\n")[2])
