"""The same text read and continued by the model as it is and by the model with edits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from chatterm.decode.context import Context
from chatterm.decode.loop import generate
from chatterm.decode.sampling import Sampler
from chatterm.model.decoder import Decoder
from chatterm.model.taps import Edit
from chatterm.sampling import SamplingParameters


class Written(NamedTuple):
    """One token of a continuation."""

    token: int
    logprob: float  # nats, of the model's own distribution


class Continuations(NamedTuple):
    """What both wrote, and how far apart they were before each token of the clean one."""

    clean: list[Written]
    edited: list[Written]
    kl: list[float]  # nats


class Pair:
    """Two contexts over the same tokens, one clean and one edited; neither is the conversation's.

    Both compute in the same way, with taps, so that what differs between them is the edits and not the
    rounding of two ways of computing.
    """

    def __init__(self, decoder: Decoder, capacity: int, edits: Sequence[Edit]) -> None:
        """Room for `capacity` tokens in each."""
        self.clean = Context(decoder, capacity, edits=())
        self.edited = Context(decoder, capacity, edits=edits)

    def read(self, ids: Sequence[int], go_on: Callable[[], None]) -> None:
        """Read a prompt on both sides; `go_on` is called after each chunk and may raise to interrupt."""
        for context in (self.clean, self.edited):
            context.begin(ids)
            for _ in context.read(ids):
                go_on()

    def kl(self, count: int) -> float:
        """KL(clean ‖ edited) of what comes after the first `count` tokens, which both have read."""
        return divergence(self.clean.logits_after(count), self.edited.logits_after(count))

    def write(
        self,
        ids: Sequence[int],
        new_sampler: Callable[[], Sampler],
        parameters: SamplingParameters,
        *,
        ends: Collection[int],
        most: int,
        go_on: Callable[[], None],
    ) -> Continuations:
        """Continue `ids`, which both have read, with the same random numbers.

        The edited side writes first. Then the clean side writes and the edited side reads along.

        Args:
            ids: the prompt.
            new_sampler: makes one for each side.
            parameters: of both.
            ends: tokens that end a continuation; they belong to it.
            most: tokens of each, at least 1.
            go_on: called after each token; it may raise to interrupt.
        """
        edited: list[Written] = []
        for step in generate(self.edited, new_sampler(), lambda: parameters):
            edited.append(Written(step.token, step.distribution.logprob(step.token)))
            go_on()
            if step.token in ends or len(edited) == most:
                break
        self.edited.begin(ids)
        for _ in self.edited.read(ids):
            pass
        clean: list[Written] = []
        along: list[float] = []
        for step in generate(self.clean, new_sampler(), lambda: parameters):
            along.append(self.kl(step.position))
            clean.append(Written(step.token, step.distribution.logprob(step.token)))
            go_on()
            if step.token in ends or len(clean) == most:
                break
            self.edited.append([step.token])
        return Continuations(clean, edited, along)


def divergence(clean: Tensor, edited: Tensor) -> float:
    """KL(clean ‖ edited) = Σ p · ln(p / q) in nats, of the softmax of two rows of logits `(vocabulary,)`."""
    p, q = clean.double().log_softmax(-1), edited.double().log_softmax(-1)
    terms = torch.where(p == -torch.inf, 0.0, p.exp() * (p - q))
    return max(0.0, float(terms.sum()))
