"""Names that people give to studies, scales, cases, selections and bases, and which become folders and arguments.

One pattern keeps them harmless wherever they go: a shell, a path, a page, a key of MLflow, `snakemake --config`.
"""

from __future__ import annotations

import re

from counterpoise.errors import UserError

PATTERN = r"[A-Za-z][A-Za-z0-9_-]{0,63}"
# What Snakemake or some reader of YAML takes for a value, or `studies` for every study.
RESERVED = ("all", "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf", "infinity")
RULE = "a letter, then letters, digits, `_` or `-`, 64 characters at most"


def is_name(text: object) -> bool:
    """Return whether a study, scale, case, selection or base may be called so."""
    return isinstance(text, str) and re.fullmatch(PATTERN, text) is not None and text.lower() not in RESERVED


def suggested(text: str) -> str:
    """Return a valid name that is close to a text."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-_")[:50] or "own-data"
    return name if is_name(name) else f"data-{name}"


def check(text: str, what: str, where: str, instead: str = "write '{}'") -> None:
    """Raise UserError unless a text is a valid name; `instead` says what to do with the suggested one."""
    if is_name(text):
        return
    shown = ascii(text) if len(text) <= 40 else f"{ascii(text[:40])[:-1]}...'"
    fault = "means something else" if text.lower() in RESERVED else f"expected {RULE}"
    raise UserError(f"{where}: {what} {shown}: {fault}; {instead.format(suggested(text))}")
