"""The decoder: tokens → embedding → blocks → final norm → unembedding → logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import cast

import torch
from torch import Tensor, nn

from chatterm.checkpoint.architecture import Architecture
from chatterm.errors import UserError
from chatterm.model.block import Block
from chatterm.model.branches import Branches
from chatterm.model.cache import Cache, visible
from chatterm.model.graphs import GraphSteps
from chatterm.model.linear import Linear
from chatterm.model.native.step import NativeStep, Places, native_step, new_record
from chatterm.model.norm import Norm
from chatterm.model.prefill.reader import FEWEST, Products, reader
from chatterm.model.rotary import RotaryTable, Turn, depends_on_length, regime
from chatterm.model.taps import BLOCK_POINTS, Taps
from chatterm.model.threads import one_thread
from chatterm.model.tiled import FEW
from chatterm.model.vectors import NARROW

NATIVE_TOKENS = FEW
"""Up to so many tokens at once go through the native operator; unpacking the weights pays for more."""

PROMPT_SECONDS = 0.5
"""How long one call may read a prompt, so that Stop is heard soon."""
RATES: dict[Products, float] = {"2×bf16": 500e9, "2×bf16/int16": 500e9, "int16": 250e9, "float32": 100e9}
"""Cautious guesses of the operations per second that reading a prompt reaches."""
LONGEST = (1 << 31) - 1
"""No text has more tokens."""
FEWEST_AT_ONCE, MOST_AT_ONCE = 64, 512

CACHE_TYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, NARROW)
"""In which keys and values may be kept."""


class Decoder(nn.Module):
    """One decoder-only transformer of any family, for one text at a time, or several that go on from it."""

    def __init__(
        self,
        architecture: Architecture,
        *,
        embedding: Linear,
        positions: nn.Parameter | None,
        blocks: list[Block],
        final_norm: Norm,
        unembedding: Linear,
        context: int,
        device: torch.device,
        dtype: torch.dtype,
        exact: bool = True,
        cache_dtype: torch.dtype | None = None,
    ) -> None:
        """Put together by `chatterm.model.load`.

        Args:
            architecture: what it is made of.
            embedding: its rows are the tokens' vectors; the same object as `unembedding` where they are tied.
            positions: learned ones, `(context, width)`.
            blocks: in order.
            final_norm: before the unembedding.
            unembedding: residual stream → logits.
            context: how many tokens a cache holds unless told otherwise.
            device: where it computes.
            dtype: of the residual stream; norms, rotary and logits are float32 throughout.
            exact: multiply in float32 throughout; else many tokens at once go through
                `chatterm.model.prefill`, which is less exact by two digits.
            cache_dtype: in which keys and values are stored, or `chatterm.model.vectors.NARROW`; None =
                `dtype`.

        Raises:
            ValueError: the decoder cannot work with keys and values of that type.
        """
        super().__init__()
        self.architecture = architecture
        self.context, self.device, self.dtype = context, device, dtype
        self.cache_dtype = cache_dtype or dtype
        self.embedding, self.positions = embedding, positions
        self.blocks = nn.ModuleList(blocks)
        self.final_norm, self.unembedding = final_norm, unembedding
        self._rotaries = list(dict.fromkeys(layer.rotary for layer in architecture.layer_options))
        self.rotary_tables = [
            None if rotary is None else RotaryTable(rotary, self.device) for rotary in self._rotaries
        ]
        """One for each kind of layer, see `rotary_kind`; None where nothing is rotated."""
        self._kinds = [self._rotaries.index(layer.rotary) for layer in architecture.layer_options]
        self._native = native_step(self)
        self._check_cache_type(self.cache_dtype)
        self._reader = None if exact else reader(self)
        self.graphs = GraphSteps(self) if self.device.type == "cuda" else None
        """Steps of one token on a GPU."""
        self.block_weights = sum(
            module.in_features * module.out_features
            for module in self.blocks.modules()
            if isinstance(module, Linear)
        )
        """Numbers in the matrices of all blocks."""

    @property
    def prompt_products(self) -> Products:
        """How many tokens at once are multiplied on a CPU."""
        return "float32" if self._reader is None else self._reader.products

    def read_exactly(self) -> None:
        """From now on, read prompts without rounding to 16 bits: for checkpoints that cannot bear it."""
        if self._reader is not None:
            self._reader.leave_whole_numbers()

    @property
    def prompt_chunk(self) -> int:
        """Tokens of a prompt to read per call: as many as take half a second, within bounds."""
        rate = RATES["2×bf16" if self.device.type != "cpu" else self.prompt_products]
        tokens = PROMPT_SECONDS * rate / (2 * max(1, self.block_weights))
        return max(FEWEST_AT_ONCE, min(MOST_AT_ONCE, 1 << max(0, int(tokens).bit_length() - 1)))

    def rotary_kind(self, layer: int) -> int:
        """Index of a layer's rotation among those that differ."""
        return self._kinds[layer]

    def rotation_is_fixed(self, length: int) -> bool:
        """Whether positions in a text of that length turn as in a text that is a little longer."""
        return all(table is None or table.is_fixed(length) for table in self.rotary_tables)

    def rotations_differ(self, lengths: Iterable[int], length: int) -> bool:
        """Whether keys rotated in texts of these lengths do not belong into a text of that length."""
        if self.rotation_is_fixed(LONGEST):
            return False
        fixed = self.rotation_is_fixed(length)
        return any(
            other != length and not (fixed and self.rotation_is_fixed(other)) for other in set(lengths)
        )

    @property
    def way(self) -> str:
        """How steps of one token are computed: "native", "CUDA graph", or "torch" and why no graph is."""
        if self._native is not None:
            return "native"
        if self.graphs is None:
            return "torch"
        if self.graphs.refusal:
            return f"torch, because a CUDA graph failed: {self.graphs.refusal}"
        return "CUDA graph" if self.graphs.in_use else "torch"

    def take_notices(self) -> tuple[str, ...]:
        """Sentences for the user about how steps are computed; each is told once."""
        if self.graphs is None:
            return ()
        told = tuple(self.graphs.notices)
        self.graphs.notices.clear()
        return told

    @property
    def most_ahead(self) -> int:
        """How many tokens can be read along with another one without changing a bit of its logits."""
        if self._native is None or any(depends_on_length(rotary) for rotary in self._rotaries):
            return 0
        return self._native.most_rows - 1

    def _check_cache_type(self, dtype: torch.dtype) -> None:
        """Refuse a cache that the decoder cannot work with.

        Raises:
            ValueError: it cannot.
        """
        known = CACHE_TYPES if self._native is None else (torch.float32, NARROW)
        if dtype not in known:
            names = ", ".join(str(each).removeprefix("torch.") for each in known)
            where = "the native operator" if self._native is not None else "attention"
            raise ValueError(f"{where} cannot read a cache of {dtype}, only of {names}")

    @property
    def can_be_narrow(self) -> bool:
        """Whether keys and values may be kept in 16 bits while everything is computed in float32."""
        return self.dtype == torch.float32 and self.device.type == "cpu"

    def new_cache(self, context: int | None = None, dtype: torch.dtype | None = None) -> Cache:
        """An empty cache for `context` tokens (default: the decoder's own), of the decoder's type or another.

        Raises:
            ValueError: the decoder cannot work with that type.
            UserError: the model has learned positions and not that many.
        """
        capacity = self.context if context is None else context
        if self.architecture.learned_positions and capacity > self.architecture.context:
            raise UserError(
                f"this {self.architecture.family} model has {self.architecture.context} learned positions, "
                "so its "
                f"context cannot be {capacity} tokens; ask for at most {self.architecture.context}."
            )
        dtype = dtype or self.cache_dtype
        self._check_cache_type(dtype)
        return Cache(self.architecture, capacity, device=self.device, dtype=dtype)

    @torch.no_grad()
    def forward(
        self, tokens: Tensor, cache: Cache, *, last_only: bool = True, taps: Taps | None = None
    ) -> Tensor:
        """Read `tokens` `(T,)` int64 as the next of the text in `cache`, which they are appended to.

        Args:
            tokens: ids; T ≥ 1.
            cache: the text before them.
            last_only: logits after the last token only.
            taps: what to read and change on the way.

        Returns:
            Float32 logits: `(vocabulary,)` if `last_only`, else `(T, vocabulary)`.

        Raises:
            ValueError: the tokens do not fit into the cache.
        """
        tokens = tokens.to(self.device)
        length = self._rotated_as(cache, tokens.shape[0])
        self._keep_rotation(cache, length, taps)
        if self._native is not None and taps is None and tokens.shape[0] <= NATIVE_TOKENS:
            logits = self._step(self._native, tokens, cache, length, last_only=last_only)
            return logits[0] if last_only else logits
        if self._records(tokens.shape[0], taps) and self._native is not None and taps is not None:
            with one_thread():
                logits = self._recorded_step(self._native, tokens, cache, length, taps, last_only=last_only)
            return logits[0] if last_only else logits
        one = tokens.shape[0] == 1 and taps is None and cache.replayed_at is None
        graphs = self.graphs if one else None
        if graphs is not None and (captured := graphs(tokens, cache, length)) is not None:
            return captured if last_only else captured[None]
        few = self._native is not None and tokens.shape[0] <= NATIVE_TOKENS
        with one_thread() if few else nullcontext():  # the products have threads of their own
            x = self._blocks(tokens, cache, length, taps)
            logits = self.unembed(x[-1:] if last_only else x)
        if graphs is not None:
            graphs.learn(tokens, cache, logits[0])
        if taps is not None:
            logits = taps("logits", None, logits)
        return logits[0] if last_only else logits

    def can_branch(self, shared: int, length: int) -> bool:
        """Whether branches of `length` tokens behind `shared` ones turn as the text alone does."""
        ends = shared + length
        alike = all(regime(rotary, shared) == regime(rotary, ends) for rotary in self._rotaries)
        return alike and self.rotation_is_fixed(ends)

    @torch.no_grad()
    def read_branches(self, tokens: Tensor, branches: Branches, rows: Sequence[int]) -> Tensor:
        """Read a token `(T,)` int64 of each of these T branches, the next one there.

        Returns:
            Float32 logits `(T, vocabulary)`.

        Raises:
            ValueError: a branch has no room, or turns otherwise than its text (`can_branch`).
        """
        tokens = tokens.to(self.device)
        branches.begin(rows)
        positions = branches.positions
        turns = [
            None if table is None else table.turn_at(positions, 1 + max(positions))
            for table in self.rotary_tables
        ]
        if self._native is not None:
            logits = self._branched_step(self._native, tokens, branches, turns)
        else:
            x = self.embed(tokens, torch.tensor(positions, device=self.device))
            for block, kind in zip(self.blocks, self._kinds, strict=True):
                x = block(x, branches, turns[kind], None)
            logits = self.unembed(x)
        branches.finish()
        return logits

    def _branched_step(
        self, native: NativeStep, tokens: Tensor, branches: Branches, turns: list[Turn | None]
    ) -> Tensor:
        positions, slots, starts = branches.positions, branches.slots, branches.starts
        parts = []
        for first in range(0, len(positions), native.most_rows):
            some = slice(first, first + native.most_rows)
            places = Places(branches.shared, positions[some], slots[some], starts[some])
            few = [turn and turn[some] for turn in turns]
            parts.append(native(tokens[some], places, branches.cache, few, last_only=False))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _rotated_as(self, cache: Cache, count: int) -> int:
        """The length of the text in which the next tokens stand, as far as their rotation depends on it.

        Of a prompt it is the whole, however many tokens of it are read at once: so transformers reads it.
        """
        if cache.replayed_at is not None:
            return cache.replayed_at
        length = cache.length + count
        if cache.prompt_length > length and not self.rotation_is_fixed(cache.prompt_length):
            return cache.prompt_length
        return length

    def embed(self, tokens: Tensor, at: slice | Tensor) -> Tensor:
        """What enters the first block, `(T, width)`, for tokens at these T positions."""
        x = self.embedding.look_up(tokens).to(self.dtype)
        if self.architecture.embedding_scale != 1.0:
            x = x * self.architecture.embedding_scale
        if self.positions is not None:
            x = x + self.positions[at]
        return x

    def unembed(self, x: Tensor) -> Tensor:
        """Final norm and unembedding: residual stream `(T, width)` → float32 logits `(T, vocabulary)`.

        After the last block these are the model's logits; after an earlier one, its lens.
        """
        return self.to_logits(self.unembedding(self.final_norm(x)))

    def to_logits(self, products: Tensor) -> Tensor:
        """What the unembedding gives → logits: the family's multiplier and soft cap."""
        logits = products.float()
        if self.architecture.logit_scale != 1.0:
            logits = logits * self.architecture.logit_scale
        if (cap := self.architecture.logit_soft_cap) is not None:
            logits = cap * torch.tanh(logits / cap)
        return logits

    def _blocks(self, tokens: Tensor, cache: Cache, length: int, taps: Taps | None) -> Tensor:
        start = cache.length
        cache.begin(tokens, length)
        turns = self._turns(start, tokens.shape[0], length)
        x = self.embed(tokens, slice(start, cache.length + tokens.shape[0]))
        if taps is not None:
            x = taps("embedding", None, x)
        fast = self._reader if taps is None and tokens.shape[0] >= FEWEST else None
        for block, kind in zip(self.blocks, self._kinds, strict=True):
            if fast is None:
                x = block(x, cache, turns[kind], taps)
            else:
                fast(block, x, cache, turns[kind])
        cache.finish()
        return x

    def _records(self, count: int, taps: Taps | None) -> bool:
        """Whether the native operator can keep what these taps ask for, for that many tokens."""
        native = self._native
        return native is not None and count <= native.most_rows and taps is not None and taps.only_reads

    def _recorded_step(
        self, native: NativeStep, tokens: Tensor, cache: Cache, length: int, taps: Taps, *, last_only: bool
    ) -> Tensor:
        """As `_step`, for at most `most_rows` tokens, and what the taps read on the way."""
        start, count = cache.length, tokens.shape[0]
        record = new_record(self.architecture, taps, count)
        logits = self._step(native, tokens, cache, length, last_only=last_only, record=record)
        if taps.wants("embedding"):
            taps("embedding", None, record["input"][0])
        for layer, block in enumerate(self.blocks):
            for point in BLOCK_POINTS:
                if not taps.wants(point, layer):
                    continue
                if point == "attention_weights":
                    attention = cast(Block, block).attention
                    mask = visible(start, 0, start + count, attention.window)
                    keys, _ = cache.read(layer, 0, start + count, torch.float32)
                    taps(point, layer, attention.weights(record["queries"][layer], keys, mask))
                elif point in record:
                    taps(point, layer, record[point][layer])
        return taps("logits", None, logits)

    def _step(
        self,
        native: NativeStep,
        tokens: Tensor,
        cache: Cache,
        length: int,
        *,
        last_only: bool,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Some tokens `(T,)` by the native operator: float32 logits `(T or 1, vocabulary)`.

        `record` is for at most `most_rows` tokens.
        """
        start, count = cache.length, tokens.shape[0]
        cache.begin(tokens, length)
        turns = self._turns(start, count, length)
        parts = []
        for first in range(0, count, native.most_rows):
            some = slice(first, first + native.most_rows)
            few = [turn and turn[some] for turn in turns] if count > native.most_rows else turns
            arguments = tokens[some], start + first
            parts.append(native(*arguments, cache, few, last_only=last_only, record=record))
        cache.finish()
        return parts[-1] if last_only or len(parts) == 1 else torch.cat(parts)

    def _turns(self, start: int, count: int, length: int) -> list[Turn | None]:
        """The rotations of the new positions, one for each kind of layer."""
        return [None if table is None else table.turn(start, count, length) for table in self.rotary_tables]

    def _keep_rotation(self, cache: Cache, length: int, taps: Taps | None) -> None:
        """Read the cached tokens anew where the longer (or cut) text has other rotary frequencies."""
        wanted = tuple(regime(rotary, length) for rotary in self._rotaries)
        if cache.regime != wanted and cache.length:
            tokens = cache.tokens[: cache.length].clone()
            cache.truncate(0)
            self._blocks(tokens, cache, length, None if taps is None else taps.edits_only())
        cache.regime = wanted
