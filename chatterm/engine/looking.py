"""The session's side of looking: from a question to the functions of `chatterm.glass`, and back to records.

A token is shown as `Tokenizer.piece` makes it: byte fragments and control tokens are visible. Counts that are
larger than what there is, or than what an answer may hold, are taken as the most that is possible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from chatterm.engine.words import single_tokens, word_ids
from chatterm.errors import UserError
from chatterm.glass import attention, embeddings
from chatterm.glass.contributions import contributions
from chatterm.glass.lens import Guess, lens
from chatterm.glass.neurons import neurons
from chatterm.glass.ranks import rank_curve
from chatterm.glass.scores import scores
from chatterm.records.generation import Candidate
from chatterm.records.inspection import (
    Analogy,
    AnalogyRead,
    AttentionHead,
    AttentionOverview,
    AttentionOverviewRead,
    AttentionRead,
    Contributions,
    ContributionsRead,
    EmbeddingMap,
    EmbeddingMapRead,
    HeadPatterns,
    HeadPatternsRead,
    HiddenNeighbours,
    Lens,
    LensLayer,
    LensPosition,
    LensRead,
    MapPoint,
    Neighbour,
    Neighbours,
    NeighboursRead,
    Neuron,
    Neurons,
    NeuronsRead,
    RankCurve,
    RankCurveRead,
    Score,
    Scored,
    ScoredToken,
)

if TYPE_CHECKING:
    from chatterm.engine.session import Session

Stopped = Callable[[], bool]

MOST_ROWS = 1000
"""Candidates, neighbours, neurons or points in one answer."""

MOST_NUMBERS = 1 << 20
"""Attention weights or guesses in one answer (9 bytes each on the wire)."""

MOST_WORDS = 500
"""On one map."""


def read_scores(session: Session, question: Score, stopped: Stopped) -> Scored:
    """How probable every token of the prompt was."""
    ids = session.encode(question.prompt).ids
    first = min(max(0, question.first), len(ids) - 1)
    found = scores(session.context, ids, max(1, first), _unless(stopped))
    tokens = [
        ScoredToken(token, session.tokenizer.piece(token), score.logprob, score.rank, score.entropy)
        for token, score in zip(ids[max(1, first) :], found, strict=True)
    ]
    if first == 0:
        tokens.insert(0, ScoredToken(ids[0], session.tokenizer.piece(ids[0]), None, None, None))
    return Scored(tuple(tokens))


def read_rank_curve(session: Session, question: RankCurve, stopped: Stopped) -> RankCurveRead:
    """Next-token probabilities against rank."""
    ids = session.read(question.prompt, stopped)
    logits = session.context.logits_after(len(ids))
    step = session.new_sampler().distribution(logits, ids, question.sampling)
    curve = rank_curve(step, _count(question.points))
    return RankCurveRead(tuple(curve.ranks), tuple(curve.p), tuple(curve.sampled), curve.slope)


def read_lens(session: Session, question: Lens, stopped: Stopped) -> LensRead:
    """Guesses after each block, for the last positions."""
    _check_token(session, question.target)
    ids = session.read(question.prompt, stopped)
    candidates = min(_count(question.candidates), session.info.vocabulary)
    affordable = MOST_NUMBERS // (session.info.layers * (candidates + 4))
    first = len(ids) - max(1, min(question.positions, len(ids), affordable))
    targets = [*ids[first + 1 :], question.target]
    found = lens(session.context, first, targets, candidates, _unless(stopped))
    return LensRead(
        tuple(
            LensPosition(
                position=position,
                token=ids[position],
                text=session.tokenizer.piece(ids[position]),
                target=target,
                target_text=None if target is None else session.tokenizer.piece(target),
                layers=tuple(_lens_layer(session, layer, guess) for layer, guess in enumerate(guesses)),
            )
            for position, (target, guesses) in enumerate(zip(targets, found, strict=True), start=first)
        )
    )


def read_attention_overview(
    session: Session, question: AttentionOverview, stopped: Stopped
) -> AttentionOverviewRead:
    """How every head looks back from the last position."""
    ids = session.read(question.prompt, stopped)
    if question.to is not None and not 0 <= question.to < len(ids):
        raise UserError(f"Position {question.to} does not exist: the text has positions 0 to {len(ids) - 1}.")
    seen = attention.overview(session.context, len(ids) - 1, question.to)
    return AttentionOverviewRead(
        tokens=_pieces(session, ids),
        entropy=_rows(seen.entropy),
        strongest=tuple(tuple(row) for row in seen.strongest.tolist()),
        strongest_weight=_rows(seen.strongest_weight),
        to=question.to,
        weight=None if seen.weight is None else _rows(seen.weight),
        windows=tuple(layer.window for layer in session.decoder.architecture.layer_options),
    )


def read_attention(session: Session, question: AttentionHead, stopped: Stopped) -> AttentionRead:
    """One head's attention: as many of the last queries as asked for, and as an answer may hold."""
    _check_head(session, question.layer, question.head)
    ids = session.read(question.prompt, stopped)
    count = max(1, min(question.rows, len(ids), MOST_NUMBERS // len(ids)))
    first = len(ids) - count
    weights = attention.head_rows(
        session.context, first, count, question.layer, question.head, _unless(stopped)
    )
    window = session.decoder.architecture.layer_options[question.layer].window
    return AttentionRead(_pieces(session, ids), first, _rows(weights), window)


def read_head_patterns(session: Session, question: HeadPatterns, stopped: Stopped) -> HeadPatternsRead:
    """Small maps of the heads of a layer, of a head in all layers, or of a single one."""
    if question.layer is None and question.head is None:
        raise UserError("Say which heads to draw: give a layer, a head, or both.")
    _check_head(session, question.layer or 0, question.head or 0)
    layers = range(session.info.layers) if question.layer is None else [question.layer]
    of_each = range(session.info.heads) if question.head is None else [question.head]
    heads = [(layer, head) for layer in layers for head in of_each]
    ids = session.read(question.prompt, stopped)
    size = max(1, min(question.size, math.isqrt(MOST_NUMBERS // len(heads))))
    maps, pooled = attention.patterns(session.context, len(ids), heads, size, _unless(stopped))
    return HeadPatternsRead(_pieces(session, ids), tuple(heads), tuple(_rows(each) for each in maps), pooled)


def read_contributions(session: Session, question: Contributions, stopped: Stopped) -> ContributionsRead:
    """Which heads and feed-forward layers pushed a token's logit."""
    _check_token(session, question.target)
    _check_token(session, question.against)
    ids = session.read(question.prompt, stopped)
    shares = contributions(session.context, len(ids) - 1, question.target, question.against)
    against = question.against
    return ContributionsRead(
        token=shares.token,
        text=session.tokenizer.piece(shares.token),
        against=against,
        against_text=None if against is None else session.tokenizer.piece(against),
        logit=shares.logit,
        capped=shares.capped,
        embedding=shares.embedding,
        heads=_rows(shares.heads),
        mlps=tuple(shares.mlps.tolist()),
        bias=shares.bias,
    )


def read_neurons(session: Session, question: Neurons, stopped: Stopped) -> NeuronsRead:
    """The most active neurons at the last position."""
    _check_head(session, question.layer or 0, 0)
    ids = session.read(question.prompt, stopped)
    found = neurons(
        session.context, len(ids) - 1, question.layer, _count(question.count), _count(question.tokens)
    )

    def words(pairs: Iterable[tuple[int, float]]) -> tuple[tuple[str, float], ...]:
        return tuple((session.tokenizer.piece(token), logit) for token, logit in pairs)

    return NeuronsRead(
        neurons=tuple(
            Neuron(
                layer=each.layer,
                neuron=each.neuron,
                activation=each.activation,
                strength=each.strength,
                promotes=words(each.promotes),
                suppresses=words(each.suppresses),
            )
            for each in found.neurons
        ),
        active=tuple(found.active),
    )


def read_neighbours(session: Session, question: Neighbours) -> NeighboursRead:
    """Tokens near a word in the input embedding."""
    ids = word_ids(session.tokenizer, question.word)
    near = embeddings.neighbours(session.decoder, ids, _count(question.count))
    return NeighboursRead("".join(_pieces(session, ids)), tuple(ids), None, _neighbours(session, near))


def read_hidden_neighbours(session: Session, question: HiddenNeighbours, stopped: Stopped) -> NeighboursRead:
    """Tokens whose unembedding is near the hidden state after a block."""
    _check_head(session, question.layer, 0)
    ids = session.read(question.prompt, stopped)
    near = embeddings.hidden_neighbours(session.context, len(ids) - 1, question.layer, _count(question.count))
    last = ids[-1]
    return NeighboursRead(session.tokenizer.piece(last), (last,), question.layer, _neighbours(session, near))


def read_analogy(session: Session, question: Analogy) -> AnalogyRead:
    """What lies near a − b + c. The three words are left out, with and without a space before them."""
    words = (question.a, question.b, question.c)
    a, b, c = (word_ids(session.tokenizer, word) for word in words)
    without = set().union(a, b, c, *(single_tokens(session.tokenizer, word) for word in words))
    near = embeddings.analogy(session.decoder, a, b, c, _count(question.count), without)
    first, second, third = ("".join(_pieces(session, ids)) for ids in (a, b, c))
    return AnalogyRead(first, second, third, _neighbours(session, near))


def read_map(session: Session, question: EmbeddingMap) -> EmbeddingMapRead:
    """Words in the plane of their two main components."""
    if not 2 <= len(question.words) <= MOST_WORDS:
        raise UserError(f"A map needs 2 to {MOST_WORDS} words, not {len(question.words)}.")
    plane = embeddings.plane(session.decoder, [word_ids(session.tokenizer, word) for word in question.words])
    points = zip(question.words, plane.places.tolist(), strict=True)
    return EmbeddingMapRead(tuple(MapPoint(word, x, y) for word, (x, y) in points), plane.explained)


def _lens_layer(session: Session, layer: int, guess: Guess) -> LensLayer:
    pairs = zip(guess.ids, guess.logprobs, strict=True)
    return LensLayer(
        layer=layer,
        entropy=guess.entropy,
        candidates=tuple(
            Candidate(token, session.tokenizer.piece(token), logprob, rank, math.exp(logprob), None)
            for rank, (token, logprob) in enumerate(pairs, start=1)
        ),
        target_p=None if guess.target_logprob is None else math.exp(guess.target_logprob),
        target_rank=guess.target_rank,
    )


def _neighbours(session: Session, near: embeddings.Near) -> tuple[Neighbour, ...]:
    return tuple(Neighbour(token, session.tokenizer.piece(token), cosine) for token, cosine in near)


def _pieces(session: Session, ids: Sequence[int]) -> tuple[str, ...]:
    return tuple(session.tokenizer.piece(token) for token in ids)


def _rows(values: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def _count(asked: int) -> int:
    return max(1, min(asked, MOST_ROWS))


def _unless(stopped: Stopped) -> Callable[[], None]:
    def go_on() -> None:
        if stopped():
            raise UserError("Stopped before the answer was there.")

    return go_on


def _check_token(session: Session, token: int | None) -> None:
    if token is not None and not 0 <= token < session.info.vocabulary:
        last = session.info.vocabulary - 1
        raise UserError(f"Token {token} does not exist: {session.info.name} has tokens 0 to {last}.")


def _check_head(session: Session, layer: int, head: int) -> None:
    for what, number, count in (("Layer", layer, session.info.layers), ("Head", head, session.info.heads)):
        if not 0 <= number < count:
            raise UserError(
                f"{what} {number} does not exist: {session.info.name} has {what.lower()}s 0 to {count - 1}."
            )
