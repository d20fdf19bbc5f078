"""An engine process without a model that emits tokens at a steady rate, each with its ten candidates.

It speaks the engine's own protocol over its own pipe, so that the interface does all that it does for a real
one. `python -m benchmarks.interface.fast_engine RATE TOKENS`
"""

from __future__ import annotations

import math
import os
import sys
import time

from chatterm.engine import wire
from chatterm.engine.inbox import Inbox
from chatterm.engine.messages import (
    PROTOCOL_VERSION,
    AnyEvent,
    AnyRequest,
    Failed,
    Fetch,
    Fetched,
    Finished,
    Generate,
    Hello,
    Load,
    Loaded,
    Started,
    TokenEvent,
    Tokenize,
    Tokenized,
)
from chatterm.records.generation import Candidate, Distribution, ModelInfo, Timing
from chatterm.sampling import SamplingParameters

WORDS = ("The", " sea", " is", " wide", ",", " and", " the", " light", " turns", ".", "\n\n")
LAST_WORD = " finis"
PROMPT = tuple(range(20))

INFO = ModelInfo(
    name="Metronome",
    path="/metronome.gguf",
    format="gguf",
    family="llama",
    parameters=1_000_000,
    quantisation="none",
    computation="none",
    device="cpu",
    file_bytes=1_000_000,
    layers=1,
    heads=1,
    vocabulary=len(WORDS) + 1,
    trained_context=1 << 20,
    context=1 << 20,
    is_chat=True,
    sampling=SamplingParameters(),
    sampling_source="nobody",
    exact=True,
)


def main() -> None:
    """Answer requests until the client leaves."""
    rate, count = float(sys.argv[1]), int(sys.argv[2])
    output = os.fdopen(os.dup(1), "wb")
    inbox = Inbox(sys.stdin.buffer)

    def send(event: AnyEvent) -> None:
        output.write(wire.frame(event))
        output.flush()

    send(Hello(version=PROTOCOL_VERSION, pid=os.getpid()))
    while True:
        request: AnyRequest = inbox.next()
        match request:
            case Load():
                send(Loaded(request=request.request, info=INFO))
            case Fetch():
                send(Fetched(request=request.request, path=INFO.path))
            case Generate():
                send(Started(request=request.request, prompt=PROMPT, reused=0))
                began = time.perf_counter()
                for index in range(count):
                    ahead = began + index / rate - time.perf_counter()
                    if ahead > 0:
                        time.sleep(ahead)
                    send(token(request.request, index, last=index == count - 1))
                send(finished(request.request, count, time.perf_counter() - began))
            case Tokenize():
                send(Tokenized(request=request.request, tokens=()))
            case _:
                send(Failed(request=request.request, sentence="A metronome only counts."))


def token(request: int, index: int, *, last: bool) -> TokenEvent:
    """A token with ten candidates that change from position to position."""
    word = LAST_WORD if last else WORDS[index % len(WORDS)]
    shares = [2.0 ** -(1 + (rank + index) % 10) for rank in range(10)]
    candidates = tuple(
        Candidate(number, WORDS[number], math.log(share), rank, share, None)
        for rank, (number, share) in enumerate(sorted(enumerate(shares), key=lambda pair: -pair[1]), start=1)
    )
    return TokenEvent(
        request=request,
        id=index % len(WORDS),
        text=word,
        logprob=-1.5,
        rank=2,
        sampled=0.25,
        distribution=Distribution(
            position=len(PROMPT) + index, entropy=1.4, kept=10, removed=(), candidates=candidates
        ),
        temperature=0.8,
    )


def finished(request: int, count: int, seconds: float) -> Finished:
    """The end; its timing says whether the pipe ever held the engine up."""
    timing = Timing(
        prompt_tokens=len(PROMPT),
        reused_tokens=0,
        generated_tokens=count,
        first_token=0.0,
        prefill=0.0,
        decode=seconds,
    )
    return Finished(request=request, reason="end", text="", timing=timing)


if __name__ == "__main__":
    main()
