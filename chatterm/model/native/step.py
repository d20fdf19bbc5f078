"""The native operator for one decoder: a few tokens in, logits out."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor

from chatterm.checkpoint.architecture import Activation, Architecture, NormKind, QueryKeyNorm
from chatterm.model.native.binding import RECORDED, Layer, Matrix, Model, Norm, Step
from chatterm.model.native.build import library
from chatterm.model.norm import Norm as NormModule
from chatterm.model.rotary import Turn
from chatterm.model.taps import BLOCK_POINTS, Taps
from chatterm.model.tiled import TiledLinear

if TYPE_CHECKING:
    from chatterm.model.block import Block
    from chatterm.model.decoder import Decoder

_LANES = 16


PHASES = (
    *("embedding", "norms", "queries, keys, values", "rotation", "attention", "attention output"),
    *("gate and up", "down", "residual stream", "unembedding"),
)
"""What a step does one after the other (`engine.h`)."""


class NativeStep:
    """The structures that `step.c` reads. They point into the decoder's own tensors, which it keeps alive."""

    def __init__(self, decoder: Decoder, embedding: TiledLinear, unembedding: TiledLinear) -> None:
        self._decoder = decoder
        a = decoder.architecture
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
            positions=None if decoder.positions is None else decoder.positions.data_ptr(),
            layer=self._layers,
        )
        kinds = 1 + max(decoder.rotary_kind(layer) for layer in range(a.layers))
        self._cosines, self._sines = (ctypes.c_void_p * kinds)(), (ctypes.c_void_p * kinds)()
        self._pool = embedding.parts[0].pool
        self._engine: int | None = None
        self._seconds: ctypes.Array[ctypes.c_double] | None = None
        self._capacity = 0
        self._padded = a.vocabulary + -a.vocabulary % _LANES
        self._step = Step(logits_stride=self._padded, cosines=self._cosines, sines=self._sines)
        self._step_address = ctypes.byref(self._step)
        self._run = library().chatterm_step
        self.most_rows: int = library().chatterm_most_rows()
        """Tokens in one step, at most."""

    def __call__(
        self,
        tokens: Tensor,
        position: int,
        keys: Tensor,
        values: Tensor,
        turns: Sequence[Turn | None],
        *,
        last_only: bool,
        record: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Decode some tokens; each one's logits are the same to the last bit however many come at once.

        Args:
            tokens: ids, `(T,)` int64, 1 ≤ T ≤ `most_rows`.
            position: where the first stands; the cache holds the positions before it.
            keys: the cache, `(layers, kv_heads, capacity, head_size)` float32 or float16; the positions of
                the tokens are written.
            values: likewise.
            turns: the rotation of these positions for each kind of layer.
            last_only: logits after the last token only.
            record: contiguous float32 tensors `(layers, T, …)` by name (`RECORDED`), which are filled with
                what the blocks compute with.

        Returns:
            Float32 logits `(T, vocabulary)`, or `(1, vocabulary)` if `last_only`.

        Raises:
            OverflowError: a key or value is beyond the range of float16. The step can be repeated.
        """
        self._reserve(keys.shape[2])
        tokens = tokens.contiguous()
        count = tokens.shape[0]
        logits = torch.empty(1 if last_only else count, self._padded)
        step = self._step
        step.tokens, step.count, step.position = tokens.data_ptr(), count, position
        step.capacity, step.half = keys.shape[2], keys.dtype == torch.float16
        step.first_logits = count - 1 if last_only else 0
        step.keys, step.values = keys.data_ptr(), values.data_ptr()
        step.logits = logits.data_ptr()
        for kind, turn in enumerate(turns):
            if turn is not None:
                self._cosines[kind], self._sines[kind] = turn.cos.data_ptr(), turn.sin.data_ptr()
        for name in RECORDED:
            wanted = None if record is None else record.get(name)
            setattr(step.record, name, None if wanted is None else wanted.data_ptr())
        if self._run(self._engine, self._step_address):
            raise OverflowError("a key or value is beyond the range of float16")
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
    heads, kv_heads = (a.heads, a.head_size), (a.kv_heads, a.head_size)
    shapes = {"queries": heads, "keys": kv_heads, "values": kv_heads, "heads": heads}
    wanted = {point for point in BLOCK_POINTS if any(taps.wants(point, layer) for layer in range(a.layers))}
    if taps.wants("embedding"):
        wanted.add("input")
    if "attention_weights" in wanted:
        wanted.add("queries")
    if a.parallel:
        wanted.discard("middle")
    record = {}
    for point in RECORDED:
        if point in wanted:
            size = shapes.get(point, (a.ffn_width if point == "activations" else a.width,))
            record[point] = torch.empty(a.layers, count, *size)
    return record


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
    assert norm.weight.is_contiguous()
    return Norm(norm.weight.data_ptr(), None if norm.bias is None else norm.bias.data_ptr())
