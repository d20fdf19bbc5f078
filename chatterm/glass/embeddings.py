"""The space of meanings: nearest tokens, analogies, a map of words.

Nearness is the cosine of the angle between vectors. A matrix over the vocabulary is never unpacked as a
whole: its products with a vector come from the model's own kernel, the lengths of its rows are computed
once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.glass.replay import replay
from chatterm.glass.vocabulary import leading, products, row_lengths
from chatterm.model.decoder import Decoder
from chatterm.model.linear import Linear

Near = list[tuple[int, float]]
"""Tokens and their cosines, nearest first."""


def mean_vector(decoder: Decoder, ids: Sequence[int]) -> Tensor:
    """The mean of the tokens' input embeddings, `(width,)` float32."""
    with torch.inference_mode():
        return decoder.embedding.look_up(torch.tensor(ids, device=decoder.device)).float().mean(0)


def neighbours(decoder: Decoder, ids: Sequence[int], count: int) -> Near:
    """Tokens near the mean of `ids` in the input embedding; these tokens themselves are left out."""
    return _nearest(decoder, decoder.embedding, mean_vector(decoder, ids), count, ids)


def hidden_neighbours(context: Context, position: int, layer: int, count: int) -> Near:
    """Tokens whose rows of the unembedding are near the hidden state after a block.

    The state is taken through the final norm, as the unembedding reads it: the cosine is what is left of the
    lens when neither the length of the token's row nor that of the state counts.
    """
    decoder = context.decoder
    values = replay(context, position, 1, [("output", layer)])
    with torch.inference_mode():
        state = decoder.final_norm(values["output", layer][-1])
        return _nearest(decoder, decoder.unembedding, state, count, ())


def analogy(
    decoder: Decoder,
    a: Sequence[int],
    b: Sequence[int],
    c: Sequence[int],
    count: int,
    without: Collection[int],
) -> Near:
    """Tokens near a − b + c in the input embedding, each vector of length 1 (3CosAdd, arXiv:1301.3781).

    Args:
        decoder: whose embedding.
        a: tokens of the first word; their mean is taken.
        b: of the second.
        c: of the third.
        count: how many tokens.
        without: tokens that are left out.
    """
    first, second, third = (_unit(mean_vector(decoder, ids)) for ids in (a, b, c))
    return _nearest(decoder, decoder.embedding, first - second + third, count, without)


@dataclass(frozen=True)
class Plane:
    """Words in the plane: `places` `(n, 2)`, and the share of the variance along each axis."""

    places: Tensor
    explained: tuple[float, float]


def plane(decoder: Decoder, words: Sequence[Sequence[int]]) -> Plane:
    """The two main components of some words' input embeddings (each the mean of its tokens, of length 1).

    PCA: the vectors are centred, and the singular vectors of the largest singular values span the plane. The
    sign of a component is free; each axis points to where its farthest word is.
    """
    with torch.inference_mode():
        vectors = torch.stack([_unit(mean_vector(decoder, ids)) for ids in words]).double()
        centred = vectors - vectors.mean(0)
        left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
        places = torch.zeros(len(words), 2, dtype=torch.float64)
        shares = torch.zeros(2, dtype=torch.float64)
        found = min(2, len(sizes))
        places[:, :found] = (left * sizes)[:, :found].cpu()
        total = sizes.square().sum()
        if total > 0:
            shares[:found] = (sizes.square() / total)[:found].cpu()
        for axis in places.T:
            axis *= 1.0 if axis[axis.abs().argmax()] >= 0 else -1.0
        return Plane(places, (float(shares[0]), float(shares[1])))


def _nearest(decoder: Decoder, linear: Linear, vector: Tensor, count: int, without: Collection[int]) -> Near:
    with torch.inference_mode():
        along = products(linear, vector[None].to(decoder.dtype))[0]
        lengths = row_lengths(linear) * torch.linalg.vector_norm(vector.float())
        cosines = torch.where(lengths > 0, along / lengths, 0.0)
        ids = [token for token in leading(cosines, count + len(without)) if token not in without][:count]
        return [(token, float(cosines[token])) for token in ids]


def _unit(vector: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(vector)
    return vector / length if length > 0 else vector
