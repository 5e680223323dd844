"""A study of somebody's own data as the text of its file: YAML with a comment for everything that was decided."""

from __future__ import annotations

import json
import re
from typing import Any

from counterpoise.own_data.proposal import Proposal

WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")  # that some reader of YAML takes for values


def text(proposal: Proposal) -> str:
    """Return the study file."""
    lines = [
        f"# Written by `{_one_line(proposal.command)}`.",
        "# Every key: docs/configuration.md; what comes next: docs/your_data.md. Change what you know better.",
        *(f"# Left out: {_one_line(note)}." for note in proposal.left_out),
        f"title: {quoted(proposal.title)}",
        f"source: {{paper: {quoted(proposal.source)}}}",
        f"base: {proposal.base}",
        f"primary: {{metric: {proposal.primary}}} # {_one_line(proposal.why_primary)}",
        f"seeds: {proposal.seeds} # {proposal.folds} folds"
        + f", {proposal.repetitions} times" * (proposal.repetitions > 1),
        "cases:",
    ]
    for case in proposal.cases:
        lines += [f"  # {case.why}", f"  {case.name}: {flow(case.settings)}"]
    lines += ["claims: # decided before anything runs; `reproduced` says that a claim holds on these data"]
    lines += [f"  - {flow(claim)}" for claim in proposal.claims]
    lines += ["scales:", "  full:", f"    block: {proposal.seeds} # all folds of a case in one job"]
    lines += ["    scope: as_published", "    config:"]
    lines += [f"      {key}: {flow(value)}" for key, value in proposal.config.items() if key != "data"]
    lines += ["      data:"]
    for key, value in proposal.config["data"].items():
        if isinstance(value, dict) and value:
            lines.append(
                f"        {key}:" + (" # correct what is not so; `ignore` leaves a column out" * (key == "kinds"))
            )
            for name, held in value.items():
                said = (
                    f" # {_one_line(proposal.comments[name])}" if key == "kinds" and name in proposal.comments else ""
                )
                lines.append(f"          {quoted(name)}: {flow(held)}{said}")
        else:
            lines.append(f"        {key}: {flow(value)}")
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(words: str) -> str:
    """Return a text as YAML, in quotes where it could be taken for something else."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", words) and words.lower() not in WORDS:
        return words
    escaped = json.dumps(words, ensure_ascii=False)
    return re.sub(
        r"[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]", _escape, escaped
    )


def _escape(character: re.Match[str]) -> str:
    return f"\\u{ord(character[0]):04x}"


def _one_line(words: str) -> str:
    """Return a text that can stand behind a `#`."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())
