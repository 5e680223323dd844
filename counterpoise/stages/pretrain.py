"""Pretrain the encoder (and head) of each seed, or read a given checkpoint into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from counterpoise import devices, records
from counterpoise.data.inputs import Inputs, resampled
from counterpoise.errors import UserError
from counterpoise.registry import build
from counterpoise.training import checkpoints, loop, network, recipe, stacked
from counterpoise.training.loop import count_work, train_seed
from counterpoise.training.network import Net
from counterpoise.training.partial import Partial
from counterpoise.training.phases import Run
from counterpoise.training.precision import quicken

OUTPUTS = ("model.safetensors", "history.jsonl", "run.json")


def run(cfg: dict[str, Any], *, data: Path, sample: Path, seeds: list[int], out: Path, spec: dict) -> None:
    """Write `model.safetensors` ("<seed>/encoder.*", "<seed>/head.*"), `history.jsonl` and `run.json` to `out`."""
    loop.one_thread()
    empty = {
        "model.safetensors": lambda p: checkpoints.save(p, {}),
        "history.jsonl": lambda p: p.write_text(""),
    }
    with records.job(out, spec, empty) as result:
        records.require_parents([data, sample])
        if cfg["pretrain"]["method"]["name"] == "checkpoint":
            tensors = _given(cfg, data, sample, seeds)
            records.write_text(out / "history.jsonl", "")
        else:
            tensors = _trained(cfg, data, sample, seeds, out, spec, result)
        checkpoints.save(out / "model.safetensors", tensors)


def _trained(
    cfg: dict, data: Path, sample: Path, seeds: list[int], out: Path, spec: dict, result: dict
) -> checkpoints.Tensors:
    section, partial = cfg["pretrain"], Partial(out, spec["cell"])
    tensors: checkpoints.Tensors = {}
    task = build("pretraining", section["method"])
    phase = recipe.phase_of(cfg, section, section["sample"], task)
    runs, device = [], devices.choose()
    result["device"] = devices.described(device)
    for seed in seeds:
        inputs = Inputs(cfg, data, sample, seed, device)
        net = _network(cfg, task, inputs.pool.shape[1:], len(inputs.counts), seed).to(device)
        quicken(net, cfg)
        loop.add_extra(net, [phase], "train", seed)
        rows, counts = inputs.rows(), inputs.counts
        if getattr(task, "reads", "train") == "unlabelled":  # a corpus that fine-tuning does not see
            rows = rows.others(inputs.pool, *inputs.hidden)
            counts = torch.bincount(rows.labels.cpu(), minlength=len(counts)).float()
        rows = resampled(build("samplers", section["sample"]), rows, inputs.fitted[1], seed)
        runs.append(Run(net, [phase], rows, counts.to(device), "pretrain", seed))
    if cfg["execution"] == "stacked":
        result |= stacked.train(runs, partial)
    for run in runs:
        state = train_seed(run, partial)
        count_work(result, state, len(run.sample.labels), section["batch_size"])
        if state.diverged:
            result["diverged"][str(run.seed)] = state.diverged
            continue
        keep = ("encoder.", "head.") if task.transfers_head else ("encoder.",)
        tensors |= {f"{run.seed}/{name}": v for name, v in run.net.state_dict().items() if name.startswith(keep)}
    partial.publish_history(out / "history.jsonl")
    return tensors


def _network(cfg: dict, task: Any, shape: tuple[int, ...], classes: int, seed: int) -> Net:
    """Return the network with the task's own head, if it has one, else the classifier of the recipe."""
    if hasattr(task, "head"):
        return network.build(build("models", cfg["model"]), task, shape, classes, seed)
    return recipe.network_of(cfg, shape, classes, seed, "train")


def _given(cfg: dict, data: Path, sample: Path, seeds: list[int]) -> checkpoints.Tensors:
    """Return the given file's encoder (and head, if it has one) under every seed.

    The file holds one network, or one for each seed as this project's `model.safetensors` does.
    """
    method = build("pretraining", cfg["pretrain"]["method"])
    path = Path(method.path)
    if method.fingerprint() != cfg["fingerprint"]:
        raise UserError(f"{path}: is another file than when this run was planned; start snakemake again")
    given = checkpoints.load_foreign(path)
    by_seed = all(name.partition("/")[0].isdigit() for name in given)
    first = Inputs(cfg, data, sample, seeds[0])
    net = recipe.network_of(cfg, first.pool.shape[1:], len(first.counts), 0, "train")
    tensors: checkpoints.Tensors = {}
    for seed in seeds:
        mine = checkpoints.under(f"{seed}/", given) if by_seed else given
        if not mine:
            found = sorted({int(name.partition("/")[0]) for name in given})
            raise UserError(f"{path}: has no network of seed {seed}; found those of seeds {found}")
        named = any(name.startswith("encoder.") for name in mine)
        checkpoints.fill(net.encoder, "encoder." if named else "", mine, str(path))
        parts: dict[str, torch.nn.Module] = {"encoder": net.encoder}
        if any(name.startswith("head.") for name in mine):
            checkpoints.fill(net.head, "head.", mine, str(path))
            parts["head"] = net.head
        for part, module in parts.items():
            tensors |= {f"{seed}/{part}.{name}": value.clone() for name, value in module.state_dict().items()}
    return tensors
