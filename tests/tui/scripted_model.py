"""A made-up model: a small vocabulary, and scores of its words at each place, with a real softmax."""

from __future__ import annotations

import contextlib
import math
import zlib
from collections.abc import Iterator

from chatterm.records.generation import Candidate, Distribution, Removal
from chatterm.sampling import SamplingParameters

WORDS = (
    " the", " its", " a", " our", "The", "苹果", "是", "水果", "。", "\n", "\n\n", " sea", " ocean",
    "'s", " mirror", ",", " reflecting", " beauty", " of", " waves", " light", ".", " deep", " blue",
    " quiet", " song", " salt", " wind", " moon", " tide", " and", " calls", " home", " to", " all",
    " who", " listen", "<0xE4>", "<|im_end|>",
)  # fmt: skip
HAIKU = [
    "The", " ocean", "'s", " mirror", ",", "\n",
    " reflecting", " the", " beauty", " of", "\n",
    " the", " deep", " blue", " moon", ".",
]  # fmt: skip
CHINESE = ["苹果", "是", "水果", "。"]


@contextlib.contextmanager
def vocabulary(words: tuple[str, ...]) -> Iterator[None]:
    """Other words than `WORDS`, for a while; whoever reads them here sees them."""
    global WORDS
    before, WORDS = WORDS, words
    try:
        yield
    finally:
        WORDS = before


def logits(position: int, script: str | None) -> list[float]:
    """Scores of all words at a position; the scripted word is high, but not always the highest."""
    noise = [(zlib.crc32(f"{position}:{number}".encode()) % 1000) / 170 for number in range(len(WORDS))]
    if script is not None:
        number = WORDS.index(script)
        noise[number] = 4.6 + (zlib.crc32(f"lift{position}".encode()) % 1000) / 250
    return noise


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]


def distribution(
    position: int, script: str | None, sampling: SamplingParameters, count: int, also: tuple[int, ...] = ()
) -> Distribution:
    scores = logits(position, script)
    model = softmax(scores)
    ranked = sorted(range(len(WORDS)), key=lambda number: -model[number])
    removed_by: dict[int, str] = {}
    alive = list(ranked)

    def cut(step: str, keep: int) -> None:
        nonlocal alive
        removed_by.update(dict.fromkeys(alive[max(1, keep) :], step))
        alive = alive[: max(1, keep)]

    if sampling.top_k:
        cut("top_k", sampling.top_k)
    if sampling.top_p < 1:
        total, keep = 0.0, 0
        for number in alive:
            total, keep = total + model[number], keep + 1
            if total >= sampling.top_p:
                break
        cut("top_p", keep)
    if sampling.min_p > 0:
        cut("min_p", sum(model[number] >= sampling.min_p * model[ranked[0]] for number in alive))
    if sampling.temperature == 0:
        cut("temperature", 1)
        drawn = [1.0]
    else:
        drawn = softmax([scores[number] / sampling.temperature for number in alive])
    sampled = dict(zip(alive, drawn, strict=True))
    steps = [step for step in ("top_k", "top_p", "min_p", "temperature") if step in removed_by.values()]
    shown = [*ranked[:count], *(n for n in also if n not in ranked[:count])]
    return Distribution(
        position=position,
        entropy=-math.fsum(p * math.log(p) for p in model),
        kept=len(alive),
        removed=tuple(
            Removal(
                s,
                sum(v == s for v in removed_by.values()),
                math.fsum(model[n] for n, v in removed_by.items() if v == s),
            )
            for s in steps
        ),
        candidates=tuple(
            Candidate(
                n, WORDS[n], math.log(model[n]), ranked.index(n) + 1, sampled.get(n, 0.0), removed_by.get(n)
            )
            for n in shown
        ),
    )
