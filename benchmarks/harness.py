"""Measures sides against one another in one run: alternated, repeated, with spread, and writes JSON.

A side is a function (timed in this process), `Fresh` (a function timed in a process of its own) or `Command` (a whole
process, timed from start to end). Each round runs every side once, the next round in the opposite order, so that a
drift of the machine touches all alike; ratios are taken within a round. CPU time is the main figure, because another
user of the machine changes it least.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import psutil

from benchmarks.sides import ROOT, Command, Fresh, Once, Side, once

__all__ = ["Command", "Fresh", "Json", "Once", "Options", "Target", "compare", "main", "once", "row", "value"]
RESULTS = ROOT / "benchmarks" / "results"
QUICK = ROOT / "build" / "benchmarks"
PACKAGES = ("torch", "numpy", "scikit-learn", "imbalanced-learn", "snakemake", "mlflow", "torchmetrics")
Json = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What a row should reach, on the figure that it names: an `at_least` or an `at_most`."""

    figure: Literal["cpu_ratio", "wall_ratio", "cpu", "wall", "peak", "value"]
    at_least: float | None = None
    at_most: float | None = None
    against: str = ""
    """The peer of a ratio; the first where it is not given."""


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    quick: bool = False
    repeats: int = 7
    peers: Path | None = None
    only: str = ""

    def wants(self, name: str) -> bool:
        """Return whether a row is to be measured."""
        return self.only in name

    def peer(self, name: str) -> Path | None:
        """Return the folder `name` of a public repository inside the folder that the user gave, if it is there."""
        folder = self.peers / name if self.peers else None
        if folder is None or not folder.is_dir():
            print(f"  (without the peer {name}: not in {self.peers or 'PEERS, which is not set'})", flush=True)
            return None
        return folder


def compare(
    name: str,
    sides: Mapping[str, Side],
    options: Options,
    *,
    target: Target | None = None,
    work: tuple[float, str] | None = None,
    cost: bool = False,
    warm: bool = True,
    note: str = "",
) -> Json | None:
    """Measure the sides of a row (ours first, then peers) and return it; None if the user asked for other rows.

    Ratios say how many times a peer's cost ours is; with `cost`, how many times ours a peer's is. `work` is what a
    call does (10 million, "positions"), from which the page tells a rate. `warm` calls every side once before.
    """
    if not options.wants(name):
        return None
    if warm:
        for side in sides.values():
            once(side)
    measured: dict[str, list[Once]] = {side: [] for side in sides}
    for number in range(options.repeats):
        for key in list(sides)[:: -1 if number % 2 else 1]:
            measured[key].append(once(sides[key]))
    return row(name, measured, target=target, work=work, cost=cost, note=note)


def row(
    name: str,
    measured: Mapping[str, list[Once]],
    *,
    target: Target | None = None,
    work: tuple[float, str] | None = None,
    cost: bool = False,
    note: str = "",
) -> Json:
    """Return the row of what was measured: quartiles of each figure, and of the ratios within each round."""
    ours, *peers = measured
    figures = {
        side: {
            "wall": quartiles([o.wall for o in calls]),
            "cpu": quartiles([o.cpu for o in calls]),
            "peak": max((o.peak for o in calls if o.peak is not None), default=None),
            "repeats": len(calls),
        }
        for side, calls in measured.items()
    }
    ratios = {}
    for peer in peers:
        pairs = list(zip(measured[ours], measured[peer], strict=True))
        pairs = [(b, a) for a, b in pairs] if cost else pairs
        ratios[peer] = {
            key: quartiles([getattr(b, key) / max(getattr(a, key), 1e-9) for a, b in pairs]) for key in ("cpu", "wall")
        }
    found: Json = {"name": name, "sides": figures, "ratios": ratios, "cost": cost, "note": note}
    if work:
        found["work"] = list(work)
    return _judged(found, target)


def value(name: str, number: float | None, unit: str, *, target: Target | None = None, note: str = "") -> Json:
    """Return a row that is one figure, such as a slope."""
    return _judged({"name": name, "value": number, "unit": unit, "note": note}, target)


def quartiles(numbers: Iterable[float]) -> list[float]:
    """Return the first quartile, the median and the third."""
    held = sorted(numbers)
    if len(held) == 1:
        return held * 3
    return statistics.quantiles(held, n=4, method="inclusive")


def _judged(found: Json, target: Target | None) -> Json:
    """Add the target, and whether the median meets it."""
    if target is None:
        return found
    reached = reached_by(found, target)
    least, most = target.at_least, target.at_most
    met = None if reached is None else (least is None or reached >= least) and (most is None or reached <= most)
    held = {key: part for key, part in asdict(target).items() if part not in (None, "")}
    return found | {"target": held, "reached": reached, "met": met}


def reached_by(found: Json, target: Target) -> float | None:
    """Return the figure of a row that a target is about; None where it was not measured."""
    if target.figure == "value":
        return found["value"]
    if target.figure.endswith("_ratio"):
        peer = target.against or next(iter(found["ratios"]), "")
        return found["ratios"][peer][target.figure.removesuffix("_ratio")][1] if peer in found["ratios"] else None
    figure = next(iter(found["sides"].values()))[target.figure]
    return figure[1] if isinstance(figure, list) else figure


def line(found: Json) -> str:
    """Return a row as one line of a terminal's table."""
    parts = [f"{found['name']:<46}"]
    if "value" in found:
        parts.append("not measured" if found["value"] is None else f"{found['value']:.4g} {found['unit']}")
    for side, figures in found.get("sides", {}).items():
        peak = "" if figures["peak"] is None else f", {figures['peak'] / 2**20:.0f} MiB"
        parts.append(f"{side} {figures['cpu'][1]:.4g} s CPU ({figures['wall'][1]:.4g} wall{peak})")
    for peer, ratio in found.get("ratios", {}).items():
        low, middle, high = ratio["cpu"]
        parts.append(f"x{middle:.3g} [{low:.3g}, {high:.3g}] {'of' if found['cost'] else 'over'} {peer}")
    if "target" in found:
        unit, suffix = (2**20, " MiB") if found["target"]["figure"] == "peak" else (1, "")
        bounds = [(key, found["target"].get(key)) for key in ("at_least", "at_most")]
        aim = ", ".join(f"{key.replace('_', ' ')} {n / unit:g}{suffix}" for key, n in bounds if n is not None)
        parts.append(f"target {aim}: {'met' if found['met'] else 'not measured' if found['met'] is None else 'MISSED'}")
    return " | ".join(parts)


def main(module: str, title: str, measure: Callable[[Options], Iterable[Json | None]], about: str = "") -> None:
    """Run a benchmark from the command line, print its rows as they come, and write its JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=title)
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats; written to build/benchmarks")
    parser.add_argument("--repeats", type=int, help="rounds (default 7, 3 with --quick)")
    parser.add_argument("--peers", "--peer", type=Path, default=os.environ.get("PEERS"), help="folder of repositories")
    parser.add_argument("--only", default="", help="rows whose name holds this; written to build/benchmarks")
    parser.add_argument("--label", default="", help="name of the machine in the file's name, where it is another")
    given = parser.parse_args()
    options = Options(given.quick, given.repeats or (3 if given.quick else 7), given.peers, given.only)
    print(f"{title} ({'quick, ' if given.quick else ''}{options.repeats} rounds)", flush=True)
    rows = []
    for found in measure(options):
        if found is not None:
            rows.append(found)
            print(line(found), flush=True)
    name = module.rpartition(".")[2] + (f".{given.label}" if given.label else "")
    path = (QUICK if given.quick or given.only else RESULTS) / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"title": title, "about": " ".join(about.split()), "quick": given.quick, **surroundings(), "rows": rows}
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT))


def surroundings() -> Json:
    """Return the machine, the versions, the threads and the commit that figures belong to."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run([*git, "status", "--porcelain", "counterpoise"], capture_output=True, text=True).stdout
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        cpu = next((x.split(":")[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")), cpu)
    memory = psutil.virtual_memory().total
    return {
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": round(memory / 2**30, 1),
                    "system": platform.system(), "load": round(os.getloadavg()[0], 1)},
        "versions": {"python": platform.python_version()} | {p: metadata.version(p) for p in PACKAGES},
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "commit": head,
        "dirty": bool(dirty),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }  # fmt: skip
