"""Training: the project's loop against that of kaidic/LDAM-DRW, on the same network, batch, optimiser and images.

The peer is `train` of its cifar_train.py with its own data set class, torch's DataLoader in the same process (its
workers would cost CPU time beside) and torchvision's transforms on PIL images. It asks for a GPU only by `.cuda`, which
here returns what it is given. torchvision has no build for CPU torch: its transforms import once two operators of its
C++ part are defined, which nothing here calls. Where torch sees a card, further rows have both sides on it: ours as
docs/gpu.md says for ResNet-32, the peer with two workers. Compiling is not in the times; notes say how long it took.
"""

from __future__ import annotations

import importlib
import io
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.harness import Json, Options, Target, compare, main, once, value
from counterpoise import registry
from counterpoise.data.samples import Sample
from counterpoise.training import loop, network, phases, precision

CUDA = torch.Tensor.cuda
CASES = {  # name: model, shape of an image, images, batch, steps of a call (quick: a quarter)
    "MLP on digits": ("mlp", (1, 8, 8), 1500, 64, 400),
    "LeNet on 32x32": ("lenet5", (3, 32, 32), 4096, 128, 24),
    "ResNet-32 on 32x32": ("resnet32", (3, 32, 32), 4096, 128, 4),
}
AIMS = {"MLP on digits": 8.0, "LeNet on 32x32": 2.0, "ResNet-32 on 32x32": 1.15}
RATE = {"lr": 0.001, "momentum": 0.9, "weight_decay": 2e-4}


QUICKEST = {"layout": "channels_last", "precision": "bf16", "compile": "reduce-overhead"}
CIFAR_LT = 12_406  # training images of CIFAR-10 at imbalance factor 100


class Case:
    """One network on random images: ours and the peer's way to take the same steps."""

    def __init__(self, name: str, steps: int, threads: int, layout: str = "contiguous", **says: str) -> None:
        """`says` is what a recipe may say of `precision` and `compile`, and the `device`."""
        self.model, self.shape, self.rows, self.batch, _ = CASES[name]
        self.steps, self.threads, self.layout, self.says = steps, threads, layout, says
        self.device = torch.device(says.get("device", "cpu"))
        random = np.random.default_rng(0)
        self.x = random.integers(0, 256, (self.rows, *self.shape), dtype=np.uint8)
        self.y = random.integers(0, 10, self.rows)
        self.crops = self.shape[0] == 3  # digits are not augmented, on either side

    def net(self) -> network.Net:
        """Return the network, fresh."""
        model, head = registry.build("models", {"name": self.model}), registry.build("heads", {"name": "linear"})
        return network.build(model, head, self.shape, 10, seed=0)

    def ours(self) -> None:
        """Take the steps as a job does."""
        loop.one_thread()
        torch.set_num_threads(self.threads)
        mean, std = [120.0] * self.shape[0], [60.0] * self.shape[0]
        sample = Sample(self.x, np.arange(self.rows), self.y, mean, std, self.layout, self.device)
        phase = phases.Phase(
            steps=self.steps,
            batch_size=self.batch,
            task=registry.build("pretraining", {"name": "supervised"}),
            sampler=registry.build("samplers", {"name": "none"}),
            loss=registry.build("losses", {"name": "cross_entropy"}),
            augmentation=registry.build("augmentation", {"name": "crop_flip" if self.crops else "none"}),
            optimizer=registry.build("optimizers", {"name": "sgd", **RATE}),
            schedule=registry.build("schedules", {"name": "constant"}),
        )
        counts_C = torch.bincount(torch.from_numpy(self.y), minlength=10).float().to(self.device)
        net = self.net().to(self.device)
        precision.quicken(net, {"precision": "float32", "compile": "off"} | self.says)
        run = phases.Run(net, [phase], sample, counts_C, "finetune", 0)
        loop.train(run, resume=None, save=lambda tensors, state: None, log=lambda row, phase: None)

    def peers(self, peer: ModuleType) -> None:
        """Take the steps as LDAM-DRW does: whole epochs of a data set that is as long as they need."""
        torch.set_num_threads(self.threads)
        torch.use_deterministic_algorithms(False)
        crops = [peer.transforms.RandomCrop(32, padding=4), peer.transforms.RandomHorizontalFlip()]
        mean, std = [120 / 255] * self.shape[0], [60 / 255] * self.shape[0]
        standard = [peer.transforms.ToTensor(), peer.transforms.Normalize(mean, std)]
        data = _images(peer)(self, peer.transforms.Compose((crops if self.crops else []) + standard))
        on_card = self.device.type == "cuda"
        workers = {"num_workers": 2, "pin_memory": True} if on_card else {}
        loader = peer.torch.utils.data.DataLoader(data, batch_size=self.batch, shuffle=True, **workers)
        net = self.net().to(self.device)
        optimizer = torch.optim.SGD(net.parameters(), **RATE)  # type: ignore[arg-type]
        torch.Tensor.cuda = CUDA if on_card else lambda tensor, *given, **named: tensor  # type: ignore[method-assign]
        given = SimpleNamespace(gpu=0 if on_card else None, print_freq=10)
        with redirect_stdout(io.StringIO()) as log:
            peer.train(loader, net, nn.CrossEntropyLoss(), optimizer, 0, given, log, peer.SummaryWriter())

    def flops(self) -> int:
        """Return the floating-point operations of a step, those of matrix products and convolutions."""
        images = torch.randn(self.batch, *self.shape)
        net = self.net()
        with FlopCounterMode(display=False) as counter:
            net(images).sum().backward()
        return counter.get_total_flops()


def _images(peer: ModuleType) -> Any:
    """Return the peer's data set, made of a case's images instead of CIFAR's files."""

    def prepare(images: Any, case: Case, transform: Any) -> None:
        images.transform, images.target_transform = transform, None
        x_NHWC = case.x.transpose(0, 2, 3, 1)
        order = np.arange(case.steps * case.batch) % case.rows
        images.data, images.targets = (x_NHWC if case.crops else x_NHWC[..., 0])[order], case.y[order].tolist()

    return type("Images", (peer.IMBALANCECIFAR10,), {"__init__": prepare})


def ldam_drw(folder: Path) -> ModuleType:
    """Import cifar_train.py of the peer's folder, with stand-ins for what a CPU has not."""
    operators = torch.library.Library("torchvision", "DEF")
    operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    silent = type("SummaryWriter", (), {"add_scalar": lambda *given: None})
    sys.modules["tensorboardX"] = ModuleType("tensorboardX")
    sys.modules["tensorboardX"].SummaryWriter = silent  # type: ignore[attr-defined]
    sys.path[:0] = [str(folder)]
    sys.path += [str(folder.parent / "torchvision")]  # `pip install --no-deps --target` puts it there
    peer = importlib.import_module("cifar_train")
    peer._operators = operators  # type: ignore[attr-defined]  # they vanish with it
    return peer


def peak_share(name: str, case: Case, options: Options) -> Json | None:
    """Return a row: operations a second of training over those of a large matrix product, in turns."""
    if not options.wants(name):
        return None
    torch.set_num_threads(case.threads)
    size, clock = 1024 if options.quick else 2048, "cpu" if case.threads == 1 else "wall"
    a, b, products = torch.randn(size, size), torch.randn(size, size), 4
    work, shares, peaks = case.flops() * case.steps, [], []
    for _ in range(options.repeats + 1):
        peaks.append(products * 2 * size**3 / getattr(once(lambda: [torch.mm(a, b) for _ in range(products)]), clock))
        shares.append(100 * work / getattr(once(case.ours), clock) / peaks[-1])
    peaks, shares = peaks[1:], shares[1:]  # without the first, which warms up
    note = f"peak {statistics.median(peaks) / 1e9:.0f} GFLOP/s; from {min(shares):.0f} to {max(shares):.0f} %"
    target = Target("value", at_least=90) if case.layout == "channels_last" else None
    return value(name, statistics.median(shares), "%", target=target, note=note)


def compiled(peer: ModuleType | None, options: Options) -> Json | None:
    """Return the row of a LeNet whose encoder is compiled, on the CPU."""
    name = "LeNet on 32x32, channels last, compiled, 1 thread"
    if not options.wants(name):
        return None
    _, _, _, batch, steps = CASES["LeNet on 32x32"]
    case = Case("LeNet on 32x32", steps, 1, "channels_last", compile="default")
    seconds = _compiling(case)
    sides: dict[str, Callable[[], Any]] = {"ours": case.ours}
    sides["ours, not compiled"] = Case("LeNet on 32x32", steps, 1, "channels_last").ours
    if peer is not None:
        sides["LDAM-DRW"] = partial(case.peers, peer)
    return compare(name, sides, options, work=(steps * batch, "images"), note=f"compiling took {seconds:.0f} s before")


def _compiling(case: Case) -> float:
    """Return what the first call takes longer than the second, in a cache of its own."""
    with tempfile.TemporaryDirectory() as folder, _environment(TORCHINDUCTOR_CACHE_DIR=folder):
        return once(case.ours).wall - once(case.ours).wall


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    held = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(held)


def on_card(peer: ModuleType | None, options: Options) -> Iterator[Json | None]:
    """Measure ResNet-32 on a card, where torch sees one: against the peer, and 200 epochs of CIFAR-10-LT."""
    if not torch.cuda.is_available():
        print("  (without the rows of a card: torch sees none)", flush=True)
        return
    name, epochs = "ResNet-32 on 32x32", 2 if options.quick else 200
    batch = CASES[name][3]
    case = Case(name, 40 if options.quick else 400, 1, device="cuda", **QUICKEST)
    card, seconds = torch.cuda.get_device_name(), _compiling(case)
    sides: dict[str, Callable[[], Any]] = {"ours": case.ours}
    if peer is not None:
        sides["LDAM-DRW"] = partial(case.peers, peer)
    yield compare(
        f"{name}, a card",
        sides,
        options,
        target=Target("wall_ratio", at_least=10),
        work=(case.steps * batch, "images"),
        note=f"{card}; {', '.join(QUICKEST.values())}; compiling took {seconds:.0f} s before",
    )
    whole = Case(name, CIFAR_LT * epochs // batch, 1, device="cuda", **QUICKEST)
    if options.wants(title := f"{name}, {epochs} epochs of CIFAR-10-LT, a card"):
        yield value(title, once(whole.ours).wall, "s", target=Target("value", at_most=60), note=card)


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def measure(options: Options) -> Iterator[Json | None]:
    """Measure every network at one thread and at two, as the project lays images out and with channels last."""
    folder = options.peer("LDAM-DRW")
    peer = ldam_drw(folder) if folder else None
    yield compiled(peer, options)
    yield from on_card(peer, options)
    for threads in (1, 2):
        for name, (_, _, _, batch, steps) in CASES.items():
            case = Case(name, max(2, steps // 4) if options.quick else steps, threads)
            sides: dict[str, Callable[[], Any]] = {"ours": case.ours}
            if peer is not None:
                sides["LDAM-DRW"] = partial(case.peers, peer)
            work = (case.steps * batch, "images")
            target = Target("cpu_ratio" if threads == 1 else "wall_ratio", at_least=AIMS[name])
            plain = None if case.crops else target
            yield compare(f"{name}, {_threads(threads)}", sides, options, target=plain, work=work)
            if case.crops:
                sides["ours"] = Case(name, case.steps, threads, "channels_last").ours
                yield compare(f"{name}, channels last, {_threads(threads)}", sides, options, target=target, work=work)
        for layout, words in (("contiguous", ""), ("channels_last", " channels last,")):
            case = Case("ResNet-32 on 32x32", 2 if options.quick else 4, threads, layout)
            yield peak_share(f"ResNet-32,{words} share of the matrix peak, {_threads(threads)}", case, options)


if __name__ == "__main__":
    main("benchmarks.training", "Training: images a second", measure, about=__doc__ or "")
