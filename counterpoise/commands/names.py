"""`names`: every valid name of a kind, which messages only show the nearest of."""

from __future__ import annotations

import argparse

from counterpoise import registry
from counterpoise.errors import UserError, nearest
from counterpoise.planning import study

KINDS = (*registry.KINDS, "studies", "bases", "metrics")


def names(options: argparse.Namespace) -> int:
    """Print the names of a kind, one a line; without a kind, the kinds."""
    if options.kind is None:
        print("\n".join(KINDS))
    elif options.kind not in KINDS:
        raise UserError(f"unknown kind '{options.kind}'{nearest(options.kind, KINDS, '`counterpoise names`')}")
    else:
        print("\n".join(_names(options.kind)))
    return 0


def _names(kind: str) -> list[str]:
    if kind == "studies":
        return sorted(study.available())
    if kind == "bases":
        return sorted(study.bases())
    if kind == "metrics":
        from counterpoise.scoring import metrics

        return sorted({*metrics.names(True), *metrics.names(False)})
    return list(registry.names(kind))
