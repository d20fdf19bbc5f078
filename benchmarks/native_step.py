"""The native operator against the same decoder in torch, alternating in one run.

    .venv/bin/python -m benchmarks.native_step [MODEL] [--threads 2] [--rounds 5]

Prints tokens per second of both, and the ratio of each pair of rounds with its spread; the same for keys
and values in half precision against full; how long a step for several tokens takes, in single steps; and the
bytes that a step reads against what a plain streaming read reaches on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

DECODED = 64
PROMPT = 512
STREAMED_BYTES = 256 << 20


def decode(decoder: Decoder, context: int) -> float:
    """Tokens per second of single steps after `context` tokens."""
    vocabulary = decoder.architecture.vocabulary
    cache = decoder.new_cache(context + DECODED + 1)
    if context:
        decoder(torch.arange(context) * 7919 % vocabulary, cache)
    token = torch.tensor([5])
    decoder(token, cache)
    began = time.perf_counter()
    for _ in range(DECODED):
        decoder(token, cache)
    return DECODED / (time.perf_counter() - began)


def together(decoder: Decoder, count: int, context: int) -> float:
    """Seconds of one step for `count` tokens after `context` tokens, the fastest of several."""
    tokens = torch.arange(count) * 7919 % decoder.architecture.vocabulary
    cache = decoder.new_cache(context + count)
    decoder(torch.arange(context) * 7919 % decoder.architecture.vocabulary, cache)
    fastest = float("inf")
    for _ in range(10):
        cache.truncate(context)
        began = time.perf_counter()
        decoder(tokens, cache, last_only=False)
        fastest = min(fastest, time.perf_counter() - began)
    return fastest


def prefill(decoder: Decoder) -> float:
    """Tokens per second of reading a prompt in one go."""
    cache = decoder.new_cache(PROMPT)
    tokens = torch.arange(PROMPT) * 7919 % decoder.architecture.vocabulary
    began = time.perf_counter()
    decoder(tokens, cache)
    return PROMPT / (time.perf_counter() - began)


def streaming_read() -> float:
    """Bytes per second that summing a large array reads."""
    numbers = torch.ones(STREAMED_BYTES // 4)
    numbers.sum()
    began = time.perf_counter()
    numbers.sum()
    return STREAMED_BYTES / (time.perf_counter() - began)


def compare(name: str, native: Callable[[], float], plain: Callable[[], float], rounds: int) -> None:
    """One line of the table."""
    native(), plain()
    pairs = [(native(), plain()) for _ in range(rounds)]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    ours, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    spread = f"{ratios[0]:.2f} … {ratios[-1]:.2f}"
    print(f"{name:<22}{ours:>10.1f}{theirs:>10.1f}{statistics.median(ratios):>8.2f}   {spread}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    checkpoint = open_checkpoint(locate(options.model))
    native = load_decoder(checkpoint, threads=options.threads)
    half = load_decoder(checkpoint, threads=options.threads, cache_dtype=torch.float16)
    plain = load_decoder(checkpoint, threads=0)
    print(f"{checkpoint.name}, {options.threads} threads, tokens per second, medians of {options.rounds}")
    print(f"{'':<22}{'native':>10}{'torch':>10}{'ratio':>8}   spread")
    with torch.inference_mode():
        for context in (0, 512, 2048):
            compare(
                f"decode after {context}",
                lambda context=context: decode(native, context),
                lambda context=context: decode(plain, context),
                options.rounds,
            )
        compare(f"prefill {PROMPT}", lambda: prefill(native), lambda: prefill(plain), options.rounds)
        print(f"{'':<22}{'float16':>10}{'float32':>10}{'ratio':>8}   spread")
        for context in (512, 2048):
            compare(
                f"decode after {context}",
                lambda context=context: decode(half, context),
                lambda context=context: decode(native, context),
                options.rounds,
            )
        for count in range(2, half.most_ahead + 2):
            ratios = [together(half, count, 32) / together(half, 1, 32) for _ in range(options.rounds)]
            print(f"{count} tokens in one step take as long as {statistics.median(ratios):.2f} single steps")
        reached = decode(native, 0) * checkpoint.file_bytes
        print(f"bytes read per second {reached / 1e9:.1f} GB, streaming read {streaming_read() / 1e9:.1f} GB")


if __name__ == "__main__":
    main()
