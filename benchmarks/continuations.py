"""Several continuations of one text at once, against the same one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import Spread, ratio, table
from chatterm.engine.messages import AnyEvent, Generate, LoadOptions, TokenEvent
from chatterm.engine.reply import Control, Joining, ReplyWriter
from chatterm.engine.session import Session
from chatterm.records.generation import Tokens
from chatterm.sampling import SamplingParameters

COUNT, LENGTH, PROMPT = 8, 24, 256
GOES_ON = Control(lambda: False, lambda: None)


def compare(model: Path, threads: int, rounds: int) -> tuple[str, Spread, Spread]:
    """Name, and tokens per second of all continuations: one after the other, and together."""
    session = Session(model, LoadOptions(context=1024, threads=threads), lambda done, total: None)
    prompt = Tokens(tuple(5 + place * 7919 % (session.info.vocabulary - 5) for place in range(PROMPT)))
    never_ends = dict.fromkeys(session.tokenizer.end_ids, float("-inf"))
    requests = [
        Generate(
            request=seed,
            prompt=prompt,
            sampling=SamplingParameters(temperature=0.8, seed=seed, logit_bias=never_ends),
            max_tokens=LENGTH,
        )
        for seed in range(COUNT)
    ]

    def write(waiting: list[Generate], first: Generate) -> int:
        written = [0]

        def count(event: AnyEvent) -> None:
            written[0] += isinstance(event, TokenEvent)

        joining: Callable[[], Joining | None] = lambda: (  # noqa: E731
            Joining(waiting.pop(0), GOES_ON) if waiting else None
        )
        ReplyWriter(session, first, count, GOES_ON, joining).write()
        return written[0]

    def rate(work: Callable[[], int]) -> float:
        began = time.perf_counter()
        return work() / (time.perf_counter() - began)

    one_by_one = lambda: sum(write([], request) for request in requests)  # noqa: E731
    together = lambda: write(requests[1:], requests[0])  # noqa: E731
    one_by_one(), together()
    pairs = [(rate(one_by_one), rate(together)) for _ in range(rounds)]
    return (
        session.info.name,
        Spread(tuple(pair[0] for pair in pairs)),
        Spread(tuple(pair[1] for pair in pairs)),
    )


def report(found: list[tuple[str, Spread, Spread]], threads: int, rounds: int) -> str:
    """The section of the document."""
    rows = [
        (name, alone.text(), together.text(), ratio(together.values, alone.values).text(2))
        for name, alone, together in found
    ]
    head = ("model", "one after the other", "together", "ratio")
    return f"""Tokens per second of {COUNT} continuations of {LENGTH} tokens each behind {PROMPT} tokens,
sampled, with their candidates; {threads} threads, in turn, {rounds} rounds.

{table(head, rows)}"""
