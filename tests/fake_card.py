"""A second device on a machine that has none: its tensors hold their values on the CPU, and torch's rules for a card.

What a card would refuse is refused (operands of two devices, a generator of the CPU), and what would make the host wait
for it is counted. Under `card()`, whatever is made on `card:0` or of its tensors is such a tensor.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("card")
CARD = torch.device("card:0")
aten = torch.ops.aten
ACROSS = {aten._to_copy, aten.copy_, aten._copy_from}
INDEXING = {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_}  # indices may lie with the host
# Their result, or its size, is known to the host only when the card has got there.
WAITING = {aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.bincount, aten.equal, aten._unique2}
WAITING |= {aten.unique_dim, aten.unique_consecutive, aten.is_nonzero, aten.linalg_eigh, aten._linalg_eigh}


class OnCard(torch.Tensor):
    """A tensor that says it lies on the card."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnCard:
        """Wrap a tensor of the CPU."""
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=CARD
        )

    def __init__(self, held: torch.Tensor) -> None:
        self.held = held

    def tolist(self) -> Any:
        """Return the values, for which the host waits."""
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        """Compute on the CPU, after asking whether a card would."""
        return _computed(func, args, kwargs or {}, [])


class _Rules(TorchDispatchMode):
    """Sees also what is made from nothing, and keeps what the host waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, and note what the host waits for."""
        return _computed(func, args, kwargs or {}, self.waits)


def _computed(func: Any, args: Any, kwargs: dict[str, Any], waits: list[str]) -> Any:
    leaves = tree_leaves((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    wrappers = {id(t.held): t for t in tensors if isinstance(t, OnCard)}
    target, packet = kwargs.get("device"), func.overloadpacket
    there = torch.device(target).type == "card" if target is not None else bool(wrappers)
    if there or wrappers:
        _check(func, packet, args, kwargs, tensors, there)
        hosts = [t for t in tensors if not isinstance(t, OnCard)]
        moves = (packet in ACROSS and bool(wrappers) != there) or (packet is aten.copy_ and hosts and wrappers)
        blocking = moves and not (
            there and (kwargs.get("non_blocking") or (packet is aten.copy_ and args[2:] == (True,)))
        )
        indices = [i for i in args[1] if i is not None] if packet in INDEXING else []
        found = any(not isinstance(i, OnCard) or i.dtype in (torch.bool, torch.uint8) for i in indices)
        if blocking or found or packet in WAITING:
            waits.append(str(func))

    if wrappers and torch.Tag.inplace_view in func.tags:  # the wrapper has a shape of its own
        before = torch._C._meta_in_tls_dispatch_include()
        torch._C._set_meta_in_tls_dispatch_include(True)
        try:
            with torch._C._DisableTorchDispatch():
                func(*args, **kwargs)
        finally:
            torch._C._set_meta_in_tls_dispatch_include(before)

    def to_host(leaf: Any) -> Any:
        if isinstance(leaf, OnCard):
            return leaf.held
        return torch.device("cpu") if isinstance(leaf, torch.device) else leaf

    args, kwargs = tree_map(to_host, (args, kwargs))
    if isinstance(kwargs.get("device"), str):
        kwargs["device"] = "cpu"
    out = func(*args, **kwargs)

    def to_card(leaf: Any) -> Any:
        return (
            wrappers.get(id(leaf)) if id(leaf) in wrappers else OnCard(leaf) if isinstance(leaf, torch.Tensor) else leaf
        )

    return tree_map(to_card, out) if there else out


def _check(func: Any, packet: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor], there: bool) -> None:
    if any(isinstance(leaf, torch.Generator) for leaf in tree_leaves((args, kwargs))):
        raise RuntimeError(f"{func}: expected a generator of the card, found one of the CPU")
    if packet in ACROSS:
        return
    if packet in INDEXING:
        tensors = [args[0], *(t for t in args[2:3] if isinstance(t, torch.Tensor))]
        if not isinstance(args[0], OnCard) and any(isinstance(i, OnCard) for i in args[1] if i is not None):
            raise RuntimeError(f"{func}: indices lie on the card, what is indexed with the host")
    if any(not isinstance(t, OnCard) and t.ndim for t in tensors) and any(isinstance(t, OnCard) for t in tensors):
        raise RuntimeError(f"{func}: expected all tensors on one device, found the card and the CPU")
    if tensors and not isinstance(tensors[0], OnCard) and tensors[0].ndim == 0 and func._schema.is_mutable:
        raise RuntimeError(f"{func}: a scalar of the host cannot take what lies on the card")


@contextmanager
def card() -> Iterator[list[str]]:
    """Give the machine a card for a while; yield what the host waited for, growing."""
    with _Rules() as rules:
        yield rules.waits
