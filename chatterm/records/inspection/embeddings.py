"""Words near each other."""

from __future__ import annotations

import msgspec

from chatterm.records.generation import Prompt
from chatterm.records.inspection.question import Question


class Neighbour(msgspec.Struct, frozen=True, array_like=True):
    """A token and how near it is."""

    id: int
    text: str
    cosine: float


class NeighboursRead(msgspec.Struct, frozen=True, tag="neighbours-read"):
    """The nearest tokens, nearest first."""

    of: str
    ids: tuple[int, ...]  # the tokens of the word whose mean was taken
    layer: int | None
    neighbours: tuple[Neighbour, ...]


class Neighbours(Question[NeighboursRead], frozen=True, tag="neighbours"):
    """Tokens near a word in the input embedding, by cosine; a word of several tokens is their mean."""

    word: str
    count: int = 10


class HiddenNeighbours(Question[NeighboursRead], frozen=True, tag="hidden-neighbours"):
    """Tokens whose unembedding is nearest (cosine) to the hidden state after block `layer`, last position."""

    prompt: Prompt
    layer: int
    count: int = 10


class AnalogyRead(msgspec.Struct, frozen=True, tag="analogy-read"):
    """What lies near a − b + c; the three words themselves are left out."""

    a: str
    b: str
    c: str
    neighbours: tuple[Neighbour, ...]


class Analogy(Question[AnalogyRead], frozen=True, tag="analogy"):
    """a − b + c in the input embedding (each vector of length 1, as in word2vec's 3CosAdd)."""

    a: str
    b: str
    c: str
    count: int = 10


class MapPoint(msgspec.Struct, frozen=True, array_like=True):
    """A word's place."""

    word: str
    x: float
    y: float


class EmbeddingMapRead(msgspec.Struct, frozen=True, tag="embedding-map-read"):
    """Places of words in the plane."""

    points: tuple[MapPoint, ...]
    explained: tuple[float, float]  # share of the variance along x and y


class EmbeddingMap(Question[EmbeddingMapRead], frozen=True, tag="embedding-map"):
    """Words in the plane of the two main components of their (centred, unit-length) input embeddings."""

    words: tuple[str, ...]
