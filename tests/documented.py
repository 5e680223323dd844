"""The commands that the documents show: those of code blocks and in the text, and the examples of every `--help`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from counterpoise.cli import parser

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("commands.md", "configuration.md", "methods.md", "results.md")  # the first is the help, read below
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *(p for p in sorted((ROOT / "docs").glob("*.md")) if p.name not in GENERATED),
]
START = re.compile(
    r"([A-Z_]+=\S+ )*(\.venv/bin/)?(counterpoise|snakemake|make|python|dvc|git|uv|pre-commit|rm|head|sha256sum)( |$)"
)


def commands() -> dict[str, str]:
    """Return every documented command, in the order of the documents, with the place where it is first shown."""
    found: dict[str, str] = {}
    for page in PAGES:
        for command in commands_of(page.read_text("utf-8")):
            found.setdefault(command, str(page.relative_to(ROOT)))
    for name, command in subcommands().items():
        for line in (command.epilog or "").splitlines()[1:]:
            found.setdefault(line.strip(), f"{name} --help")
    for line in (parser().epilog or "").splitlines()[1:]:
        found.setdefault(re.split(r"\s{2,}", line.strip())[0], "--help")
    return found


def commands_of(page: str) -> list[str]:
    """Return the commands of a page: after `$ ` or at the start of a line in a block, or between backticks."""
    found = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        lines = block.splitlines() if language in ("", "sh", "bash", "console") else []
        shown = [line[2:] for line in lines if line.startswith("$ ")]
        found += [re.split(r"\s+#", line)[0].strip() for line in shown or filter(START.match, lines)]
    text = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    return found + [span for span in map(" ".join, map(str.split, re.findall(r"`([^`]+)`", text))) if START.match(span)]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command of `counterpoise`."""
    (action,) = (a for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)
