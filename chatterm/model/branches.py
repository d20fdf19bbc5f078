"""Several continuations of one text, read in the same steps: the weights are read once for all of them.

The keys and values of the text are shared. Each branch has those of its own tokens in a region of the same
cache, behind the text: what lies there counts as nothing in the cache itself, and is gone when the cache goes
on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from chatterm.model.cache import Cache, Span

PIECE = 128
"""Positions that attention goes over at once (`native/attend.h`); no piece holds both text and branches."""
GRAIN = 32
"""A branch has room for a multiple of so many tokens."""


class Branches:
    """Branches of the text in a cache, which must not change while they are read.

    Args:
        cache: holds the text; room is made in it.
        most: how many branches there can be at a time.
        length: tokens that a branch has at most.
    """

    def __init__(self, cache: Cache, most: int, length: int) -> None:
        self.cache = cache
        self.shared = cache.length
        """Positions of the text."""
        self.room = -(-length // GRAIN) * GRAIN
        """Tokens that a branch has room for."""
        self._first = -(-self.shared // PIECE) * PIECE
        self.lengths = [0] * most
        """Tokens of each branch so far."""
        end = self._first + most * self.room
        cache.allocate(end)
        cache.clear(
            self._first, end
        )  # attention weighs what it does not see with zero, which only numbers bear
        self._rows: list[int] = []
        self._spans: dict[int | None, tuple[Span, Tensor]] = {}

    def start(self, branch: int) -> int:
        """Where in the cache the region of a branch begins."""
        return self._first + branch * self.room

    def forget(self, branch: int) -> None:
        """Let another branch have that place."""
        self.lengths[branch] = 0

    def begin(self, rows: Sequence[int]) -> None:
        """Announce the next token of each of these branches, in that order.

        Raises:
            ValueError: one of them has no room, or stands there twice.
        """
        if len(set(rows)) < len(rows) or any(self.lengths[branch] >= self.room for branch in rows):
            raise ValueError(f"the branches {list(rows)} cannot have a token more each")
        self._rows = list(rows)
        self._spans.clear()

    @property
    def positions(self) -> list[int]:
        """Of the announced tokens, in the texts of their branches."""
        return [self.shared + self.lengths[branch] for branch in self._rows]

    @property
    def starts(self) -> list[int]:
        """Where the regions of the announced tokens' branches begin."""
        return [self.start(branch) for branch in self._rows]

    @property
    def slots(self) -> list[int]:
        """Where in the cache the announced tokens' keys and values belong."""
        return [self.start(branch) + self.lengths[branch] for branch in self._rows]

    def append(
        self, layer: int, keys: Tensor, values: Tensor, window: int | None, *, whole: bool = False
    ) -> tuple[Tensor, Tensor, Span]:
        """As `chatterm.model.cache.Cache.append`, for one token of each announced branch.

        Raises:
            ValueError: with `whole`: weights of attention are not to be had for branches.
        """
        if whole:
            raise ValueError("the weights of attention are not to be had for several branches at once")
        span, own = self._seen(window)
        self.cache.store_at(layer, torch.tensor(self.slots, device=keys.device), keys, values)
        text = self.cache.read(layer, span.start, self.shared, keys.dtype)
        theirs = self.cache.read_at(layer, own, keys.dtype)
        return torch.cat([text[0], theirs[0]], dim=1), torch.cat([text[1], theirs[1]], dim=1), span

    def finish(self) -> None:
        """The announced tokens are read."""
        for branch in self._rows:
            self.lengths[branch] += 1
        self._rows = []

    def _seen(self, window: int | None) -> tuple[Span, Tensor]:
        """What the announced tokens see: positions of the text from the span's start on, then these slots."""
        if window not in self._spans:
            self._spans[window] = self._make_span(window)
        return self._spans[window]

    def _make_span(self, window: int | None) -> tuple[Span, Tensor]:
        device = self.cache.keys.device
        positions = self.positions
        first = [0 if window is None else max(0, position - window + 1) for position in positions]
        start = min(*first, self.shared) if first else 0
        own = [
            (row, position, self.start(branch) + position - self.shared)
            for row, branch in enumerate(self._rows)
            for position in range(max(self.shared, first[row]), positions[row] + 1)
        ]
        text = torch.arange(start, self.shared, device=device) >= torch.tensor(first, device=device)[:, None]
        owners = torch.tensor([row for row, _, _ in own], device=device)
        theirs = owners == torch.arange(len(positions), device=device)[:, None]
        mask = torch.cat([text, theirs], dim=1)
        slots = torch.tensor([slot for _, _, slot in own], device=device)
        return Span(start, start + mask.shape[1], mask, causal=False), slots
