"""Walking over the vocabulary: logits of many hidden states, lengths of rows, the leading tokens.

A vocabulary has up to 262 000 tokens. Packed weights are unpacked a few thousand rows at a time, and logits
of at most `MOST_LOGITS` numbers are held at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from chatterm.decode.samplers.candidates import LOWEST, largest
from chatterm.model.decoder import Decoder
from chatterm.model.linear import Linear

ROWS = 2048
"""Rows of a matrix unpacked at once; small enough for the processor's cache."""

MOST_LOGITS = 1 << 23
"""Logits held at once (32 MiB in float32)."""

_lengths: WeakKeyDictionary[Linear, Tensor] = WeakKeyDictionary()


def row_parts(linear: Linear) -> Iterator[tuple[int, Tensor]]:
    """All rows of a matrix, some at a time: (index of the first, `(count, in_features)`)."""
    for first in range(0, linear.out_features, ROWS):
        yield first, linear.rows(first, min(first + ROWS, linear.out_features))


def products(linear: Linear, x: Tensor) -> Tensor:
    """`x @ W.T` without the bias, `(N, in_features)` → `(N, out_features)` float32."""
    if x.shape[0] == 1:
        out: Tensor = linear(x).float()
        return out if linear.bias is None else out - linear.bias
    out = torch.empty(x.shape[0], linear.out_features, device=x.device)
    for first, rows in row_parts(linear):
        out[:, first : first + rows.shape[0]] = (x @ rows.T).float()
    return out


def logits_of(decoder: Decoder, x: Tensor) -> Tensor:
    """`Decoder.unembed` for several hidden states `(N, width)`: float32 logits `(N, vocabulary)`."""
    if x.shape[0] == 1:
        return decoder.unembed(x)
    plain = products(decoder.unembedding, decoder.final_norm(x))
    bias = decoder.unembedding.bias
    return decoder.to_logits(plain if bias is None else plain + bias)


def logits_in_parts(decoder: Decoder, x: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Logits of hidden states `(N, width)`, a few at a time: (index of the first, `(n, vocabulary)`)."""
    size = max(1, MOST_LOGITS // decoder.architecture.vocabulary)
    for first in range(0, x.shape[0], size):
        yield first, logits_of(decoder, x[first : first + size])


def row_lengths(linear: Linear) -> Tensor:
    """The Euclidean length of each row of a matrix, `(out_features,)` float32; kept."""
    lengths = _lengths.get(linear)
    if lengths is None:
        # One place for all of them, made first: small tensors that are kept between large ones that are not
        # would each hold on to the memory of one, together as much as the unpacked matrix.
        lengths = torch.empty(linear.out_features, device=linear.rows(0, 1).device)
        for first, rows in row_parts(linear):
            torch.linalg.vector_norm(rows.float(), dim=-1, out=lengths[first : first + rows.shape[0]])
        _lengths[linear] = lengths
    return lengths


def leading(values: Tensor, count: int) -> list[int]:
    """Indices of the `count` largest of `values` `(V,)`, largest first, equal ones by index."""
    found: list[int] = largest(values.cpu().numpy(), count).tolist()
    return found


def rank(values: Tensor, token: int) -> int:
    """1 for the largest of `values` `(V,)`; of equal ones the lowest index comes first."""
    value = values[token]
    return 1 + int((values > value).sum()) + int((values[:token] == value).sum())


def entropy(logprobs: Tensor) -> Tensor:
    """−Σ p ln p over the last dimension, in nats."""
    products_: Tensor = logprobs.exp() * logprobs.clamp_min(LOWEST)  # 0 · −∞ is meant to be 0
    return -products_.sum(-1)
