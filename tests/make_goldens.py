"""The numbers of every method, as a few steps of a tiny network in float64, and the command that writes them.

    .venv/bin/python -m tests.make_goldens                       # what is missing, or of an older version
    .venv/bin/python -m tests.make_goldens losses.class_weighted

Numbers may move only together with a version, because versions are part of every cell's identity: results that a
changed method made would otherwise pass for those of the old one. So the command refuses to overwrite a golden at
the same versions. If what moved it has no version (torch, the tiny network below), delete the golden first: that
is visible in the commit. It also refuses numbers that another processor's rounding would move (other_rounding.py).
`test_goldens.py` compares at rtol 1e-9 unless a method has a TOLERANCE.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from unittest.mock import patch

import numpy as np
import torch

from counterpoise import registry
from counterpoise.data.columns import Column
from counterpoise.errors import nearest
from counterpoise.planning.plan import VERSIONS
from counterpoise.scoring.evidence import Evidence
from counterpoise.training import loop
from counterpoise.training.network import Net
from counterpoise.training.network import build as build_network
from counterpoise.training.phases import Phase, Run
from tests.other_rounding import other_rounding, rounded

FOLDER = Path(__file__).parent / "goldens"
STEPS, BATCH = 20, 18  # 5.6 epochs of the plain sampler
COUNTS = (38, 15, 8, 3)
PARTS = {
    "model": "models",
    "head": "heads",
    "ensemble": "ensembles",
    "task": "pretraining",
    "strategy": "finetuning",
    "sampler": "samplers",
    "loss": "losses",
    "augmentation": "augmentation",
    "mixing": "mixing",
    "optimizer": "optimizers",
    "schedule": "schedules",
}
# Everything but the method in question. Options are written out, so that another default moves one golden only.
PLAIN: dict[str, dict[str, Any]] = {
    "model": {"name": "mlp", "hidden": (6,)},
    "head": {"name": "linear"},
    "ensemble": {"name": "none"},
    "task": {"name": "supervised"},
    "strategy": {"name": "all_layers"},
    "sampler": {"name": "none"},
    "loss": {"name": "cross_entropy"},
    "augmentation": {"name": "none"},
    "mixing": {"name": "none"},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3},
    "schedule": {"name": "constant"},
}
# Views of whole pixels would tie, and a tie falls either way on another CPU.
VIEWS = {"name": "affine_cutout", "shift": 0.2, "scale": 0.2, "rotation": 10.0, "contrast": 0.3, "cutout": 0.2}
NEEDED: dict[str, list[dict[str, Any]]] = {
    "imbalance.step": [{"rho": 10.0}, {"minority_count": 7}],
    "samplers.episodic_sampling": [{"ways": 3, "shots": 6}],
    "losses.class_subset_softmax": [{"vocabulary": 3}],
    "mixing.manifold_mixup": [{}, {"last": 1}],
    "optimizers.imbsam": [{"eta": 9}, {"tail": "share", "share": 0.4}],
    "schedules.warmup_steps": [{"warmup": 0.3}],
    "models.decision_tree": [{}, {"max_depth": 2}],
    "models.random_forest": [{}, {"max_depth": 2, "max_features": 0.5}],
    "models.extra_trees": [{}, {"max_depth": 2, "max_features": 0.5}],
    "models.balanced_random_forest": [{}, {"max_depth": 2, "max_features": 0.5}],
    "samplers.stratified_batches": [{"groups": 6}],
    "losses.regression_plus_classification": [{"weight": 0.3}, {"weight": 0.3, "variant": "official_code"}],
    "models.forest_regressor": [{"n_estimators": 5, "max_features": 0.5}],
    "models.lightgbm_regressor": [{"min_child_samples": 3}],
    "models.gradient_boosting": [{"min_samples_leaf": 3}],
    "models.lightgbm": [{"min_child_samples": 3}],
    "optimizers.sgd_swa": [{"every": 2}],
    "rebalancing.logit_adjustment_tuned": [{}, {"highest": 0.3, "points": 4}],
    "rebalancing.sade_aggregation": [{"batch_size": 8}],
    "finetuning.prototypical_network": [{"ways": 3, "supports": 3, "queries": 3}],
}
# Options of every case of a method. Boosting repeats until two splits of a tree tie, which rounding then decides, as do
# bins with equally many rows; fewer rounds and bins do not come to it.
ALL_CASES: dict[str, dict[str, Any]] = {
    "models.adacost": {"n_estimators": 5},
    "models.easy_ensemble": {"n_estimators": 3, "base": {"name": "adaboost", "n_estimators": 3}},
    "models.rus_boost": {"n_estimators": 5},
    "models.self_paced_ensemble": {"n_estimators": 5, "bins": 3},
}
# What a method cannot do without.
ALONG: dict[str, dict[str, dict[str, Any]]] = {
    "finetuning.bcl": {"augmentation": VIEWS},
    "finetuning.meta_loss_rescaling": {"augmentation": VIEWS},
    "finetuning.ride_router": {"ensemble": {"name": "plain_average", "experts": 3}},
    "finetuning.wb_one_stage": {"head": {"name": "etf"}},
}
# They compute nothing themselves; a data set's golden is its `data_hash`.
WITHOUT = {"pretraining.none", "pretraining.checkpoint", "finetuning.fit"}
WITHOUT |= {"ensembles.none", "mixing.none", "semi_supervised.none", "splits.official", "preprocessing.standardise"}
WITHOUT |= {"samplers.bagan"}  # eigenvectors have no sign of their own: other images on another CPU, as good as these
TOLERANCE = {  # relative, where 1e-9 is closer than the method itself comes to its result
    "models.boundary_logistic": 1e-5,  # steps end at a relative gain of 1e-10; its root is the error of a weight
    "models.svm": 1e-6,  # libsvm stops at a violation of 1e-3, and rounding decides at which step
}
ELSEWHERE = {("samplers.table_generator", "generator")}  # a choice that needs a program of the user's
KEYS = [
    f"{kind}.{name}" for kind in registry.KINDS if kind != "datasets" for name in registry.names(kind)
    if f"{kind}.{name}" not in WITHOUT
]  # fmt: skip


def cases(kind: str, name: str) -> list[dict[str, Any]]:
    """Return the options to hold: the defaults, and every other choice of a field that has choices."""
    found = [dict(options) for options in NEEDED.get(f"{kind}.{name}", [{}])]
    cls = registry.method(kind, name)
    hints, defaults = get_type_hints(cls), registry.options(kind, name)
    for field in fields(cls):
        hint = hints[field.name]
        choices = get_args(hint) if get_origin(hint) is Literal else (False, True) if hint is bool else ()
        if (f"{kind}.{name}", field.name) not in ELSEWHERE:
            found += [{field.name: choice} for choice in choices if choice != defaults[field.name]]
    return [ALL_CASES.get(f"{kind}.{name}", {}) | options for options in found]


class Sample(loop.Sample):
    """Rows in float64; mean and deviation are exact in float32."""

    def batch(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return raw inputs and labels at positions of the sample."""
        positions = positions.to(self.device, non_blocking=True)
        return self.raw[self.ids[positions]], self.labels[positions]


@cache
def rows(side: int) -> Sample:
    """Return 64 noisy patterns, one pattern a class, in the range of digits."""
    generator = torch.Generator().manual_seed(20)
    labels = torch.arange(len(COUNTS)).repeat_interleave(torch.tensor(COUNTS))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    patterns = torch.rand(len(COUNTS), 1, side, side, generator=generator, dtype=torch.float64)
    noise = torch.rand(len(labels), 1, side, side, generator=generator, dtype=torch.float64)
    images = 16 * (patterns[labels] + noise) / 2
    return Sample(images.numpy(), np.arange(len(labels)), labels.numpy(), [8.0], [4.0], device=DEVICE)


@cache
def table() -> tuple[np.ndarray, np.ndarray]:
    """Return 256 rows of four columns between -2 and 2, and their classes, which overlap.

    In few rows two columns often divide the classes alike: a tie, which rounding decides once the rows are weighted.
    """
    generator = torch.Generator().manual_seed(20)
    labels = torch.arange(len(COUNTS)).repeat_interleave(4 * torch.tensor(COUNTS))
    labels = labels[torch.randperm(len(labels), generator=generator)]
    centres = torch.rand(len(COUNTS), 4, generator=generator, dtype=torch.float64)
    noise = torch.rand(len(labels), 4, generator=generator, dtype=torch.float64)
    return (2 * (centres[labels] + noise) - 2).numpy(), labels.numpy()


@contextmanager
def float64() -> Iterator[None]:
    """Make parameters and drawn numbers float64 for a while, on one thread."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)


DEVICE = torch.device("cpu")  # test_devices.py trains elsewhere


def trained(
    changes: dict[str, dict[str, Any]], start: Net | None = None, kind_of_task: str = "pretraining"
) -> tuple[Net, dict[str, Any]]:
    """Train the tiny network on the plain recipe with `changes`; return it and what there is to compare."""
    spec = {**PLAIN, **changes}
    kinds = PARTS | {"task": kind_of_task}
    part = {role: registry.build(kind, spec[role]) for role, kind in kinds.items()}
    sample = rows(16 if spec["model"]["name"] == "lenet5" else 8)
    outputs = getattr(part["loss"], "outputs", int)(len(COUNTS))
    if hasattr(part["loss"], "outputs"):  # of a regression: the brightness of an image
        sample = copy(sample)
        brightness = sample.raw.cpu().mean((1, 2, 3))
        target = (brightness - brightness.mean()) / brightness.std()
        made = [part["loss"].importance(target.numpy())] if hasattr(part["loss"], "importance") else []
        sample.targets = torch.from_numpy(np.column_stack([target.numpy(), *made])).to(DEVICE)
    head = part["task"] if hasattr(part["task"], "head") else part["head"]
    experts = getattr(part["ensemble"], "experts", 1)
    net = build_network(part["model"], head, tuple(sample.raw.shape[1:]), outputs, 0, experts=experts)
    if start is not None:
        net.encoder.load_state_dict(start.encoder.state_dict())
        if not part["strategy"].fresh_head:
            net.head.load_state_dict(start.head.state_dict())
    roles = ("task", "sampler", "loss", "augmentation", "mixing", "optimizer", "schedule")
    described = {role: part[role] for role in roles} | {"ensemble": part["ensemble"] if experts > 1 else None}
    net.to(DEVICE)
    strategy, counts = part["strategy"], torch.tensor(COUNTS, dtype=torch.float64).to(DEVICE)
    phases = strategy.phases(Phase(steps=STEPS, batch_size=BATCH, **described))
    if hasattr(strategy, "open"):
        strategy.open(net, sample, counts)
    loop.add_extra(net, phases, "train", 0)
    history: list[dict[str, Any]] = []
    stage = "pretrain" if "task" in changes and kind_of_task == "pretraining" else "finetune"
    hooks = {"unlabelled": sample, "validation": (sample.raw[::3], sample.labels[::3])}
    state = loop.train(
        Run(net, phases, sample, counts, stage, 0, hooks),
        resume=None,
        save=lambda tensors, held: None,
        log=lambda row, number: history.append(row),
    )
    if hasattr(strategy, "close"):
        strategy.close(net, sample, counts)
    numbers = {
        "loss": [row["loss"] for row in history],
        "hits": [round((row["accuracy"] or 0) * BATCH) for row in history],
        "seen": state.seen,
        "weights": {name: summary(p.detach()) for name, p in net.named_parameters()},
    }
    return net, numbers


def summary(tensor: torch.Tensor) -> list[float]:
    """Return the norm, and a sum with growing weights that sees the order."""
    flat = tensor.cpu().flatten().double()
    return [float(flat.norm()), float(flat @ torch.linspace(1, 2, len(flat), dtype=torch.float64))]


def training(role: str) -> Callable[[dict[str, Any]], Any]:
    """Return what runs a kind that takes part in training."""

    def run(spec: dict[str, Any]) -> Any:
        changes = ALONG.get(f"{PARTS[role]}.{spec['name']}", {}) | {role: spec}
        if role == "task" and spec["name"] != "supervised":
            changes["augmentation"] = VIEWS
        network = {role: spec for role, spec in changes.items() if role in ("head", "ensemble")}
        start = trained(network)[0] if role == "strategy" else None
        return trained(changes, start)[1]

    return run


def sampling(spec: dict[str, Any]) -> Any:
    """Train on a sampler; where it asks for other rows, hold which as well; or hold the rows that it makes."""
    if hasattr(sampler := registry.build("samplers", spec), "resample"):
        x, y = rows(8).raw.flatten(1)[:, : len(NUMBERS)].numpy(), (rows(8).labels.numpy() > 1).astype(np.int64)
        if spec["name"] == "table_generator":  # more columns than rows have eigenvectors in no order of their own
            x = x[:, :4]
        made = sampler.resample(x, y, NUMBERS[: x.shape[1]], generator())
        return {"rows": summary(torch.from_numpy(made[0].copy())), "seen": np.bincount(made[1]).tolist()}
    redraw = getattr(registry.build("samplers", spec), "redraw", None)
    counts = {"redraw": redraw(np.array(COUNTS), np.full(len(COUNTS), 40)).tolist()} if redraw else {}
    return training("sampler")(spec) | counts


def model(spec: dict[str, Any]) -> Any:
    """Train a network, or fit a classical model on most rows of a table; hold what it says of the others."""
    built = registry.build("models", spec)
    if not getattr(built, "classical", False):
        return training("model")(spec)
    x, y = table()
    seen, others = x[:-24], x[-24:]
    if getattr(built, "binary", False):
        y = (y > 0).astype(np.int64)
    if getattr(built, "regressor", False):
        target = np.rint((seen.sum(1) + 5) ** 2)  # whole numbers, whose sums are exact in any order
        return built.fit(seen, target, 0).predict(others).tolist()
    return built.fit(seen, y[: len(seen)], 0).predict_proba(others).tolist()


def rebalancing(spec: dict[str, Any]) -> Any:
    """Correct the logits of the trained network; half of them are the validation part."""
    net, sample = trained({})[0], rows(8)
    logits = net(sample.standardise(sample.raw)).detach()
    method, labels, counts = registry.build("rebalancing", spec), sample.labels, torch.tensor(COUNTS)
    if getattr(method, "binary", False):
        logits, labels, counts = logits[:, :2], (labels > 0).long(), counts[:2]
    views = torch.stack([logits, logits.roll(1, 1), 0.5 * logits], dim=1)
    known = Evidence(
        counts, torch.tensor((20, 30, 8, 70))[: len(counts)], logits[::2], labels[::2],
        test_logits_BC=logits[1::2],
        head_norm_C=net.head.weight.detach().norm(dim=1), head_bias_C=net.head.bias.detach(),
        expert_views_VBEC=torch.stack([views[1::2], 0.9 * views[1::2] + 0.1]),
    )  # fmt: skip
    given = views if getattr(method, "needs_experts", False) else logits
    scores = method.fit(known)(given[1::2])
    return {role: [summary(column) for column in view.T] for role, view in vars(scores).items()}


NUMBERS = tuple(Column(f"x{d}") for d in range(32))
TYPED = (*NUMBERS[:4], Column("colour", "categorical", ("blue", "green", "red")), Column("size", "ordinal", ("s", "l")))


def generator() -> np.random.Generator:
    """Return a fresh generator, always the same."""
    return np.random.Generator(np.random.PCG64(7))


def preprocessing(spec: dict[str, Any]) -> Any:
    """Fit half of some rows with missing values, numbers, a category and an order; hold what becomes of the others."""
    labels = rows(8).labels.numpy()
    x = np.column_stack([rows(8).raw[:, 0, 0, :4].numpy(), labels % 3, labels > 0]).astype(np.float64)
    x[::7, 1], x[::9, 4], x[::5, 5] = np.nan, np.nan, np.nan
    method, columns = registry.build("preprocessing", spec), TYPED
    if spec["name"] == "variance_selection":  # of numbers alone
        x, columns = rows(8).raw.flatten(1)[:, : len(NUMBERS)].numpy(), NUMBERS
    given = (rows(8).raw.mean((1, 2, 3)).numpy()[::2], 0) if getattr(method, "supervised", False) else ()
    fitted = method.fit(x[::2], columns, *given)
    made = fitted(x[1::2])
    own = [summary(torch.tensor(c)) for c in fitted.made_of_training.T] if given else []
    held = [summary(torch.tensor(c)) for c in np.nan_to_num(made.T)]
    return [[column.name for column in fitted.columns], held, *([own] if given else [])]


def splitting(spec: dict[str, Any]) -> Any:
    """Split some rows of two classes; hold which are tested on."""
    y = (rows(8).labels.numpy() > 1).astype(np.int64)
    values = np.arange(len(y)) // 2.0
    return [np.flatnonzero(registry.build("splits", spec).parts(y, seed, values)[1]).tolist() for seed in (0, 2)]


def imbalance(spec: dict[str, Any]) -> Any:
    """Count the examples of ten classes."""
    order = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    return registry.build("imbalance", spec).counts(np.arange(703, 803, 10), order).tolist()


def semi_supervised(spec: dict[str, Any]) -> Any:
    """Train on labelled and unlabelled rows, which are the same here."""
    if spec["name"] == "none":
        return trained({})[1]
    return trained({"task": spec, "augmentation": VIEWS}, kind_of_task="semi_supervised")[1]


RUN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "semi_supervised": semi_supervised,
    **{kind: training(role) for role, kind in PARTS.items()},
    "samplers": sampling,
    "models": model,
    "rebalancing": rebalancing,
    "imbalance": imbalance,
    "preprocessing": preprocessing,
    "splits": splitting,
}


def numbers(key: str, options: dict[str, Any]) -> Any:
    """Return the numbers of a method under some options, rows and seeds always the same."""
    kind, _, name = key.partition(".")
    with float64():
        return RUN[kind]({"name": name, **options})


def moved_by_rounding(key: str, options: dict[str, Any], seed: int) -> str | None:
    """Return what another processor's rounding would change of a method's numbers, if anything (other_rounding.py)."""
    held, near = numbers(key, options), {side: copy(rows(side)) for side in (8, 16)}
    for sample in near.values():
        sample.raw = torch.from_numpy(rounded(sample.raw.numpy(), seed))
    x, y = table()
    changed = {"rows": near.__getitem__, "table": lambda: (rounded(x, seed), y)}
    with patch.multiple(sys.modules[__name__], **changed), other_rounding(seed):
        return moved(key, numbers(key, options), json.loads(json.dumps(held)))


def versions(key: str) -> dict[str, int]:
    """Return the version of everything that the numbers of a method may depend on."""
    kind, _, name = key.partition(".")
    found = {key: registry.method(kind, name).version}
    cls = registry.method(kind, name)
    if kind in ("imbalance", "splits", "preprocessing") or getattr(cls, "classical", False) or hasattr(cls, "resample"):
        return found | {
            f"{inner}.{spec['name']}": registry.method(inner, spec["name"]).version
            for option, inner in registry.nested_kinds(kind, name).items()
            for spec in [registry.options(kind, name)[option]]
        }
    plain = {
        f"{PARTS[role]}.{spec['name']}" for role, spec in (PLAIN | ALONG.get(key, {})).items() if PARTS[role] != kind
    }
    if kind == "semi_supervised" or (kind == "pretraining" and name != "supervised"):
        plain = plain - {"augmentation.none"} | {f"augmentation.{VIEWS['name']}"}
    found |= {other: registry.method(*other.split(".")).version for other in plain}
    stage = "pretrain" if kind == "pretraining" else "finetune"
    return dict(sorted((found | {f"stages.{stage}": VERSIONS[stage]}).items()))


def golden(key: str) -> dict[str, Any]:
    """Return what the golden of a method should hold."""
    kind, _, name = key.partition(".")
    held = [{"options": options, "numbers": numbers(key, options)} for options in cases(kind, name)]
    return {"method": key, "versions": versions(key), "cases": held}


def differences(found: Any, held: Any, tolerance: float = 1e-9, place: str = "") -> Iterator[str]:
    """Say where two trees of numbers differ by more than the relative tolerance."""
    if isinstance(held, dict) and isinstance(found, dict) and held.keys() == found.keys():
        for key in held:
            yield from differences(found[key], held[key], tolerance, f"{place}.{key}")
    elif isinstance(held, list) and isinstance(found, list) and len(held) == len(found):
        for i, pair in enumerate(zip(found, held, strict=True)):
            yield from differences(*pair, tolerance, f"{place}[{i}]")
    elif isinstance(held, float) and isinstance(found, float):
        if not np.isclose(found, held, rtol=tolerance, atol=1e-3 * tolerance):
            yield f"{place or 'it'} is {found!r}, was {held!r}"
    elif found != held:
        yield f"{place or 'it'} is {found!r}, was {held!r}"


def moved(key: str, found: Any, held: Any) -> str | None:
    """Return the first difference of a method's numbers that is beyond its tolerance."""
    return next(differences(json.loads(json.dumps(found)), held, TOLERANCE.get(key, 1e-9)), None)


def path(key: str) -> Path:
    """Return the file of a golden."""
    return FOLDER / f"{key}.json"


def read(key: str) -> dict[str, Any]:
    """Return the golden of a method."""
    return json.loads(path(key).read_text(encoding="utf-8"))


def refuse_unstable(key: str) -> None:
    """Raise SystemExit if a golden would be another on a processor that rounds otherwise."""
    for options in cases(*key.split(".")):
        if change := moved_by_rounding(key, options, seed=0):
            raise SystemExit(
                f"error: {key} {options}: {change} on a processor that rounds otherwise; expected steps that do not "
                "amplify rounding: other options in ALL_CASES, or a TOLERANCE with its reason"
            )


def write(key: str) -> str:
    """Write the golden of a method; return what was done. SystemExit if it moved without a version, or is unstable."""
    made = json.loads(json.dumps(golden(key)))
    if path(key).exists():
        held = read(key)
        change = moved(key, made["cases"], held["cases"])
        if held["versions"] == made["versions"]:
            if change:
                raise SystemExit(
                    f"error: {path(key).name}: {change}; expected a higher version in what changed "
                    f"({', '.join(made['versions'])}), or the golden deleted first"
                )
            return "as it was"
    refuse_unstable(key)
    lines = ",\n".join("  " + json.dumps(case) for case in made["cases"])
    head = json.dumps({k: made[k] for k in ("method", "versions")})[1:-1]
    path(key).write_text(f'{{{head},\n "cases": [\n{lines}\n]}}\n', encoding="utf-8")
    return "written"


def main(arguments: list[str]) -> None:
    """Write the goldens of some methods, or of all."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.make_goldens", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("key", nargs="*", help="a method, as losses.class_weighted (default: every method)")
    parser.add_argument("--stable", action="store_true", help="write nothing; check that no rounding would move them")
    given = parser.parse_args(arguments)
    keys = given.key
    FOLDER.mkdir(exist_ok=True)
    for key in keys:
        if key not in KEYS:
            raise SystemExit(f"error: no golden for '{key}'{nearest(key, KEYS)}")
    for key in keys or KEYS:
        if given.stable:
            refuse_unstable(key)
        else:
            print(f"{key}: {write(key)}")
    for orphan in () if keys else sorted({p.stem for p in FOLDER.glob("*.json")} - set(KEYS)):
        print(f"{orphan}: no such method any more; delete goldens/{orphan}.json")


if __name__ == "__main__":
    main(sys.argv[1:])
