"""Several continuations of what a context has read, each with its own tokens, read in the same steps."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.model.branches import Branches


class Branching:
    """The branches of a context, which must not change meanwhile: nothing of them is kept in it.

    Args:
        context: what they go on from; it has read at least one token, without edits.
        most: how many there can be at a time.
        length: tokens that each has at most.
    """

    def __init__(self, context: Context, most: int, length: int) -> None:
        self._context = context
        self._branches = Branches(context.cache, most, length)
        self._free = list(reversed(range(most)))
        self._tokens: dict[int, list[int]] = {}
        self._logits: dict[int, Tensor] = {}
        self._first = context.logits_after(len(context.tokens))

    @property
    def free(self) -> int:
        """How many more can be opened."""
        return len(self._free)

    def open(self) -> int:
        """A new branch, without tokens."""
        branch = self._free.pop()
        self._tokens[branch], self._logits[branch] = list(self._context.tokens), self._first
        return branch

    def close(self, branch: int) -> None:
        """Forget a branch; another one may have its place."""
        self._branches.forget(branch)
        self._free.append(branch)
        del self._tokens[branch], self._logits[branch]

    def tokens(self, branch: int) -> list[int]:
        """The text and the branch's own tokens."""
        return self._tokens[branch]

    def logits(self, branch: int) -> Tensor:
        """Float32 logits (V,) of what comes next in a branch."""
        return self._logits[branch]

    def read(self, tokens: Mapping[int, int]) -> None:
        """Read the next token of each of these branches.

        Raises:
            ValueError: one of them has no room.
        """
        rows = list(tokens)
        with torch.inference_mode():
            logits = self._context.decoder.read_branches(
                torch.tensor([tokens[branch] for branch in rows]), self._branches, rows
            )
        for branch, mine in zip(rows, logits, strict=True):
            self._tokens[branch].append(tokens[branch])
            self._logits[branch] = mine
