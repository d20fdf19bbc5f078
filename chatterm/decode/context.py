"""The tokens that a decoder has read, and the logits after them.

Token ids only; nothing here knows of text. A new prompt reuses the longest prefix that it shares with what
was read before, so the next turn, an edit, a regenerated or forked reply read only what is new.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from chatterm.model.decoder import Decoder
from chatterm.model.taps import Edit, Taps

KEPT_LOGITS_BYTES = 64 << 20
"""Logits kept for positions already passed, so that looking back costs nothing; older ones are replayed."""

PREFILL_CHUNK = 256
"""Tokens of a text read per call where all their logits are wanted."""


class Context:
    """What one decoder has read.

    `tokens[i]` is the token at position i; `logits_after(n)` says what the decoder expects at position n,
    given `tokens[:n]`.
    """

    def __init__(self, decoder: Decoder, capacity: int, edits: Sequence[Edit] | None = None) -> None:
        """Allocate a key/value cache for `capacity` tokens.

        Everything is read with `edits`, so clean and edited keys never mix. None takes the fastest way; with
        edits, even with none of them, each block is computed with taps.
        """
        self.decoder = decoder
        self.edits = tuple(edits or ())
        """What everything here is computed with; whoever replays a step passes them on to its own taps."""
        self._taps = None if edits is None else Taps(edits=edits)
        self.cache = decoder.new_cache(capacity)
        self.tokens: list[int] = []
        self._kept: OrderedDict[int, Tensor] = OrderedDict()
        self._kept_limit = 1
        self._ahead: list[int] = []
        self._ahead_logits: Tensor | None = None

    @property
    def capacity(self) -> int:
        """Tokens that fit."""
        return self.cache.capacity

    @property
    def cache_bytes(self) -> int:
        """Memory that the keys and values take now."""
        return self.cache.nbytes

    @property
    def full(self) -> bool:
        """Whether no further token can be read."""
        return len(self.tokens) >= self.capacity

    def shared_prefix(self, ids: Sequence[int]) -> int:
        """How many leading tokens of `ids` are in the cache already."""
        count = 0
        for mine, theirs in zip(self.tokens, ids, strict=False):
            if mine != theirs:
                break
            count += 1
        return count

    def holds(self, ids: Sequence[int]) -> bool:
        """Whether `ids` is a non-empty prefix of what has been read."""
        return 0 < len(ids) <= len(self.tokens) and self.shared_prefix(ids) == len(ids)

    def begin(self, ids: Sequence[int]) -> int:
        """Forget everything that is not a prefix of `ids`.

        Returns:
            The number of tokens of `ids` that need not be read again; below `len(ids)`, unless the logits
            after the last one are still at hand.
        """
        reused = self.shared_prefix(ids)
        if self.decoder.rotations_differ(self.cache.rotated_at[:reused], len(ids)):
            reused = 0  # dynamic scaling: what another length has rotated is read anew
        self.cache.prompt_length = len(ids)
        if reused == len(ids) and reused not in self._kept:
            reused -= 1
        self._truncate(max(reused, 0))
        return len(self.tokens)

    def read(self, ids: Sequence[int]) -> Iterator[int]:
        """Read the part of `ids` that `begin` left unread, chunk by chunk.

        Yields:
            The number of tokens read so far, after each chunk; stop iterating to interrupt.

        Raises:
            ValueError: `ids` does not fit or does not go on from what was read.
        """
        if len(ids) > self.capacity:
            raise ValueError(f"{len(ids)} tokens do not fit into a context of {self.capacity}")
        if self.shared_prefix(ids) != len(self.tokens):
            raise ValueError("the prompt does not go on from what was read")
        chunk = self.decoder.prompt_chunk
        while len(self.tokens) < len(ids):
            start = len(self.tokens)
            # The last token goes alone, by the exact single step: what is shown next comes from there.
            self.append(ids[start : max(start + 1, min(start + chunk, len(ids) - 1))])
            yield len(self.tokens)

    @property
    def most_ahead(self) -> int:
        """How many tokens `append` can read along as a guess."""
        return self.decoder.most_ahead if self._taps is None else 0

    def can_branch(self, length: int) -> bool:
        """Whether several texts of `length` more tokens can go on from here at once."""
        read = len(self.tokens)
        return self._taps is None and read + length <= self.capacity and self.decoder.can_branch(read, length)

    def expects(self, token: int) -> bool:
        """Whether this token has been read along already."""
        return self._ahead[:1] == [token]

    def append(self, ids: Sequence[int], taps: Taps | None = None, guess: Sequence[int] = ()) -> Tensor:
        """Read further tokens; `taps`, made with this context's edits, look on.

        Tokens of a `guess`, at most `most_ahead`, are read along in the same step. They do not count as
        read; but if the next to be appended one by one are these, nothing need be computed.

        Returns:
            Float32 logits (V,) after the last of `ids`, the same with or without a guess.
        """
        if taps is None and len(ids) == 1 and self.expects(ids[0]):
            logits = self._take_ahead()
        else:
            logits = self._read(ids, taps, guess)
        self.tokens.extend(ids)
        self._keep(len(self.tokens), logits)
        return logits

    def _read(self, ids: Sequence[int], taps: Taps | None, guess: Sequence[int]) -> Tensor:
        self._ahead.clear()
        tokens = torch.tensor([*ids, *guess], dtype=torch.int64, device=self.decoder.device)
        with torch.inference_mode():
            logits: Tensor = self.decoder(tokens, self.cache, last_only=not guess, taps=taps or self._taps)
        if not guess:
            return logits
        self.cache.truncate(self.cache.length - len(guess))
        self._ahead, self._ahead_logits = list(guess), logits[len(ids) :]
        return logits[len(ids) - 1].clone()

    def _take_ahead(self) -> Tensor:
        """The first token of the guess was right."""
        assert self._ahead_logits is not None
        logits = self._ahead_logits[0].clone()
        self._ahead_logits = self._ahead_logits[1:]
        self._ahead.pop(0)
        self.cache.take_back()
        return logits

    def logits_after(self, count: int) -> Tensor:
        """Float32 logits (V,) of what comes after the first `count` tokens.

        Kept ones are returned as they are; others are made again by one decode step against the cache, which
        is left as it was.

        Raises:
            ValueError: `count` is not within 1 … len(tokens).
        """
        if not 0 < count <= len(self.tokens):
            raise ValueError(f"{count} is not within 1 and {len(self.tokens)}")
        logits = self._kept.get(count)
        if logits is None:
            token = torch.tensor(
                self.tokens[count - 1 : count], dtype=torch.int64, device=self.decoder.device
            )
            with torch.inference_mode(), self.cache.replay(count - 1) as view:
                logits = self.decoder(token, view, taps=self._taps)
            self._keep(count, logits)
        return logits

    def _truncate(self, count: int) -> None:
        self._ahead.clear()
        self.cache.truncate(count)
        del self.tokens[count:]
        for position in [position for position in self._kept if position > count]:
            del self._kept[position]

    def _keep(self, position: int, logits: Tensor) -> None:
        self._kept_limit = max(1, KEPT_LOGITS_BYTES // max(1, logits.numel() * logits.element_size()))
        self._kept[position] = logits
        self._kept.move_to_end(position)
        while len(self._kept) > self._kept_limit:
            self._kept.popitem(last=False)
