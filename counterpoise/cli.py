"""The command line: what people type, and what Snakemake calls."""

from __future__ import annotations

import argparse
from counterpoise import jobs, plan as planning


def parse(arguments: list[str] | None) -> int:
    """Parse and run one command; return the exit code."""
    parser = argparse.ArgumentParser(prog="counterpoise")
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in planning.STAGES:
        command = commands.add_parser(stage)
        command.add_argument("cell")
        command.add_argument("block", nargs="?")
    options = parser.parse_args(arguments)
    return jobs.run(options.command, options.cell, options.block)
