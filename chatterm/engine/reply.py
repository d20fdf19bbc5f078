"""Writing one reply: from the request to the events that tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from chatterm.decode.loop import Step, generate
from chatterm.decode.text import ReplyText
from chatterm.engine.messages import AnyEvent, Finished, Generate, Progress, Started, TokenEvent
from chatterm.engine.numbers import to_distribution
from chatterm.engine.records import Finish, Text, Timing
from chatterm.engine.session import Session
from chatterm.sampling import SamplingParameters

PROGRESS_FROM_TOKENS = 512
"""A prompt with fewer unread tokens is read so fast that progress would only flicker."""


class ReplyWriter:
    """Writes one reply and sends its events: `Started`, `Progress` …, `TokenEvent` …, `Finished`.

    Args:
        session: the loaded checkpoint.
        request: what to write.
        send: takes each event.
        stopped: whether the user wants it to end; asked at least once per token.
        steering: new sampling parameters since it was last asked, or None.
    """

    def __init__(
        self,
        session: Session,
        request: Generate,
        send: Callable[[AnyEvent], None],
        stopped: Callable[[], bool],
        steering: Callable[[], SamplingParameters | None],
    ) -> None:
        self._session = session
        self._request = request
        self._send = send
        self._stopped = stopped
        self._steering = steering
        self._sampling = request.sampling
        self._began = time.perf_counter()
        self._begins: int | None = None
        self._prefill = 0.0
        self._generated = 0
        self._first = 0.0
        self._last = 0.0

    def write(self) -> None:
        """Write it all.

        Raises:
            UserError: before `Started`: the prompt cannot be used. Later: the model's numbers are not finite.
        """
        encoded = self._session.encode(self._request.prompt)
        reused = self._session.context.begin(encoded.ids)
        stops = self._session.rules.stops if self._sampling.checkpoint_rules else ()
        self._begins = self._session.begins(self._request.prompt, encoded.ids)
        text = ReplyText(
            self._session.tokenizer,
            (*self._request.stop, *encoded.stop, *stops),
            strip=encoded.strip,
            keep=encoded.keep,
        )
        prompt = self._request.prompt
        begun = () if isinstance(prompt, Text) else prompt.begun
        ends = self._session.tokenizer.end_ids
        ended = bool(begun) and begun[-1] in ends
        self._send(
            Started(
                request=self._request.request,
                prompt=tuple(encoded.ids),
                reused=reused,
                notices=(*encoded.notices, *self._session.decoder.take_notices()),
                thinking=encoded.thinking,
                begun=tuple("" if token in ends else text.push(token) for token in begun),
            )
        )
        read = self._read_prompt(encoded.ids, reused)
        reason: Finish = "stopped"
        if read:
            reason = "end" if ended else self._write_tokens(text)
        self._send(
            Finished(
                request=self._request.request,
                reason=reason,
                text=text.flush(),
                timing=Timing(
                    prompt_tokens=len(encoded.ids),
                    reused_tokens=reused,
                    generated_tokens=self._generated,
                    first_token=max(0.0, self._first - self._began),
                    prefill=self._prefill,
                    decode=self._last - self._first,
                ),
            )
        )

    def _read_prompt(self, ids: list[int], reused: int) -> bool:
        """Read the new part of the prompt; False if the user stopped it."""
        unread, began = len(ids) - reused, time.perf_counter()
        for read in self._session.context.read(ids):
            self._prefill = time.perf_counter() - began
            if self._stopped():
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

    def _write_tokens(self, text: ReplyText) -> Finish:
        session, limit = self._session, self._request.max_tokens
        if limit == 0:
            return "length"
        for step in generate(session.context, session.new_sampler(self._begins), self._steer):
            ends = step.token in session.tokenizer.end_ids
            self._last = time.perf_counter()
            self._first = self._first or self._last
            self._generated += 1
            self._send(self._event(step, "" if ends else text.push(step.token)))
            if ends:
                return "end"
            if text.stopped:
                return "stop"
            if self._generated == limit:
                return "length"
            if self._stopped():
                return "stopped"
        return "context"

    def _steer(self) -> SamplingParameters:
        self._sampling = self._steering() or self._sampling
        return self._sampling

    def _event(self, step: Step, text: str) -> TokenEvent:
        distribution = to_distribution(
            step.distribution,
            self._session.tokenizer,
            position=step.position,
            candidates=self._request.candidates,
            also=(step.token,),
        )
        chosen = next(row for row in distribution.candidates if row.id == step.token)
        return TokenEvent(
            request=self._request.request,
            id=step.token,
            text=text,
            logprob=chosen.logprob,
            rank=chosen.rank,
            sampled=chosen.sampled,
            distribution=distribution,
            temperature=step.parameters.temperature,
        )
