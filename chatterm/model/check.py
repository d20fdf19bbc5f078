"""`chatterm models check`: read a checkpoint from end to end and say whether it can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from chatterm.checkpoint.discover import has_chat_template
from chatterm.checkpoint.open import Checkpoint
from chatterm.checkpoint.template import load_template
from chatterm.checkpoint.tensors import read_dense
from chatterm.checkpoint.tokenizer import load_tokenizer
from chatterm.errors import UserError
from chatterm.model.load import load_decoder

PROBE_TOKENS = 16
"""Length of the text of the trial forward pass; its tokens are arbitrary."""
CACHE_TOLERANCE = 1e-3
"""Largest difference of log-probabilities (nats) allowed between one pass and token-by-token decoding."""


@dataclass(frozen=True)
class CheckReport:
    """What a checkpoint is and what is wrong with it."""

    name: str
    path: str
    format: str
    family: str
    quantisation: str
    parameters: int
    tensors: int  # read, in the decoder's form
    file_bytes: int
    problems: tuple[str, ...]  # one sentence each; empty = sound
    notices: tuple[str, ...]  # what is worth knowing and wrong with nothing
    entropy: float | None  # nats, of the trial prediction; None if it was not made
    cache_difference: float | None  # nats, largest difference between cached and uncached log-probabilities

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(checkpoint: Checkpoint, progress: Callable[[int, int], None] | None = None) -> CheckReport:
    """Read every parameter, look for numbers that are none, load the tokenizer, and run a trial forward pass.

    Shapes and names were already checked by `open_checkpoint`. The forward pass, in float32, is made only if
    all numbers are sound.

    Args:
        checkpoint: from `open_checkpoint`.
        progress: called with (tensors done, tensors in all); the trial pass reads everything once more.

    Raises:
        UserError: a weight cannot be decoded at all.
    """
    names = list(checkpoint.layout)
    total = 2 * len(names)
    tell = progress or (lambda done, total: None)
    problems, notices = _words(checkpoint)
    numbers_wrong: list[str] = []
    for done, name in enumerate(names, start=1):
        numbers_wrong += _problems(checkpoint, name)
        tell(done, total)
    problems += numbers_wrong
    entropy = difference = None
    if not numbers_wrong:
        entropy, difference = _trial(checkpoint, lambda done, _: tell(len(names) + done, total))
        if not difference <= CACHE_TOLERANCE:  # also when it is not a number
            problems.append(
                f"reading {PROBE_TOKENS} tokens at once and one by one differ by {difference:g} nats: the "
                "numbers "
                "overflow or the checkpoint is not what its configuration says."
            )
    return CheckReport(
        name=checkpoint.name,
        path=str(checkpoint.path),
        format=checkpoint.format,
        family=checkpoint.family,
        quantisation=checkpoint.quantisation,
        parameters=checkpoint.parameters,
        tensors=len(names),
        file_bytes=checkpoint.file_bytes,
        problems=tuple(problems),
        notices=(*checkpoint.notices, *notices),
        entropy=entropy,
        cache_difference=difference,
    )


def _words(checkpoint: Checkpoint) -> tuple[list[str], list[str]]:
    """Problems and notices about what turns text into tokens and conversations into text."""
    try:
        tokenizer = load_tokenizer(checkpoint)
    except UserError as error:
        return [error.sentence], []
    if not has_chat_template(checkpoint):
        return [], [
            "It has no chat template, so it is treated as a base model: conversations are "
            "written as a plain dialogue."
        ]
    try:
        load_template(checkpoint, tokenizer)
    except UserError as error:
        return [error.sentence], []
    return [], []


def _problems(checkpoint: Checkpoint, name: str) -> list[str]:
    part = checkpoint.layout[name]
    weight = read_dense(checkpoint, name)
    where = f"the tensor “{part.tensors[0]}”"
    if tuple(weight.shape) != part.shape:
        return [f"{where} has the shape {tuple(weight.shape)} instead of {part.shape}."]
    bad = weight.numel() - int(torch.isfinite(weight).sum())
    if bad:
        return [f"{where} holds {bad} numbers that are infinite or none at all; the file is damaged."]
    if weight.dim() == 2 and not weight.any():
        return [f"{where} holds nothing but zeros; the file was not written completely."]
    return []


def _trial(checkpoint: Checkpoint, progress: Callable[[int, int], None]) -> tuple[float, float]:
    """Entropy of the prediction after some tokens, and how much decoding one by one differs from it."""
    decoder = load_decoder(checkpoint, progress=progress)
    vocabulary = checkpoint.architecture.vocabulary
    length = min(PROBE_TOKENS, checkpoint.architecture.context)
    tokens = torch.arange(length) * 7919 % vocabulary
    at_once = decoder(tokens, decoder.new_cache(length), last_only=False).log_softmax(-1)
    cache = decoder.new_cache(length)
    one_by_one = torch.stack([decoder(token.view(1), cache) for token in tokens]).log_softmax(-1)
    return _entropy(at_once[-1]), float((at_once - one_by_one).abs().max())


def _entropy(logprobs: Tensor) -> float:
    return float(torch.special.entr(logprobs.exp()).sum())
