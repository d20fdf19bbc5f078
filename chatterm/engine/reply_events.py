"""What the interface is told of one reply: from the tokens that are drawn to the events that tell of them."""

from __future__ import annotations

import time
from collections.abc import Callable

from chatterm.checkpoint.template import EncodedPrompt
from chatterm.decode.loop import Step
from chatterm.decode.text import ReplyText
from chatterm.engine.messages import AnyEvent, Finished, Generate, Started, TokenEvent
from chatterm.engine.numbers import to_distribution
from chatterm.engine.session import Session
from chatterm.records.generation import Finish, Text, Timing


class ReplyEvents:
    """Sends `Started`, `TokenEvent` …, `Finished` of one reply.

    Args:
        session: the loaded checkpoint.
        request: what is written.
        encoded: its prompt.
        send: takes each event.
        began: when the reply was begun, by `time.perf_counter`.
    """

    def __init__(
        self,
        session: Session,
        request: Generate,
        encoded: EncodedPrompt,
        send: Callable[[AnyEvent], None],
        began: float,
    ) -> None:
        self._session = session
        self._request = request
        self._encoded = encoded
        self._send = send
        stops = session.rules.stops if request.sampling.checkpoint_rules else ()
        self.begins = session.begins(request.prompt, encoded.ids)
        """Position at which the reply begins; None where nobody knows."""
        self._text = ReplyText(
            session.tokenizer, (*request.stop, *encoded.stop, *stops), strip=encoded.strip, keep=encoded.keep
        )
        self._began = began
        self._generated = 0
        self._first = 0.0
        self._last = 0.0
        self._reused = 0

    def start(self, reused: int) -> None:
        """Say what the prompt is, of which so many tokens need not be read."""
        prompt, ends = self._request.prompt, self._session.tokenizer.end_ids
        begun = () if isinstance(prompt, Text) else prompt.begun
        self._reused = reused
        self._send(
            Started(
                request=self._request.request,
                prompt=tuple(self._encoded.ids),
                reused=reused,
                notices=(*self._encoded.notices, *self._session.decoder.take_notices()),
                thinking=self._encoded.thinking,
                begun=tuple("" if token in ends else self._text.push(token) for token in begun),
            )
        )

    @property
    def ended(self) -> Finish | None:
        """Why no token is wanted: the reply begins with its end, or may have none."""
        prompt = self._request.prompt
        begun = () if isinstance(prompt, Text) else prompt.begun
        if begun and begun[-1] in self._session.tokenizer.end_ids:
            return "end"
        return "length" if self._request.max_tokens == 0 else None

    def add(self, step: Step) -> Finish | None:
        """Tell of a token. Why the reply ends with it, None if it goes on."""
        ends = step.token in self._session.tokenizer.end_ids
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._generated += 1
        self._send(self._event(step, "" if ends else self._text.push(step.token)))
        if ends:
            return "end"
        if self._text.stopped:
            return "stop"
        return "length" if self._generated == self._request.max_tokens else None

    def finish(self, reason: Finish, prefill: float) -> None:
        """Say why it ended; reading the prompt took `prefill` seconds."""
        self._send(
            Finished(
                request=self._request.request,
                reason=reason,
                text=self._text.flush(),
                timing=Timing(
                    prompt_tokens=len(self._encoded.ids),
                    reused_tokens=self._reused,
                    generated_tokens=self._generated,
                    first_token=max(0.0, self._first - self._began),
                    prefill=prefill,
                    decode=self._last - self._first,
                ),
            )
        )

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
