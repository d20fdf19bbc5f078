"""What a look inside costs, as a multiple of a decode step and in milliseconds.

    .venv/bin/python -m benchmarks.glass [MODEL] [--tokens 400] [--rounds 5] [--threads 2]

Decode steps and questions alternate in one run, and each ratio is that of a pair; the median and the spread
are printed. "first" is the very first time a question is asked: lengths of rows and columns are computed then
and kept. Last come the tokens per second of a reply with nobody looking, and with the look at every token.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from chatterm.checkpoint.locate import locate
from chatterm.engine.messages import LoadOptions
from chatterm.engine.session import Session
from chatterm.glass.replay import replay
from chatterm.records.generation import Tokens
from chatterm.records.inspection import (
    Analogy,
    AnyQuestion,
    AttentionHead,
    AttentionOverview,
    Contributions,
    HeadPatterns,
    HiddenNeighbours,
    Lens,
    Neighbours,
    Neurons,
    RankCurve,
    Score,
)
from chatterm.sampling import SamplingParameters

STEPS = 8
"""Decode steps timed together."""
REPLY = 32


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def step(session: Session) -> float:
    """Seconds of one decode step at the end of the text."""
    context = session.context
    last = torch.tensor(context.tokens[-1:])

    def steps() -> None:
        with torch.inference_mode():
            for _ in range(STEPS):
                with context.cache.replay(len(context.tokens) - 1) as view:
                    context.decoder(last, view)

    return seconds(steps) / STEPS


def questions(prompt: Tokens, layers: int) -> dict[str, AnyQuestion]:
    """What a panel asks, and the larger views."""
    middle = layers // 2
    return {
        "lens, 1 token": Lens(prompt),
        "lens, 16 tokens": Lens(prompt, positions=16),
        "attention overview": AttentionOverview(prompt, to=0),
        "attention, 1 row": AttentionHead(prompt, middle, 0),
        "attention, 64 rows": AttentionHead(prompt, middle, 0, rows=64),
        "patterns of a layer": HeadPatterns(prompt, layer=middle),
        "contributions": Contributions(prompt),
        "neurons": Neurons(prompt),
        "hidden neighbours": HiddenNeighbours(prompt, middle),
        "neighbours": Neighbours("king"),
        "analogy": Analogy("king", "man", "woman"),
        "rank curve": RankCurve(prompt, SamplingParameters()),
        "score of the text": Score(prompt),
    }


def measure(session: Session, name: str, ask: Callable[[], object], rounds: int) -> None:
    """Print one line."""
    first = seconds(ask)
    pairs = [(step(session), seconds(ask)) for _ in range(rounds)]
    ratios = [taken / one for one, taken in pairs]
    print(
        f"{name:22}{statistics.median(ratios):8.1f} × a step   ({min(ratios):.1f} … {max(ratios):.1f})"
        f"{1000 * statistics.median(taken for _, taken in pairs):9.1f} ms   first {1000 * first:.1f} ms"
    )


def write(session: Session, look: bool) -> float:
    """Tokens per second of a reply, with or without a lens at every token."""
    context = session.context
    start = list(context.tokens)

    def reply() -> None:
        for _ in range(REPLY):
            context.append([int(context.logits_after(len(context.tokens)).argmax())])
            if look:
                session.inspect(Lens(Tokens(tuple(context.tokens))), lambda: False)

    taken = seconds(reply)
    context.begin(start)
    for _ in context.read(start):
        pass
    return REPLY / taken


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--tokens", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    asked = parser.parse_args()
    session = Session(
        locate(asked.model),
        LoadOptions(context=asked.tokens + 2 * REPLY, threads=asked.threads),
        lambda done, total: None,
    )
    ids = tuple((torch.arange(asked.tokens) * 7919 % session.info.vocabulary).tolist())
    prompt = Tokens(ids)
    session.read(prompt, lambda: False)
    print(f"{session.info.name} · {asked.tokens} tokens · {asked.threads} threads\n")
    last = asked.tokens - 1
    measure(session, "one step with taps", lambda: replay(session.context, last, 1, ["output"]), asked.rounds)
    for name, question in questions(prompt, session.info.layers).items():
        measure(
            session, name, lambda question=question: session.inspect(question, lambda: False), asked.rounds
        )
    pairs = [(write(session, look=False), write(session, look=True)) for _ in range(asked.rounds)]
    alone, looked = (statistics.median(speeds) for speeds in zip(*pairs, strict=True))
    print(f"\na reply: {alone:.1f} tokens/s; with the lens at every token {looked:.1f}")


if __name__ == "__main__":
    main()
