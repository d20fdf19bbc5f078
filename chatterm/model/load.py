"""Checkpoint → decoder: every parameter into its place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from chatterm.checkpoint.open import Checkpoint
from chatterm.checkpoint.tensors import read_dense, read_weight, stored_weight
from chatterm.model.attention import Attention
from chatterm.model.block import Block
from chatterm.model.decoder import Decoder
from chatterm.model.feed_forward import FeedForward
from chatterm.model.linear import Linear, make_linear
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.native.tiles import Pool, Tiles, fits
from chatterm.model.norm import Norm
from chatterm.model.precision import cache_type
from chatterm.model.quantise import Quantisation, quantised
from chatterm.model.tiled import TiledLinear


def load_decoder(
    checkpoint: Checkpoint,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    context: int | None = None,
    threads: int | None = None,
    exact: bool = True,
    quantise: Quantisation = "none",
    cache_dtype: torch.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Decoder:
    """Load all weights.

    On a CPU in float32 they stay packed, in tiles of the native operator, if that can be built here and all
    of them fit; else they become plain numbers of `dtype`.

    Args:
        checkpoint: from `open_checkpoint`.
        device: where to compute.
        dtype: of weights and residual stream; float32 is exact.
        context: tokens a cache holds by default; None = what the checkpoint was made for.
        threads: of the native operator; None = as many as torch uses, 0 = do without it.
        exact: see `Decoder`.
        quantise: dense matrices to so few bits; the embedding and the unembedding to int8 at least.
        cache_dtype: in which keys and values are stored; None = `dtype`, but 16 bits for float32 that need
            not be exact, if they are harmless with this checkpoint (`chatterm.model.precision`).
        progress: called with (parameters read, parameters in all) after each.

    Raises:
        UserError: a weight cannot be decoded.
        ValueError: the decoder cannot work with keys and values of `cache_dtype`.
    """
    pool = _native_pool(checkpoint, torch.device(device), dtype, threads)
    tell = progress or (lambda done, total: None)
    loader = _Loader(checkpoint, torch.device(device), dtype, pool, tell, quantise)
    decoder = loader.load(context, exact, cache_dtype)
    if cache_dtype is None and not exact:
        decoder.cache_dtype = cache_type(decoder, checkpoint, quantise)
        if decoder.cache_dtype == decoder.dtype:
            decoder.read_exactly()  # what 16 bits of keys move, 16 bits of what they are made of move too
    return decoder


def _native_pool(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, threads: int | None
) -> Pool | None:
    """Threads of the native operator, or None where it cannot serve this checkpoint."""
    if threads == 0 or device.type != "cpu" or dtype != torch.float32:
        return None
    try:
        library()
    except NotBuiltError:
        return None
    matrices = [name for name, part in checkpoint.layout.items() if len(part.shape) == 2 and _is_matrix(name)]
    if not all(fits(stored_weight(checkpoint, name)) for name in matrices):
        return None
    return Pool(threads or torch.get_num_threads())


def _is_matrix(name: str) -> bool:
    return name.endswith(".weight") and "norm" not in name and name != "positions.weight"


class _Loader:
    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        pool: Pool | None,
        progress: Callable[[int, int], None],
        quantise: Quantisation,
    ) -> None:
        self.quantise = quantise
        self.checkpoint = checkpoint
        self.architecture = checkpoint.architecture
        self.device, self.dtype = device, dtype
        self.pool = pool
        self.progress = progress
        self.done = 0

    def load(self, context: int | None, exact: bool, cache_dtype: torch.dtype | None) -> Decoder:
        a = self.architecture
        embedding = self.linear("embedding")
        positions = self.plain("positions.weight") if a.learned_positions else None
        blocks = [self.block(layer) for layer in range(a.layers)]
        return Decoder(
            a,
            embedding=embedding,
            positions=positions,
            blocks=blocks,
            final_norm=self.norm("final_norm"),
            unembedding=embedding if a.tied else self.linear("unembedding"),
            context=a.context if context is None else context,
            device=self.device,
            dtype=self.dtype,
            exact=exact,
            cache_dtype=cache_dtype,
        ).eval()

    def block(self, layer: int) -> Block:
        a = self.architecture

        def norm(slot: str) -> Norm | None:
            return (
                self.norm(f"{layer}.{slot}") if f"{layer}.{slot}.weight" in self.checkpoint.layout else None
            )

        attention = Attention(
            a,
            layer,
            qkv=self.linear(*(f"{layer}.{slot}" for slot in ("queries", "keys", "values"))),
            output=self.linear(f"{layer}.attention_output"),
            query_norm=norm("query_norm"),
            key_norm=norm("key_norm"),
        )
        into = ("gate", "up") if a.gated else ("up",)
        feed_forward = FeedForward(
            a, layer, up=self.linear(*(f"{layer}.{slot}" for slot in into)), down=self.linear(f"{layer}.down")
        )
        return Block(
            a,
            layer,
            attention=attention,
            feed_forward=feed_forward,
            attention_norm=norm("attention_norm"),
            ffn_norm=norm("ffn_norm"),
            attention_output_norm=norm("attention_output_norm"),
            ffn_output_norm=norm("ffn_output_norm"),
        )

    def linear(self, *names: str) -> Linear:
        weights = [read_weight(self.checkpoint, f"{name}.weight") for name in names]
        edge = names[0] in ("embedding", "unembedding")
        kind = "int8" if edge and self.quantise == "int4" else self.quantise
        weights = [quantised(weight, kind) for weight in weights]
        layout = self.checkpoint.layout
        biases: list[Tensor] = []
        if any(f"{name}.bias" in layout for name in names):
            biases = [
                read_dense(self.checkpoint, f"{name}.bias")
                if f"{name}.bias" in layout
                else torch.zeros(layout[f"{name}.weight"].shape[0])
                for name in names
            ]
        layer: Linear
        if self.pool is None:
            layer = make_linear(weights, biases, dtype=self.dtype, device=self.device)
        else:
            each: list[Tensor | None] = [*biases] if biases else [None] * len(weights)
            pages = self.checkpoint.pages
            layer = TiledLinear([Tiles(*pair, self.pool, pages) for pair in zip(weights, each, strict=True)])
        self.count(sum(f"{name}.{kind}" in layout for name in names for kind in ("weight", "bias")))
        return layer

    def norm(self, name: str) -> Norm:
        a = self.architecture
        weight = read_dense(self.checkpoint, f"{name}.weight", torch.float32) + a.norm_offset
        bias_name = f"{name}.bias"
        has_bias = bias_name in self.checkpoint.layout
        bias = read_dense(self.checkpoint, bias_name, torch.float32).to(self.device) if has_bias else None
        self.count(1 + has_bias)
        return Norm(a.norm, weight.to(self.device), bias, a.norm_eps)

    def plain(self, name: str) -> nn.Parameter:
        weight = read_dense(self.checkpoint, name, self.dtype).to(self.device)
        self.count(1)
        return nn.Parameter(weight, requires_grad=False)

    def count(self, parameters: int) -> None:
        self.done += parameters
        self.progress(self.done, len(self.checkpoint.layout))
