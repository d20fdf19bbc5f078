"""Whether a checkpoint's keys and values may be kept in 16 bits: tried when it is loaded, and remembered.

Attention takes the softmax of scores, sums of products with keys. Where keys have large constant parts (the
biases of Qwen 2, say), scores are in the hundreds and their differences are what counts; rounded keys then
move whole tenths of probability, and on texts that repeat themselves, where the model is nearly undecided
what to look at, all of it. Where keys are small, nobody can tell the difference. No name and no shape says
which is the case, so the decoder reads some texts of that kind both ways.
"""

from __future__ import annotations

import contextlib
import hashlib
import statistics
from collections.abc import Iterator

import msgspec
import torch
from torch import Tensor

from chatterm import paths
from chatterm.checkpoint.open import Checkpoint
from chatterm.checkpoint.seen import signature
from chatterm.model.decoder import NATIVE_TOKENS, Decoder
from chatterm.model.native.build import NotBuiltError, library
from chatterm.model.vectors import NARROW

PROMISE = 0.05
"""Nats by which no log-probability among the ten most probable tokens may be off from float32."""
LIMIT, TYPICAL = PROMISE / 4, PROMISE / 10
"""The same on each of the few texts tried here, and on most of them. Others are harder: where a model is
nearly undecided what to look at, the difference is ten and more times as large as it usually is."""
TOP = 10

TOKENS = 16
"""Of each text."""
MOST_TEXTS, FEWEST_TEXTS = 12, 4
WORK = 2e9
"""Weights of the blocks times texts: about a second of work, where that is more than the fewest."""

VERSION = 1
"""Of this check; another one does not believe what this one found."""
FILE = "cache-types.json"
MAX_BYTES = 1 << 20
MOST_KNOWN = 500
"""Checkpoints remembered."""


def cache_type(decoder: Decoder, checkpoint: Checkpoint, way: str = "") -> torch.dtype:
    """In which type the decoder may keep keys and values: `NARROW`, or its own.

    Args:
        decoder: with the weights of `checkpoint`.
        checkpoint: whose files say whether it is known already.
        way: what else its numbers depend on, as weights rounded when they were loaded.
    """
    if not decoder.can_be_narrow:
        return decoder.dtype
    name = _name(decoder, checkpoint, way)
    known = _known()
    if name not in known:
        known[name] = is_harmless(decoder)
        _remember(known)
    return NARROW if known[name] else decoder.dtype


def is_harmless(decoder: Decoder) -> bool:
    """Whether a narrow cache keeps the promise on all of the texts tried with room to spare."""
    found = []
    for text in texts(decoder):
        found.append(difference(decoder, text))
        if found[-1] > LIMIT:
            return False
    return statistics.median(found) <= TYPICAL


def difference(decoder: Decoder, text: Tensor) -> float:
    """How far a narrow cache moves a log-probability among the ten most probable, nats, at most.

    Not a number counts as infinite.
    """
    wide, narrow = (_read(decoder, text, dtype) for dtype in (decoder.dtype, NARROW))
    top = wide.topk(min(TOP, wide.shape[-1]))
    found = float((top.values - narrow.gather(-1, top.indices)).abs().max())
    return found if found == found else float("inf")


def texts(decoder: Decoder) -> Iterator[Tensor]:
    """Tokens `(T,)` that are hard on rounded keys, because they repeat themselves; fewer for large models."""
    vocabulary, length = decoder.architecture.vocabulary, min(TOKENS, decoder.architecture.context)
    count = max(FEWEST_TEXTS, min(MOST_TEXTS, int(WORK / max(1, decoder.block_weights))))
    draw = torch.Generator().manual_seed(1)
    for number in range(count):
        some = torch.randint(vocabulary, (2 + 2 * (number % 2),), generator=draw)
        # a a a … b b b …, or a b c d a b c d …
        whole = some.repeat(TOKENS // 4) if number % 2 else some.repeat_interleave(TOKENS // 2)
        yield whole[:length]


@torch.inference_mode()
def _read(decoder: Decoder, text: Tensor, dtype: torch.dtype) -> Tensor:
    """Log-probabilities after every token, `(T, vocabulary)`."""
    cache = decoder.new_cache(len(text), dtype)
    # so few that the unembedding need not be unpacked for them
    starts = range(0, len(text), NATIVE_TOKENS)
    pieces = [decoder(text[at : at + NATIVE_TOKENS], cache, last_only=False) for at in starts]
    return torch.cat(pieces).log_softmax(-1)


def _name(decoder: Decoder, checkpoint: Checkpoint, way: str) -> str:
    """Changes with the checkpoint's files, the operator and this check."""
    try:
        operator = library()._name
    except NotBuiltError:
        operator = "torch"
    files = str(checkpoint.path), signature(checkpoint.path), checkpoint.file_bytes
    facts = (VERSION, files, way, decoder.way, decoder.prompt_products, operator, torch.__version__)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _known() -> dict[str, bool]:
    """What earlier loads found out: whether a narrow cache is harmless, by checkpoint."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        file = paths.cache_folder() / FILE
        return msgspec.json.decode(paths.first_bytes(file, MAX_BYTES), type=dict[str, bool])
    return {}


def _remember(known: dict[str, bool]) -> None:
    latest = dict(list(known.items())[-MOST_KNOWN:])
    with contextlib.suppress(OSError):
        paths.make_private(paths.cache_folder())
        paths.write_private(paths.cache_folder() / FILE, msgspec.json.encode(latest), durable=False)
