"""`synthesise`: every remedy of the published studies against logit adjustment."""

from __future__ import annotations

import argparse

from counterpoise.errors import UserError
from counterpoise.planning import names
from counterpoise.publishing import synthesis
from counterpoise.publishing.publish import FOLDER


def synthesise(options: argparse.Namespace) -> int:
    """Write the synthesis of what is published at a scale, and say where."""
    names.check(options.scale, "scale", "synthesise")
    if not synthesis.rows(FOLDER, options.scale):
        raise UserError(f"synthesise: no study in {FOLDER} at scale {options.scale} has a case `logit_adjustment`")
    for path in synthesis.write(FOLDER, options.scale):
        print(path)
    return 0
