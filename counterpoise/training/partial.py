"""A job's unfinished work, in `partial/` beside the files that it will leave: what a killed run resumes from.

Snakemake deletes the declared files of a failed job; this folder is not declared, so it survives. `records.job`
removes it when `run.json` is there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from counterpoise import readers, records
from counterpoise.errors import UserError
from counterpoise.readers import Damaged
from counterpoise.training import checkpoints
from counterpoise.training.checkpoints import Tensors

META = {"cell": str, "seed": (int, list), "state": (dict, list)}  # of a checkpoint


class Partial:
    """The checkpoint of the seed in training, the finished seeds, snapshots and the history so far."""

    def __init__(self, out: Path, cell: str) -> None:
        self.folder, self.cell = out / records.PARTIAL, cell
        self.folder.mkdir(parents=True, exist_ok=True)
        for stale in self.folder.glob(".*.tmp"):  # of a killed process: this one holds the cell's lock
            stale.unlink()
        self.history = self.folder / "history.jsonl"
        self._drop_damaged()

    def _drop_damaged(self) -> None:
        """Remove a checkpoint that cannot be read: its seed starts anew; of any other file, all seeds do."""
        held = (p for p in sorted(self.folder.iterdir()) if p.suffix in (".jsonl", ".npy", ".safetensors"))
        for path in held:
            try:
                self._rows() if path == self.history else readers.read(path)
                if path.suffix == ".safetensors":
                    readers.require(path, checkpoints.load(path)[1], META)
            except Damaged as fault:
                print(f"{fault.what}; what was to resume from it starts anew", file=sys.stderr, flush=True)
                if path.name == "checkpoint.safetensors":
                    path.unlink()
                    continue
                for other in self.folder.iterdir():
                    other.unlink()
                return

    def finished(self, seed: int) -> tuple[Tensors, dict[str, Any]] | None:
        """Return the network and final state of a seed that is done."""
        return self._load(self.folder / f"seed-{seed:02d}.safetensors")

    def checkpoint(self, seed: int) -> tuple[Tensors, dict[str, Any]] | None:
        """Return the last checkpoint of a seed that is not done, and cut the history back to it."""
        held = self._load(self.folder / "checkpoint.safetensors")
        if held and held[1]["seed"] != seed:
            held = None  # the seed before was finished after its last checkpoint
        self._cut(seed, (held[1]["state"]["phase"], held[1]["state"]["step"]) if held else (0, 0))
        return (held[0], held[1]["state"]) if held else None

    def checkpoint_of_block(self, seeds: list[int]) -> tuple[Tensors, list[dict[str, Any]]] | None:
        """Return the last checkpoint of seeds that are trained together, and cut the history back to it."""
        held = self._load(self.folder / "checkpoint.safetensors")
        for i, seed in enumerate(seeds):
            state = held[1]["state"][i] if held else {}
            self._cut(seed, (state["phase"], state["step"]) if held else (0, 0))
        return (held[0], held[1]["state"]) if held else None

    def save_block(self, seeds: list[int], tensors: Tensors, states: list[dict[str, Any]]) -> None:
        """Keep a checkpoint of seeds that are trained together."""
        self._save("checkpoint.safetensors", seeds, tensors, states)

    def save(self, seed: int, tensors: Tensors, state: dict[str, Any]) -> None:
        """Keep a checkpoint of the seed in training."""
        self._save("checkpoint.safetensors", seed, tensors, state)

    def finish(self, seed: int, tensors: Tensors, state: dict[str, Any]) -> None:
        """Keep the network and final state of a seed that is done."""
        self._save(f"seed-{seed:02d}.safetensors", seed, tensors, state)

    def log(self, row: dict[str, Any], phase: int) -> None:
        """Append a row to the history, for those who watch; the phase's number is for resuming only."""
        with self.history.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**row, "number": phase}) + "\n")

    def publish_history(self, path: Path) -> None:
        """Write the finished history beside the other files."""
        rows = [{k: v for k, v in row.items() if k != "number"} for row in self._rows()]
        records.write_text(path, "".join(json.dumps(row) + "\n" for row in rows))

    def _rows(self) -> list[dict[str, Any]]:
        return readers.read_lines(self.history, unfinished=True) if self.history.exists() else []

    def _cut(self, seed: int, reached: tuple[int, int]) -> None:
        rows = [r for r in self._rows() if r["seed"] != seed or (r["number"], r["step"]) <= reached]
        records.write_text(self.history, "".join(json.dumps(row) + "\n" for row in rows))

    def _save(self, name: str, seed: int | list[int], tensors: Tensors, state: Any) -> None:
        checkpoints.save(self.folder / name, tensors, {"cell": self.cell, "seed": seed, "state": state})

    def _load(self, path: Path) -> tuple[Tensors, dict[str, Any]] | None:
        if not path.exists():
            return None
        tensors, meta = checkpoints.load(path)
        if meta.get("cell") != self.cell:
            raise UserError(f"{path}: belongs to cell {meta.get('cell')}, not {self.cell}; remove it to start anew")
        return tensors, meta
