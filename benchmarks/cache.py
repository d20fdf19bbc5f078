"""How far texts that are hard on rounded keys are from float32: the way that is used by default, over all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.figures import table
from benchmarks.nasty_texts import TEXTS, stand_in_tokens
from chatterm.checkpoint.open import Checkpoint, open_checkpoint
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder
from chatterm.model.precision import PROMISE, TOP
from chatterm.model.vectors import NARROW

READ = 256
"""Tokens of a text that are read at once."""


@dataclass(frozen=True)
class Worst:
    """Over all positions of all texts: the largest difference of a log-probability in the exact top ten."""

    stepped: float  # nats, token by token
    read: float  # many tokens at once, as a prompt is
    text: str  # on which `read` or `stepped` was largest


def largest_difference(exact: Tensor, other: Tensor) -> float:
    """Of log-probabilities `(T, vocabulary)` among the ten that are most probable by `exact`."""
    top = exact.topk(min(TOP, exact.shape[-1]))
    return float((top.values - other.gather(-1, top.indices)).abs().max())


@torch.inference_mode()
def logprobs(decoder: Decoder, tokens: Tensor, at_once: int, dtype: torch.dtype | None = None) -> Tensor:
    """After every token, `(T, vocabulary)`, read so many at once."""
    cache = decoder.new_cache(len(tokens), dtype)
    return torch.cat([decoder(some, cache, last_only=False) for some in tokens.split(at_once)]).log_softmax(
        -1
    )


def worst(
    exact: Decoder, decoder: Decoder, texts: dict[str, list[int]], dtype: torch.dtype | None = None
) -> Worst:
    """The worst of some texts, by what they are called; `dtype` of the cache, None: the chosen one."""
    found = [(0.0, 0.0, "")]
    for name, ids in texts.items():
        tokens = torch.tensor(ids[: decoder.architecture.context])
        reference = logprobs(exact, tokens, READ)
        stepped, read = (
            largest_difference(reference, logprobs(decoder, tokens, at_once, dtype)) for at_once in (1, READ)
        )
        found.append((stepped, read, name))
    hardest = max(found, key=lambda one: max(one[:2]))
    return Worst(max(one[0] for one in found), max(one[1] for one in found), hardest[2])


def tokens_of(checkpoint: Checkpoint) -> dict[str, list[int]]:
    """The corpus in a checkpoint's own tokens."""
    tokenizer = load_tokenizer(checkpoint)
    return {text: tokenizer.encode(text, add_bos=True) for text in TEXTS}


def stand_ins(vocabulary: int) -> dict[str, list[int]]:
    """The corpus for a checkpoint without a tokenizer."""
    return {text: stand_in_tokens(text, vocabulary) for text in TEXTS}


def measure(model: Path) -> list[tuple[str, str, Worst]]:
    """Name, cache and the worst of the corpus: as it is used, and with either cache for all."""
    checkpoint = open_checkpoint(model)
    exact, decoder = load_decoder(checkpoint, threads=0), load_decoder(checkpoint, exact=False)
    texts = tokens_of(checkpoint)
    found = []
    for dtype in (NARROW, torch.float32):
        cache = _named(dtype, used=dtype == decoder.cache_dtype)
        found.append((checkpoint.name, cache, worst(exact, decoder, texts, dtype)))
        print(found[-1], flush=True)
    return found


def measure_tiny(make: Callable[[Path], dict[str, Path]], folder: Path) -> list[tuple[str, str, Worst]]:
    """As `measure`, the way used only, for small random checkpoints that `make` writes into a folder."""
    found = []
    for name, path in make(folder).items():
        checkpoint = open_checkpoint(path)
        exact, decoder = load_decoder(checkpoint, threads=0), load_decoder(checkpoint, exact=False)
        texts = stand_ins(checkpoint.architecture.vocabulary)
        found.append((name, _named(decoder.cache_dtype, used=True), worst(exact, decoder, texts)))
        print(found[-1], flush=True)
    return found


def report(real: list[tuple[str, str, Worst]], tiny: list[tuple[str, str, Worst]]) -> str:
    """The section of the document."""
    rows = [
        (name, cache, f"{found.stepped:.3f}", f"{found.read:.3f}", _short(found.text))
        for name, cache, found in real
    ]
    text = f"""The largest difference of a log-probability among the {TOP} most probable tokens, in nats,
after any token of the {len(TEXTS)} texts of `benchmarks/nasty_texts.py`, against the same weights in plain
float32 torch. The promise is {PROMISE}.

{table(("checkpoint", "keys and values", "token by token", "reading", "hardest text"), rows)}"""
    if not tiny:
        return text
    hardest = max(tiny, key=lambda row: max(row[2].stepped, row[2].read))
    wide = sum(cache.startswith("float32") for _, cache, _ in tiny)
    return f"""{text}

Small random checkpoints, {len(tiny)} of all families, half of them with large biases of keys: at most
{max(hardest[2].stepped, hardest[2].read):.3f} ({hardest[0]}); {wide} of them are given float32."""


def _named(dtype: torch.dtype, *, used: bool) -> str:
    return str(dtype).removeprefix("torch.") + (" (used)" if used else "")


def _short(text: str) -> str:
    shown = text.replace("\n", "↵").replace("\t", "⇥").replace("|", "¦").replace("`", "'")
    return f"`{shown[:24]}`"
