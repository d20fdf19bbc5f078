"""Where the time of a step goes, operator by operator.

    .venv/bin/python -m benchmarks.operators [MODEL] [--threads 2] [--context 0] [--steps 64]

The native step measures its own phases; each is shown where it was fastest among many steps, so that other
work on the machine counts little. For each: milliseconds and their share, the bytes of weights or of the
cache that it reads, and how fast these came by.
"""

from __future__ import annotations

import argparse

import torch

from benchmarks.figures import table
from chatterm.checkpoint.locate import locate
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.block import Block
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder
from chatterm.model.tiled import TiledLinear


def bytes_read(decoder: Decoder, context: int) -> dict[str, int]:
    """By phase, of one step after `context` tokens."""

    def size(linear: object) -> int:
        return sum(part.nbytes for part in linear.parts) if isinstance(linear, TiledLinear) else 0

    blocks = [block for block in decoder.blocks if isinstance(block, Block)]
    a = decoder.architecture
    seen = sum(min(context, block.attention.window or context) for block in blocks)
    return {
        "queries, keys, values": sum(size(block.attention.qkv) for block in blocks),
        "attention": 2 * seen * a.kv_heads * a.head_size * decoder.cache_dtype.itemsize,
        "attention output": sum(size(block.attention.output) for block in blocks),
        "gate and up": sum(size(block.feed_forward.up) for block in blocks),
        "down": sum(size(block.feed_forward.down) for block in blocks),
        "unembedding": size(decoder.unembedding),
    }


def measure(decoder: Decoder, context: int, steps: int) -> dict[str, float]:
    """Seconds by phase, the least of all steps for each."""
    native = decoder._native
    if native is None:
        raise SystemExit("there is no native step here")
    cache = decoder.new_cache(context + steps + 1)
    if context:
        decoder(torch.arange(context) * 7919 % decoder.architecture.vocabulary, cache)
    token = torch.tensor([5])
    decoder(token, cache)
    found = []
    for _ in range(steps):
        native.watch()
        decoder(token, cache)
        found.append(native.seconds)
    return {phase: min(seconds[phase] for seconds in found) for phase in found[0]}


def report(seconds: dict[str, float], read: dict[str, int]) -> str:
    """As a table."""
    whole = sum(seconds.values())
    rows = [
        (
            phase,
            f"{1000 * spent:.3f}",
            f"{spent / whole:.1%}",
            f"{read[phase] / 1e6:.1f}" if phase in read else "",
            f"{read[phase] / spent / 1e9:.1f}" if phase in read else "",
        )
        for phase, spent in seconds.items()
    ]
    total = sum(read.values())
    rows.append(("all", f"{1000 * whole:.3f}", "", f"{total / 1e6:.1f}", f"{total / whole / 1e9:.1f}"))
    return table(("operator", "ms", "share", "MB read", "GB/s"), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default="default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", type=int, default=0)
    parser.add_argument("--steps", type=int, default=64)
    options = parser.parse_args()
    checkpoint = open_checkpoint(locate(options.model))
    decoder = load_decoder(checkpoint, threads=options.threads, exact=False, context=8192)
    seconds = measure(decoder, options.context, options.steps)
    print(report(seconds, bytes_read(decoder, options.context)))


if __name__ == "__main__":
    main()
