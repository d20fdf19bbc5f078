"""One case, measured: the largest difference of log-probabilities, in each way of running it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.parity import gguf_files, reference
from benchmarks.parity.cases import Case
from chatterm.checkpoint.open import open_checkpoint
from chatterm.model.decoder import Decoder
from chatterm.model.load import load_decoder

TOLERANCE = 1e-4
"""Largest allowed difference of log-probabilities, in nats."""
PIECES = (10, 1, 30, 23)
"""Lengths in which the text is read once more, as a chat does."""


@dataclass(frozen=True)
class Difference:
    """Largest absolute differences of log-probabilities from transformers, in nats."""

    case: Case
    format: str  # "safetensors", "gguf"
    quantisation: str
    prefill: float  # the text read in one go, all positions
    pieces: float | None  # read in several goes on one cache; None where that has no single right answer
    decode: float  # token by token

    @property
    def worst(self) -> float:
        """The largest of all; what the test bounds."""
        return max(self.prefill, self.pieces or 0.0, self.decode)


def measure(case: Case, folder: Path) -> Iterator[Difference]:
    """Make the checkpoint of a case under `folder` and compare: as safetensors, and as GGUF if it can be."""
    tokens = reference.text()
    model = reference.make_model(case)
    if case.gguf:
        gguf_files.write_gguf(case, model, folder / "model.gguf")
    gguf_files.quantise_in_place(case, model)
    saved = folder / "checkpoint"
    reference.save(case, model, saved)
    loaded = reference.load(saved)
    expected = reference.logprobs(loaded, tokens)
    expected_decoded = reference.decoded_logprobs(case, loaded, tokens)
    yield _compare(case, saved, tokens, expected, expected_decoded)
    if case.gguf and case.dtype == "float32":
        yield _compare(case, folder / "model.gguf", tokens, expected, expected_decoded)


def _compare(
    case: Case, path: Path, tokens: Tensor, expected: Tensor, expected_decoded: Tensor
) -> Difference:
    checkpoint = open_checkpoint(path)
    # in torch alone, and with the native operator where there is one
    decoders = [load_decoder(checkpoint, threads=threads) for threads in (0, 1)]
    pieces = [_largest_in_pieces(case, decoder, tokens, expected) for decoder in decoders]
    return Difference(
        case,
        checkpoint.format,
        checkpoint.quantisation,
        prefill=max(_largest(_read(decoder, tokens, (len(tokens),)), expected) for decoder in decoders),
        pieces=max((piece for piece in pieces if piece is not None), default=None),
        decode=max(
            _largest(_read(decoder, tokens, (1,) * len(tokens)), expected_decoded) for decoder in decoders
        ),
    )


def _largest_in_pieces(case: Case, decoder: Decoder, tokens: Tensor, expected: Tensor) -> float | None:
    """Over the last piece. How the text was cut makes no difference to it, except with dynamic scaling."""
    if (case.rope or {}).get("rope_type") == "dynamic":
        return None
    last = PIECES[-1]
    return _largest(_read(decoder, tokens, PIECES)[-last:], expected[-last:])


def _read(decoder: Decoder, tokens: Tensor, pieces: tuple[int, ...]) -> Tensor:
    cache = decoder.new_cache(len(tokens))
    rows = [decoder(piece, cache, last_only=False) for piece in tokens.split(list(pieces))]
    return torch.cat(rows).log_softmax(-1)


def _largest(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).abs().max())
