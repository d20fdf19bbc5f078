"""Names of tensors without what training tools put around them.

torch.compile, data parallelism, FSDP, adapters that were merged and multimodal models save the same
weights under longer names. Where such a name is nothing but longer it is shortened; `layout` then checks
that each tensor has its place and shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from chatterm.checkpoint.families.family import Names

WRAPPERS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
"""Modules around another one, wherever they stand: of torch.compile, FSDP, checkpointing, Fabric."""

Tensor = TypeVar("Tensor")


def unwrapped(tensors: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """The tensors under the names that the family gives them, as far as that is a matter of prefixes."""
    plain = {_without_wrappers(name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(tensors):  # both with and without: not ours to decide
        return dict(tensors)
    prefix = _prefix(plain, names)
    shortened = {name.removeprefix(prefix): tensor for name, tensor in plain.items()}
    return shortened if len(shortened) == len(plain) else plain


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _prefix(tensors: Iterable[str], names: Names) -> str:
    """What stands before the embedding's name, and so before all names; empty if that is not one thing."""
    there = set(tensors)
    wanted = [f"{slot}.weight" for slot in names.slots["embedding"].split("|")]
    if any(name in there or name.removeprefix(names.prefix) in there for name in wanted):
        return ""
    for endings in (wanted, [name.removeprefix(names.prefix) for name in wanted]):
        found = {
            name.removesuffix(ending) for name in there for ending in endings if name.endswith(f".{ending}")
        }
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""
