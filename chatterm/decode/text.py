"""Tokens of a reply to its text: detokenising, stop strings, thinking blocks, all one token at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chatterm.checkpoint.thinking import ThinkingMarkers
from chatterm.checkpoint.tokenizer import Tokenizer

PartKind = Literal["thinking", "answer"]


class StopMatcher:
    """Finds the first stop string in streamed text.

    Text that could still become a stop string is held back; everything before it is let through at once.

    Attributes:
        found: the stop string that ended the text, or None.
    """

    def __init__(self, stop: Iterable[str]) -> None:
        self._stop = tuple(dict.fromkeys(text for text in stop if text))
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        """The part of the text so far that is now certain to come before any stop string."""
        if self.found is not None or not self._stop:
            return text if self.found is None else ""
        self._held += text
        places = [(place, stop) for stop in self._stop if (place := self._held.find(stop)) >= 0]
        if places:
            place, self.found = min(places)
            kept, self._held = self._held[:place], ""
            return kept
        certain = len(self._held) - max(overlap(self._held, stop) for stop in self._stop)
        kept, self._held = self._held[:certain], self._held[certain:]
        return kept

    def flush(self) -> str:
        """What was held back, at the end of the text."""
        kept, self._held = self._held, ""
        return kept


def overlap(text: str, word: str) -> int:
    """Length of the longest end of `text` that is a beginning of `word`, but not all of it."""
    for length in range(min(len(text), len(word) - 1), 0, -1):
        if text.endswith(word[:length]):
            return length
    return 0


class ReplyText:
    """The text of a reply, from its tokens: increments whose concatenation is the reply.

    Combines detokenising with stop strings. When `stopped` is set the reply is over and nothing more comes.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        stop: Iterable[str] = (),
        *,
        strip: bool | None = None,
        keep: Collection[int] = (),
    ) -> None:
        """Begins a reply; `strip` and `keep` as in `Tokenizer.stream` and `EncodedPrompt`."""
        self._stream = tokenizer.stream(strip=strip, keep=keep)
        self._stop = StopMatcher(stop)

    @property
    def stopped(self) -> str | None:
        """The stop string that ended the reply."""
        return self._stop.found

    def push(self, token: int) -> str:
        """The text that `token` makes certain, often empty."""
        return self._stop.push(self._stream.push(token))

    def flush(self) -> str:
        """The tail that was held back, at the end of the reply."""
        tail = self._stop.push(self._stream.flush())
        return tail + self._stop.flush()


class Part(NamedTuple):
    """A piece of a reply: what the model thought, or what it answers."""

    kind: PartKind
    text: str


@dataclass
class ThinkingSplitter:
    """Tells thinking from answering in streamed text.

    The markers themselves, and line breaks around them, are left out. Joining the texts of one kind gives
    what the model thought, or its answer.

    Args:
        markers: the texts between which the model thinks, or None if it has none.
        thinking: the text begins inside a thinking block (the prompt opened it).
    """

    markers: ThinkingMarkers | None
    thinking: bool = False
    _held: str = ""
    _at_edge: bool = True  # line breaks here are the marker's, not the text's

    def push(self, text: str) -> list[Part]:
        """What `text` adds; a piece that may yet become a marker is held back."""
        if self.markers is None:
            return [Part("answer", text)] if text else []
        self._held += text
        parts: list[Part] = []
        while (place := self._held.find(marker := self._next_marker)) >= 0:
            self._emit(parts, self._held[:place].rstrip("\n") if self.thinking else self._held[:place])
            self._held = self._held[place + len(marker) :]
            self.thinking = not self.thinking
            self._at_edge = True
        held = overlap(self._held, marker)
        if self.thinking:  # line breaks before the closing marker belong to it
            body = self._held[: len(self._held) - held]
            held += len(body) - len(body.rstrip("\n"))
        self._emit(parts, self._held[: len(self._held) - held])
        self._held = self._held[len(self._held) - held :]
        return parts

    def flush(self) -> list[Part]:
        """What was held back, at the end of the text."""
        parts: list[Part] = []
        self._emit(parts, self._held)
        self._held = ""
        return parts

    @property
    def _next_marker(self) -> str:
        assert self.markers is not None
        return self.markers.closes if self.thinking else self.markers.opens

    def _emit(self, parts: list[Part], text: str) -> None:
        if self._at_edge:
            text = text.lstrip("\n")
        if text:
            self._at_edge = False
            parts.append(Part("thinking" if self.thinking else "answer", text))
