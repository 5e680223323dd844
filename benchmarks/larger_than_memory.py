"""Data larger than memory: training from a memory-mapped array, as every job reads its images, beside a small one.

The large array is 1.6 times the machine's memory (a quarter of a GiB with --quick). Its file is sparse: pages come into
memory and leave it as they would for a full one, but no disk is read, so time is that of the processor and the kernel,
not of a disk. Memory is what the process holds itself, apart from the pages of the file that the kernel may drop.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.harness import Fresh, Json, Once, Options, Target, compare, main
from benchmarks.sides import Side
from counterpoise.training import phases

SHAPE, CLASSES, SMALL = (3, 32, 32), 10, 50_000


def steps(path: str, rows: int, number: int) -> Side:
    """Return so many steps of LeNet on random rows of an array in a file."""
    import torch

    from counterpoise import registry
    from counterpoise.data import samples
    from counterpoise.training import loop, network

    x = samples.open_array(Path(path).parent, Path(path).stem)
    y = np.random.default_rng(0).integers(0, CLASSES, rows)
    sample = loop.Sample(x, np.arange(rows), y, [120.0] * 3, [60.0] * 3, "channels_last")
    methods = {"optimizers": "sgd", "schedules": "constant", "samplers": "none", "losses": "cross_entropy"}
    sgd, constant, sampler, loss = (registry.build(kind, {"name": name}) for kind, name in methods.items())
    task = registry.build("pretraining", {"name": "supervised"})
    augmentation = registry.build("augmentation", {"name": "crop_flip"})
    phase = phases.Phase(number, 128, task, sampler, loss, augmentation, sgd, constant)
    model, head = (registry.build(kind, {"name": name}) for kind, name in (("models", "lenet5"), ("heads", "linear")))
    run = phases.Run(
        network.build(model, head, SHAPE, CLASSES, seed=0), [phase], sample, torch.full((CLASSES,), rows / CLASSES),
        "finetune", 0,
    )  # fmt: skip

    def call() -> Once:
        loop.one_thread()
        held = [_own()]
        wall, cpu = time.perf_counter(), time.process_time()
        loop.train(run, resume=None, save=lambda *_: None, log=lambda *_: held.append(_own()))
        return Once(time.perf_counter() - wall, time.process_time() - cpu, max(held) - held[0])

    return call


def _own() -> int:
    """Return the bytes that this process holds and the kernel may not drop."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["RssAnon"].split()[0]) * 1024


def measure(options: Options) -> Iterator[Json | None]:
    """Yield the row."""
    size = int(np.prod(SHAPE))
    memory = psutil.virtual_memory().total
    rows = (2**28 if options.quick else int(1.6 * memory)) // size
    number = 100 if options.quick else 400
    with tempfile.TemporaryDirectory() as held:
        paths = {n: str(Path(held) / f"{n}.npy") for n in (SMALL, rows)}
        for n, path in paths.items():
            np.lib.format.open_memmap(path, "w+", np.uint8, (n, *SHAPE))
        shown = f"{rows * size / 2**30:.3g} GiB"
        sides = {shown: Fresh("benchmarks.larger_than_memory:steps", (paths[rows], rows, number))}
        sides[f"{SMALL * size / 2**30:.2g} GiB"] = Fresh(
            "benchmarks.larger_than_memory:steps", (paths[SMALL], SMALL, number)
        )
        name = f"LeNet from a mapped array of {shown}"
        work = (number * 128, "images")
        yield compare(
            name, sides, options, target=Target("cpu_ratio", at_most=1.5), work=work, cost=True, warm=False,
            note=f"the labels and the order of {rows:,} rows are {16 * rows / 2**30:.2g} GiB of it",
        )  # fmt: skip


if __name__ == "__main__":
    main("benchmarks.larger_than_memory", "Larger than memory", measure, __doc__.partition("\n\n")[2])
