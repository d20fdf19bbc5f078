"""chatterm against llama.cpp and transformers: same file, same threads, same run, in turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engines import DECODED, PROMPT, Ours, Transformers, llama_bench
from benchmarks.figures import Spread, ratio, table
from chatterm.errors import UserError

DTYPES = ("float32", "bfloat16")


@dataclass
class Comparison:
    """Tokens per second of one checkpoint, a value a round."""

    model: str
    computation: str
    prefill: list[float] = field(default_factory=list)
    decode: list[float] = field(default_factory=list)
    reply: list[float] = field(default_factory=list)
    llama_prefill: list[float] = field(default_factory=list)
    llama_decode: list[float] = field(default_factory=list)
    generate: dict[str, list[float]] = field(default_factory=dict)
    replies: dict[str, list[float]] = field(default_factory=dict)  # ours, beside each of `generate`
    troubles: list[str] = field(default_factory=list)


def compare(model: Path, llama: Path | None, threads: int, rounds: int) -> Comparison:
    """Measure one checkpoint. Who goes first changes from round to round."""
    with Ours(model, threads) as ours:
        found = Comparison(ours.info.name, f"{ours.info.quantisation} as {ours.info.computation}")
        for number in range(rounds if llama is not None else 0):
            assert llama is not None
            theirs = llama_bench(llama, model, threads) if number % 2 else None
            prefill, decode, reply = ours.round()
            theirs = theirs or llama_bench(llama, model, threads)
            found.prefill.append(prefill)
            found.decode.append(decode)
            found.reply.append(reply)
            found.llama_prefill.append(theirs[0])
            found.llama_decode.append(theirs[1])
            print(f"{found.model}: {prefill:.0f} {decode:.1f} / llama.cpp {theirs[0]:.0f} {theirs[1]:.1f}")
        for dtype in DTYPES:
            try:
                _against_transformers(found, ours, model, dtype, threads, rounds)
            except UserError as error:
                found.troubles.append(error.sentence)
    return found


def _against_transformers(
    found: Comparison, ours: Ours, model: Path, dtype: str, threads: int, rounds: int
) -> None:
    with Transformers(model, dtype, threads) as theirs:
        found.generate[dtype], found.replies[dtype] = [], []
        for _ in range(rounds):
            found.generate[dtype].append(theirs.round())
            found.replies[dtype].append(ours.round()[2])
            print(f"{found.model}: {found.replies[dtype][-1]:.1f} / {dtype} {found.generate[dtype][-1]:.1f}")


def report(comparisons: list[Comparison], threads: int, rounds: int) -> str:
    """The section of the document."""
    rows = []
    for found in comparisons:
        name = f"{found.model}, {found.computation}"
        if found.llama_decode:
            rows += [
                _row(name, f"decode {DECODED}", "llama.cpp", found.decode, found.llama_decode),
                _row(name, f"prefill {PROMPT}", "llama.cpp", found.prefill, found.llama_prefill),
            ]
        rows += [
            _row(name, f"a reply of {DECODED}", f"transformers, {dtype}", found.replies[dtype], rates)
            for dtype, rates in found.generate.items()
        ]
    troubles = "\n".join(f"- {sentence}" for found in comparisons for sentence in found.troubles)
    return f"""Tokens per second with {threads} threads: the median of {rounds} rounds (lowest … highest),
the programs one right after the other in each round, and the ratio of each pair. *decode* is the model
alone, as `llama-bench` measures it; *a reply* has sampler, candidates and messages to the interface on our
side, and is `generate` with greedy search on the other.

{table(("model", "what", "against", "chatterm", "the other", "ratio"), rows)}

{troubles}"""


def _row(name: str, what: str, against: str, ours: list[float], theirs: list[float]) -> tuple[str, ...]:
    return (
        name,
        what,
        against,
        Spread(tuple(ours)).text(),
        Spread(tuple(theirs)).text(),
        f"**{ratio(ours, theirs).text(2)}**",
    )
