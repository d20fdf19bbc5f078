"""The native operator for one decoder: a few tokens in, logits out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, get_args

import torch
from torch import Tensor

from chatterm.checkpoint.architecture import Activation, Architecture, NormKind, QueryKeyNorm
from chatterm.model.native.binding import RECORDED, Layer, Matrix, Model, Norm, Step
from chatterm.model.native.build import library
from chatterm.model.native.checked import address, indices_address
from chatterm.model.norm import Norm as NormModule
from chatterm.model.rotary import Turn
from chatterm.model.taps import BLOCK_POINTS, Taps
from chatterm.model.tiled import TiledLinear
from chatterm.model.vectors import NARROW

if TYPE_CHECKING:
    from chatterm.model.block import Block
    from chatterm.model.cache import Cache
    from chatterm.model.decoder import Decoder

_LANES = 16
_CHUNK = 128
"""Positions that attention takes at once (`attend.h`): none may hold both what is shared and what is not."""


PHASES = (
    *("embedding", "norms", "queries, keys, values", "rotation", "attention", "attention output"),
    *("gate and up", "down", "residual stream", "unembedding"),
)
"""What a step does one after the other (`engine.h`)."""


class Places(NamedTuple):
    """Where the tokens of a step stand, which may belong to several texts with the same beginning."""

    shared: int  # positions of the beginning
    positions: Sequence[int]  # of each token in its text
    slots: Sequence[int]  # where in the cache its keys and values go
    starts: Sequence[int]  # where there its text goes on behind the beginning


class NativeStep:
    """The structures that `step.c` reads. They point into the decoder's own tensors, which it keeps alive."""

    def __init__(self, decoder: Decoder, embedding: TiledLinear, unembedding: TiledLinear) -> None:
        self._decoder = decoder
        a = decoder.architecture
        positions = decoder.positions
        if positions is not None:
            address(positions, "learned positions", (a.context, a.width), torch.float32)
        self._layers = (Layer * a.layers)()
        for layer, block in zip(self._layers, decoder.blocks, strict=True):
            _fill_layer(layer, block, decoder)  # type: ignore[arg-type]
        rotaries = [options.rotary for options in a.layer_options if options.rotary is not None]
        self._model = Model(
            layers=a.layers,
            width=a.width,
            heads=a.heads,
            kv_heads=a.kv_heads,
            head_size=a.head_size,
            ffn_width=a.ffn_width,
            vocabulary=a.vocabulary,
            rotary_dimensions=rotaries[0].dimensions if rotaries else 0,
            norm_kind=get_args(NormKind).index(a.norm),
            activation=get_args(Activation).index(a.activation),
            gated=a.gated,
            parallel=a.parallel,
            shared_norm=a.shared_norm,
            query_key_norm=0
            if a.query_key_norm is None
            else 1 + get_args(QueryKeyNorm).index(a.query_key_norm),
            norm_eps=a.norm_eps,
            attention_soft_cap=a.attention_soft_cap or 0.0,
            logit_soft_cap=a.logit_soft_cap or 0.0,
            embedding_scale=a.embedding_scale,
            residual_scale=a.residual_scale,
            logit_scale=a.logit_scale,
            embedding=embedding.parts[0].matrix,
            unembedding=unembedding.parts[0].matrix,
            final_norm=_norm(decoder.final_norm),
            positions=None if positions is None else positions.data_ptr(),
            layer=self._layers,
        )
        kinds = 1 + max(decoder.rotary_kind(layer) for layer in range(a.layers))
        self._cosines, self._sines = (ctypes.c_void_p * kinds)(), (ctypes.c_void_p * kinds)()
        self._turned = {
            decoder.rotary_kind(layer)
            for layer in range(a.layers)
            if a.layer_options[layer].rotary is not None
        }
        self._pool = embedding.parts[0].pool
        self._engine: int | None = None
        self._seconds: ctypes.Array[ctypes.c_double] | None = None
        self._capacity = 0
        self._padded = a.vocabulary + -a.vocabulary % _LANES
        self.most_rows: int = library().chatterm_most_rows()
        """Tokens in one step, at most."""
        self._positions, self._slots, self._starts = ((ctypes.c_int32 * self.most_rows)() for _ in range(3))
        self._step = Step(logits_stride=self._padded, cosines=self._cosines, sines=self._sines)
        self._step_address = ctypes.byref(self._step)
        self._step.positions, self._step.slots, self._step.starts = map(
            ctypes.addressof, (self._positions, self._slots, self._starts)
        )
        self._run = library().chatterm_step

    def __call__(
        self,
        tokens: Tensor,
        places: int | Places,
        cache: Cache,
        turns: Sequence[Turn | None],
        *,
        last_only: bool,
        record: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Decode some tokens; each one's logits are the same to the last bit however many come at once.

        Args:
            tokens: ids, `(T,)` int64, 1 ≤ T ≤ `most_rows`.
            places: where they stand; a number is where the first of consecutive ones does, of a text whose
                positions before it are in the cache.
            cache: of float32 or narrow numbers, with room for the tokens, whose positions are written.
            turns: the rotation of these positions for each kind of layer.
            last_only: logits after the last token only.
            record: contiguous float32 tensors `(layers, T, …)` by name (`RECORDED`), which are filled with
                what the blocks compute with.

        Returns:
            Float32 logits `(T, vocabulary)`, or `(1, vocabulary)` if `last_only`.

        Raises:
            ValueError: something is not of the type, shape or place that the operator reads.
        """
        tokens = tokens.contiguous()
        count = tokens.numel()
        if not 1 <= count <= self.most_rows:
            raise ValueError(f"a step is for 1 to {self.most_rows} tokens, not {count}")
        step = self._step
        step.tokens = indices_address(tokens, "tokens", count, self._model.vocabulary)
        step.count = count
        if isinstance(places, int):
            several = range(places, places + count)
            places = Places(places, several, several, (places,) * count)
        self._set_places(places, count)
        step.first_logits = count - 1 if last_only else 0
        self._set_cache(cache, 1 + max(places.slots))
        self._set_turns(turns, count)
        self._set_record(record or {}, count)
        logits = torch.empty(1 if last_only else count, self._padded)
        step.logits = logits.data_ptr()
        self._reserve(step.capacity)
        self._run(self._engine, self._step_address)
        return logits[:, : self._model.vocabulary]

    def watch(self) -> None:
        """From now on, keep the time of each phase; what was kept is forgotten."""
        self._seconds = (ctypes.c_double * len(PHASES))()
        if self._engine is not None:
            library().chatterm_watch(self._engine, self._seconds)

    @property
    def seconds(self) -> dict[str, float]:
        """Of all steps since `watch`, by phase; on several threads the time until the last is done."""
        return {} if self._seconds is None else dict(zip(PHASES, self._seconds, strict=True))

    def _set_places(self, places: Places, count: int) -> None:
        """Where the tokens stand."""
        a, shared = self._decoder.architecture, places.shared
        if not len(places.positions) == len(places.slots) == len(places.starts) == count:
            raise ValueError(f"there are places for other than {count} tokens")
        for position, slot, start in zip(places.positions, places.slots, places.starts, strict=True):
            own = position - shared
            apart = start == shared or start >= -(-shared // _CHUNK) * _CHUNK
            if shared < 0 or own < 0 or slot != start + own or not apart:
                raise ValueError(
                    f"a token at {position} of {shared} shared ones cannot lie at {slot} from {start} on"
                )
        if a.learned_positions and max(places.positions) >= a.context:
            raise ValueError(f"there are {a.context} learned positions, not {1 + max(places.positions)}")
        self._step.shared = shared
        self._positions[:count] = places.positions
        self._slots[:count] = places.slots
        self._starts[:count] = places.starts

    def _set_cache(self, cache: Cache, length: int) -> None:
        """Where keys and values of `length` positions are."""
        a, step = self._decoder.architecture, self._step
        keys, values = cache.keys, cache.values
        capacity = keys.shape[2]
        if length > capacity:
            raise ValueError(f"positions up to {length} do not fit into a cache of {capacity}")
        vectors = (a.layers, a.kv_heads, capacity)
        step.capacity, step.narrow = capacity, keys.dtype == NARROW
        step.keys = address(keys, "keys", (*vectors, a.head_size), torch.float32, NARROW)
        step.values = address(values, "values", (*vectors, a.head_size), keys.dtype)
        step.key_scales = step.value_scales = None
        if step.narrow:
            if cache.key_scales is None or cache.value_scales is None:
                raise ValueError("16-bit keys and values need their scales")
            step.key_scales = address(cache.key_scales, "the keys' scales", vectors, torch.float32)
            step.value_scales = address(cache.value_scales, "the values' scales", vectors, torch.float32)

    def _set_turns(self, turns: Sequence[Turn | None], count: int) -> None:
        """Where the rotations of `count` positions are."""
        if len(turns) != len(self._cosines):
            raise ValueError(f"there are {len(self._cosines)} kinds of layers, not {len(turns)}")
        for kind, turn in enumerate(turns):
            if turn is None:
                if kind in self._turned:
                    raise ValueError(f"layers of kind {kind} are rotated, and there is no rotation for them")
                continue
            shape = (count, 1, self._model.rotary_dimensions)
            self._cosines[kind] = address(turn.cos, "cosines", shape, torch.float32)
            self._sines[kind] = address(turn.sin, "sines", shape, torch.float32)

    def _set_record(self, record: Mapping[str, Tensor], count: int) -> None:
        """Where to write down what the blocks compute with."""
        for name in RECORDED:
            wanted = record.get(name)
            place = None
            if wanted is not None:
                shape = recorded_shape(self._decoder.architecture, name, count)
                place = address(wanted, f"the record of {name}", shape, torch.float32)
            setattr(self._step.record, name, place)

    def _reserve(self, capacity: int) -> None:
        """Scratch memory for that many positions."""
        if capacity <= self._capacity and self._engine is not None:
            return
        self._release()
        self._engine = library().chatterm_engine(ctypes.byref(self._model), self._pool.handle, capacity)
        if not self._engine:
            raise MemoryError("no memory for the native operator")
        self._capacity = capacity
        library().chatterm_watch(self._engine, self._seconds)

    def _release(self) -> None:
        if self._engine:
            library().chatterm_end_engine(self._engine)
        self._engine = None

    def __del__(self) -> None:
        if getattr(self, "_engine", None):
            self._release()


def new_record(architecture: Architecture, taps: Taps, count: int) -> dict[str, Tensor]:
    """Memory for what taps read of `count` tokens in a step, `(layers, count, …)` by tap point."""
    a = architecture
    wanted = {point for point in BLOCK_POINTS if any(taps.wants(point, layer) for layer in range(a.layers))}
    if taps.wants("embedding"):
        wanted.add("input")
    if "attention_weights" in wanted:
        wanted.add("queries")
    if a.parallel:
        wanted.discard("middle")
    return {point: torch.empty(recorded_shape(a, point, count)) for point in RECORDED if point in wanted}


def recorded_shape(architecture: Architecture, point: str, count: int) -> tuple[int, ...]:
    """`(layers, count, …)`: of what is recorded at a tap point of `count` tokens."""
    a = architecture
    heads, kv_heads = (a.heads, a.head_size), (a.kv_heads, a.head_size)
    shapes = {"queries": heads, "keys": kv_heads, "values": kv_heads, "heads": heads}
    size = shapes.get(point, (a.ffn_width if point == "activations" else a.width,))
    return (a.layers, count, *size)


def native_step(decoder: Decoder) -> NativeStep | None:
    """The operator for a decoder, or None where some weight is not in tiles."""
    linears = [module for module in decoder.modules() if hasattr(module, "out_features")]
    embedding, unembedding = decoder.embedding, decoder.unembedding
    if not all(isinstance(linear, TiledLinear) for linear in linears):
        return None
    assert isinstance(embedding, TiledLinear) and isinstance(unembedding, TiledLinear)
    return NativeStep(decoder, embedding, unembedding)


def _fill_layer(layer: Layer, block: Block, decoder: Decoder) -> None:
    options = decoder.architecture.layer_options[block.layer]
    layer.queries, layer.keys, layer.values = _matrices(block.attention.qkv)
    (layer.output,) = _matrices(block.attention.output)
    *gate, layer.up = _matrices(block.feed_forward.up)
    if gate:
        (layer.gate,) = gate
    (layer.down,) = _matrices(block.feed_forward.down)
    layer.attention_norm = _norm(block.attention_norm)
    layer.ffn_norm = _norm(block.ffn_norm)
    layer.attention_output_norm = _norm(block.attention_output_norm)
    layer.ffn_output_norm = _norm(block.ffn_output_norm)
    layer.query_norm = _norm(block.attention.query_norm)
    layer.key_norm = _norm(block.attention.key_norm)
    layer.rotary = -1 if options.rotary is None else decoder.rotary_kind(block.layer)
    layer.window = options.window or 0
    layer.attention_scale = options.attention_scale


def _matrices(linear: object) -> list[Matrix]:
    assert isinstance(linear, TiledLinear)
    return [part.matrix for part in linear.parts]


def _norm(norm: NormModule | None) -> Norm:
    if norm is None:
        return Norm(None, None)
    shape = norm.weight.shape
    weight = address(norm.weight, "a norm's weights", shape, torch.float32)
    bias = None if norm.bias is None else address(norm.bias, "a norm's biases", shape, torch.float32)
    return Norm(weight, bias)
