"""A given checkpoint: the encoder (and the head, where it fits) is read from a file, nothing is trained.

Source: none.
Shapes: tensors named `encoder.*` and `head.*` as in this project's `model.safetensors`, or the encoder's bare names.
Units: none.
Raises: UserError for a file that is missing, corrupt, pickled code, or of another architecture.
Differs from the source: nothing.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from counterpoise.errors import UserError


@dataclass(frozen=True)
class Method:
    """Read a safetensors file, or a torch file of plain tensors (`weights_only=True`)."""

    version: ClassVar[int] = 1
    path: str = ""
    """The file, absolute or relative to where snakemake runs."""

    def fingerprint(self) -> str:
        """Return the digest of the file's bytes: another file under the same name is another cell."""
        if not self.path or not Path(self.path).is_file():
            raise UserError(f"pretrain.method checkpoint: no file at path '{self.path}'; give a .safetensors or .pt")
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()[:12]
