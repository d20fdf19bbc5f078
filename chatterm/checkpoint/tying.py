"""Whether the unembedding is the embedding: by what the file holds, then by what the configuration says.

As transformers 5.23 does it (`PreTrainedModel.tie_weights`): two matrices that differ are never tied,
whatever config.json says, as in a tied model into which an adapter with an output matrix was merged; and
one of the two stands for both where they are said to be tied. Two that agree to the last bit are tied in
effect and need not be held twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from chatterm.checkpoint.families.family import Names
from chatterm.checkpoint.same import Stored, same

GGUF_WITH_OUTPUT = frozenset({"gptneox", "olmo2", "phi2", "stablelm"})
"""Architectures whose GGUF files always have an output matrix: llama.cpp refuses one without, as a bare model
would give. Such a file of another architecture is tied, or bare, and does not say which.
"""

AnyStored = TypeVar("AnyStored", bound=Stored)


def is_tied(stated: bool, names: Names, stored: Mapping[str, AnyStored], *, thorough: bool = True) -> bool:
    """Whether the embedding serves as unembedding too.

    Args:
        stated: by the configuration or the family.
        names: of the tensors.
        stored: all tensors of the checkpoint.
        thorough: as for `same`.
    """
    embedding = find_matrix("embedding", names, stored)
    unembedding = find_matrix("unembedding", names, stored)
    if embedding is None or unembedding is None:
        return stated
    if f"{unembedding.removesuffix('.weight')}.scale" in stored:
        return False
    return same(stored[embedding], stored[unembedding], thorough=thorough)


def find_matrix(slot: str, names: Names, stored: Mapping[str, AnyStored]) -> str | None:
    """The name under which a matrix outside the blocks is stored."""
    for pattern in filter(None, names.slots.get(slot, "").split("|")):
        for name in (f"{pattern}.weight", f"{pattern.removeprefix(names.prefix)}.weight"):
            if name in stored:
                return name
    return None
