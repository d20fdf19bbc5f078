"""Writing replies: one token by token, or several short ones to the same prompt in the same steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from chatterm.checkpoint.template import EncodedPrompt
from chatterm.decode.branching import Branching
from chatterm.decode.loop import Step, generate
from chatterm.engine.messages import AnyEvent, Generate, Progress
from chatterm.engine.reply_events import ReplyEvents
from chatterm.engine.session import Session
from chatterm.records.generation import Finish
from chatterm.sampling import SamplingParameters

PROGRESS_FROM_TOKENS = 512
"""A prompt with fewer unread tokens is read so fast that progress would only flicker."""

LONGEST_TOGETHER = 256
"""Tokens of replies that are written together: memory for all that they may become is taken at first."""

MOST_TOGETHER = 12


@dataclass(frozen=True)
class Control:
    """What the user wants of a reply while it is written."""

    stopped: Callable[[], bool]
    """Whether it shall end; asked at least once per token."""
    steering: Callable[[], SamplingParameters | None]
    """New sampling parameters since it was last asked, or None."""


@dataclass(frozen=True)
class Joining:
    """A request for another reply to the same prompt, taken from those that wait."""

    request: Generate
    control: Control


def nobody() -> None:
    """No other reply waits."""


def alike(request: Generate, other: Generate) -> bool:
    """Whether another reply can be written together with one: it is as short, and has the same prompt."""
    first, second = request.max_tokens, other.max_tokens
    if first is None or second is None or not 0 < second <= first <= LONGEST_TOGETHER:
        return False
    return request.prompt == other.prompt


class _Draft:
    """A reply as far as it is written."""

    def __init__(
        self,
        session: Session,
        joining: Joining,
        encoded: EncodedPrompt,
        send: Callable[[AnyEvent], None],
        began: float,
    ) -> None:
        self.events = ReplyEvents(session, joining.request, encoded, send, began)
        self.sampler = session.new_sampler(self.events.begins)
        self.control = joining.control
        self._sampling = joining.request.sampling

    def steer(self) -> SamplingParameters:
        """The parameters in force."""
        self._sampling = self.control.steering() or self._sampling
        return self._sampling

    def draw(self, branching: Branching, branch: int) -> Step:
        """The next token of a branch."""
        parameters, tokens = self.steer(), branching.tokens(branch)
        distribution = self.sampler.distribution(branching.logits(branch), tokens, parameters)
        token = self.sampler.draw(distribution, parameters, len(tokens))
        return Step(len(tokens), token, distribution, parameters)

    def take(self, step: Step) -> Finish | None:
        """Tell of a token; why the reply ends with it, or None."""
        return self.events.add(step) or ("stopped" if self.control.stopped() else None)


class ReplyWriter:
    """Writes one reply and sends its events: `Started`, `Progress` …, `TokenEvent` …, `Finished`.

    Args:
        session: the loaded checkpoint.
        request: what to write.
        send: takes each event.
        control: what the user wants of it meanwhile.
        waiting: takes the next request that can be written together with this one (`alike`), or None.
    """

    def __init__(
        self,
        session: Session,
        request: Generate,
        send: Callable[[AnyEvent], None],
        control: Control,
        waiting: Callable[[], Joining | None] = nobody,
    ) -> None:
        self._session = session
        self._request = request
        self._send = send
        self._control = control
        self._waiting = waiting
        self._prefill = 0.0

    def write(self) -> None:
        """Write it all, and the replies that join it.

        Raises:
            UserError: before `Started`: the prompt cannot be used. Later: the model's numbers are not finite.
        """
        began = time.perf_counter()
        encoded = self._session.encode(self._request.prompt)
        reused = self._session.context.begin(encoded.ids)
        draft = _Draft(self._session, Joining(self._request, self._control), encoded, self._send, began)
        draft.events.start(reused)
        reason: Finish | None = "stopped"
        if self._read_prompt(encoded.ids, reused):
            reason = draft.events.ended or self._write_tokens(draft, encoded)
        if reason is not None:
            draft.events.finish(reason, self._prefill)

    def _read_prompt(self, ids: list[int], reused: int) -> bool:
        """Read the new part of the prompt; False if the user stopped it."""
        unread, began = len(ids) - reused, time.perf_counter()
        for read in self._session.context.read(ids):
            self._prefill = time.perf_counter() - began
            if self._control.stopped():
                return False
            if unread > PROGRESS_FROM_TOKENS:
                speed = (read - reused) / self._prefill
                self._send(
                    Progress(
                        request=self._request.request,
                        what="reading the prompt",
                        done=read - reused,
                        total=unread,
                        unit="tokens",
                        per_second=speed,
                        remaining=(len(ids) - read) / speed,
                    )
                )
        return True

    def _write_tokens(self, draft: _Draft, encoded: EncodedPrompt) -> Finish | None:
        """Why it ended; None if others have joined, and all has been said."""
        context, length = self._session.context, self._request.max_tokens
        if length is not None and context.can_branch(length) and (other := self._waiting()) is not None:
            self._write_together([draft, self._joined(other, encoded)], encoded)
            return None
        for step in generate(context, draft.sampler, draft.steer):
            if (reason := draft.take(step)) is not None:
                return reason
        return "context"

    def _joined(self, joining: Joining, encoded: EncodedPrompt) -> _Draft:
        draft = _Draft(self._session, joining, encoded, self._send, time.perf_counter())
        draft.events.start(len(encoded.ids))
        return draft

    def _next(self, drafts: list[_Draft], encoded: EncodedPrompt) -> _Draft | None:
        if drafts:
            return drafts.pop(0)
        other = self._waiting()
        return None if other is None else self._joined(other, encoded)

    def _write_together(self, drafts: list[_Draft], encoded: EncodedPrompt) -> None:
        """Write these replies, and those that join them, each to its end."""
        assert self._request.max_tokens is not None
        branching = Branching(self._session.context, MOST_TOGETHER, self._request.max_tokens)
        under_way: dict[int, _Draft] = {}
        while drafts or under_way:
            while branching.free and (draft := self._next(drafts, encoded)) is not None:
                under_way[branching.open()] = draft
            drawn: dict[int, int] = {}
            for branch, draft in list(under_way.items()):
                step = draft.draw(branching, branch)
                drawn[branch] = step.token
                if (reason := draft.take(step)) is not None:
                    draft.events.finish(reason, self._prefill)
                    branching.close(branch)
                    del under_way[branch], drawn[branch]
            if drawn:
                branching.read(drawn)
