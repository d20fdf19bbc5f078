"""What the engine without a model answers about its inside: made up, but it adds up.

Rows of attention sum to 1, contributions sum to the logit, the last lens is the distribution itself.
"""

from __future__ import annotations

import math
import zlib

import scripted_model as made_up
from scripted_model import distribution, logits

from chatterm.chat.edits import words
from chatterm.engine.protocol import EngineError
from chatterm.records.inspection import (
    Analogy,
    AnalogyRead,
    ApplyEdits,
    AttentionHead,
    AttentionOverview,
    AttentionOverviewRead,
    AttentionRead,
    Compare,
    Compared,
    ComparedToken,
    Contributions,
    ContributionsRead,
    EditsApplied,
    EmbeddingMap,
    EmbeddingMapRead,
    HeadPatterns,
    HeadPatternsRead,
    HiddenNeighbours,
    Identity,
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
    SelfCheck,
    SelfChecked,
)
from chatterm.sampling import SamplingParameters

LAYERS, HEADS, WINDOW = 30, 9, 16
PLAIN = SamplingParameters(temperature=1.0)


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but `parts`."""
    return (zlib.crc32(":".join(map(str, parts)).encode()) % 10_000) / 10_000


def text(number: int) -> str:
    return made_up.WORDS[number % len(made_up.WORDS)]


def script(target: int | None) -> str | None:
    return text(target) if target is not None else None


def weights(layer: int, head: int, row: int) -> tuple[float, ...]:
    """How position `row` looks back; every third layer sees only a window."""
    window = WINDOW if layer % 3 == 2 else row + 1
    raw = [
        0.0 if row - p >= window else chance(layer, head, row, p) ** 3 + 2 * (p == 0) for p in range(row + 1)
    ]
    total = math.fsum(raw)
    return tuple(value / total for value in raw)


def lens(question: Lens) -> LensRead:
    positions = []
    ids = question.prompt.ids
    for last in range(len(ids) - question.positions, len(ids)):
        target = ids[last + 1] if last + 1 < len(ids) else question.target
        target = target % len(made_up.WORDS) if target is not None else None
        layers = []
        for layer in range(LAYERS):
            sure = script(target) if layer > LAYERS // 2 else None
            place = last + 1 if layer == LAYERS - 1 else 1000 + 7 * layer + last
            there = distribution(place, sure, PLAIN, len(made_up.WORDS))
            hit = next((c for c in there.candidates if c.id == target), None)
            layers.append(
                LensLayer(
                    layer,
                    there.entropy,
                    there.candidates[: question.candidates],
                    hit.p if hit else None,
                    hit.rank if hit else None,
                )
            )
        followed = text(target) if target is not None else None
        positions.append(LensPosition(last, ids[last], text(ids[last]), target, followed, tuple(layers)))
    return LensRead(tuple(positions))


def overview(question: AttentionOverview) -> AttentionOverviewRead:
    ids = question.prompt.ids
    rows = [[weights(layer, head, len(ids) - 1) for head in range(HEADS)] for layer in range(LAYERS)]

    def each(measure):
        return tuple(tuple(measure(row) for row in heads) for heads in rows)

    return AttentionOverviewRead(
        tokens=tuple(map(text, ids)),
        entropy=each(lambda row: -math.fsum(w * math.log(w) for w in row if w > 0)),
        strongest=each(lambda row: row.index(max(row))),
        strongest_weight=each(max),
        to=question.to,
        weight=each(lambda row: row[question.to]) if question.to is not None else None,
        windows=tuple(WINDOW if layer % 3 == 2 else None for layer in range(LAYERS)),
    )


def square(layer: int, head: int, size: int) -> tuple[tuple[float, ...], ...]:
    return tuple(weights(layer, head, row) + (0.0,) * (size - row - 1) for row in range(size))


def attention(question: AttentionHead) -> AttentionRead:
    ids = question.prompt.ids
    first = len(ids) - min(question.rows, len(ids))
    rows = square(question.layer, question.head, len(ids))[first:]
    window = WINDOW if question.layer % 3 == 2 else None
    return AttentionRead(tuple(map(text, ids)), first, rows, window)


def contributions(question: Contributions) -> ContributionsRead:
    position = len(question.prompt.ids)
    scores = logits(position, script(question.target))
    target = question.target if question.target is not None else scores.index(max(scores))
    target %= len(made_up.WORDS)
    against = question.against % len(made_up.WORDS) if question.against is not None else None
    logit = scores[target] - (scores[against] if against is not None else 0.0)
    heads = [
        [chance("head", layer, head, position, target, against) - 0.5 for head in range(HEADS)]
        for layer in range(LAYERS)
    ]
    mlps = [3 * (chance("mlp", layer, position, target, against) - 0.5) for layer in range(LAYERS)]
    rest = logit - math.fsum([*mlps, *(value for layer in heads for value in layer)]) - 0.25
    mlps[-1] += rest
    return ContributionsRead(
        target,
        made_up.WORDS[target],
        against,
        made_up.WORDS[against] if against is not None else None,
        logit,
        None,
        0.25,
        tuple(map(tuple, heads)),
        tuple(mlps),
        0.0,
    )


def neurons(question: Neurons) -> NeuronsRead:
    layers = range(LAYERS) if question.layer is None else (question.layer,)
    position = len(question.prompt.ids)
    found = []
    for layer in layers:
        for number in range(0, 1536, 97):
            activation = 8 * (chance(layer, number, position) - 0.4)
            names = [int(chance(layer, number, k) * len(made_up.WORDS)) for k in range(2 * question.tokens)]
            pushes = [(text(name), 3.0 - 0.3 * k) for k, name in enumerate(names[: question.tokens])]
            pulls = [(text(name), 0.3 * k - 2.0) for k, name in enumerate(names[question.tokens :])]
            found.append(
                Neuron(layer, number, activation, abs(activation) * 2, tuple(pushes), tuple(pulls[:4]))
            )
    found.sort(key=lambda neuron: -neuron.strength)
    return NeuronsRead(
        tuple(found[: question.count]), tuple(int(40 + 200 * chance(n)) for n in range(LAYERS))
    )


def near(name: str, count: int) -> tuple[Neighbour, ...]:
    found = [
        Neighbour(n, word, chance("near", name, word)) for n, word in enumerate(made_up.WORDS) if word != name
    ]
    return tuple(sorted(found, key=lambda one: -one.cosine)[:count])


def compare(question: Compare) -> Compared:
    position = len(question.prompt.ids)
    clean = distribution(position, " the", question.sampling, question.candidates)
    edited = distribution(position, " a", question.sampling, question.candidates)
    one = [" the", " sea", ".", "\n"][: question.max_tokens]
    other = [" the", " moon", " and", " 苹果"[1:], "."][: question.max_tokens]
    kl = [0.01, 0.4, 1.25, 0.0]
    return Compared(
        tuple(map(words, question.edits)),
        clean,
        edited,
        0.01,
        tuple(ComparedToken(made_up.WORDS.index(w), w, -0.2 * n) for n, w in enumerate(one)),
        tuple(ComparedToken(made_up.WORDS.index(w), w, -0.3 * n) for n, w in enumerate(other)),
        tuple(kl[: len(one)]),
    )


def answer(question: object) -> object:
    """The answer to any question of the glass box but scores and rank curves."""
    match question:
        case Lens():
            return lens(question)
        case AttentionOverview():
            return overview(question)
        case AttentionHead():
            return attention(question)
        case HeadPatterns():
            size = min(question.size, len(question.prompt.ids))
            heads = tuple((question.layer or 0, head) for head in range(HEADS))
            maps = tuple(square(layer, head, size) for layer, head in heads)
            pooled = -(-len(question.prompt.ids) // question.size)
            return HeadPatternsRead(tuple(map(text, question.prompt.ids)), heads, maps, pooled)
        case Contributions():
            return contributions(question)
        case Neurons():
            return neurons(question)
        case Neighbours():
            return NeighboursRead(question.word, (0,), None, near(question.word, question.count))
        case HiddenNeighbours():
            of = text(question.prompt.ids[-1])
            return NeighboursRead(of, (0,), question.layer, near(f"{of}{question.layer}", question.count))
        case Analogy():
            return AnalogyRead(
                question.a, question.b, question.c, near(question.a + question.b + question.c, question.count)
            )
        case EmbeddingMap():
            points = [MapPoint(word, chance(word, "x"), chance(word, "y")) for word in question.words]
            return EmbeddingMapRead(tuple(points), (0.4, 0.2))
        case ApplyEdits():
            if any(edit.layer >= LAYERS for edit in question.edits):
                raise EngineError(f"There is no such layer; they are numbered from 0 to {LAYERS - 1}.")
            return EditsApplied(tuple(map(words, question.edits)))
        case Compare():
            return compare(question)
        case SelfCheck():
            return SelfChecked(
                (
                    Identity("the lens after the last block is the logits", 3e-6, 1e-4, "logit"),
                    Identity("attention rows sum to 1", 2e-3, 1e-5, "probability"),
                )
            )
    raise EngineError("The scripted engine cannot look inside.")
