"""What comes from the terminal: bytes become keys, mouse events, pastes and answers.

Textual's parser reads the keys. This stands in front of it, for what a terminal sends on a bad day: bytes
that are no text, numbers that no key has, answers that come late, text pasted without being marked as such, a
paste whose end never comes, and more mouse movements than anybody could look at.
"""

from __future__ import annotations

import re
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import Final

from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

PASTE_BEGIN: Final = "\x1b[200~"
PASTE_END: Final = "\x1b[201~"
PATIENCE: Final = 2.0
"""Seconds without a byte after which a paste is taken as it is, though its end did not come."""

FLOOD: Final = 300
"""So many characters of text that were read at once were not typed: they are a paste that was not marked."""
FLOOD_PATIENCE: Final = 0.1
"""Seconds without a byte after which such a paste has ended."""

SHIFT: Final = 2
"""What a terminal calls the shift key alone; 1 is none."""
LARGEST_PASTE: Final = 64 << 20
"""Characters; what goes beyond is left out."""
_ANSWER: Final = re.compile(r"\x1b\](?:4|1\d);[^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[?>][\d;]*c")
"""Colours and attributes that were asked for before the screen was drawn, and that came too late."""
_BEGUN: Final = re.compile(
    r"\x1b(?:\](?:(?:4|1\d?)(?:;[^\x07\x1b]{0,200}\x1b?)?)?|\[(?:[?>][\d;]*|2|20|200)?)\Z"
)
"""What may become an answer, or the beginning of a paste, with what is read next."""
_COLOUR_BEGUN: Final = ("\x1b]1", "\x1b]4")
_MODIFIED: Final = re.compile(r"\x1b\[27;(\d{1,3});(\d{1,7})~")
"""A key with modifiers in xterm's form (`modifyOtherKeys`): the modifiers and the character's code."""
_PIECE: Final = re.compile(
    r"(?P<key>\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O\x1b])?)"
    r"|(?P<text>[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]+)"
    r"|(?P<control>.)",
    re.DOTALL,
)


class KeyParser(XTermParser):
    """Textual's, which takes the character's code in xterm's form for a text that was typed with escape."""

    def _sequence_to_key_events(self, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        return super()._sequence_to_key_events(_MODIFIED.sub(_as_kitty, sequence), alt)


class InputReader:
    """Bytes in, messages for the application out.

    `feed` takes what was read; `tick` is called when nothing came for a while, as long as it `is_waiting`.
    Both are given the time, in seconds of a clock that only goes forward, and yield what there is to tell.
    """

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = KeyParser()
        self._held = ""  # the beginning of something whose rest has not been read yet
        self._paste: list[str] | None = None
        self._marked = False  # the paste was marked as one, so it has an end that says so
        self._room = 0
        self._heard = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether `tick` may have something to tell although nothing more comes."""
        return self._paste is not None or bool(self._held) or self._parser._timeout_time is not None

    def feed(self, data: bytes, now: float) -> Iterator[Message]:
        """Take what was read."""
        self._heard = now
        text, self._held = self._held + self._decode(data), ""
        yield from _calmed(self._read(text))

    def tick(self, now: float) -> Iterator[Message]:
        """Nothing came for a while."""
        silence = now - self._heard
        if self._paste is not None:
            if silence >= (PATIENCE if self._marked else FLOOD_PATIENCE):
                self._held = ""
                yield from self._end_paste()
        elif self._held.startswith(_COLOUR_BEGUN):
            self._held = "" if silence >= PATIENCE else self._held
        elif self._held and silence >= FLOOD_PATIENCE:
            held, self._held = self._held, ""
            yield from self._keys(held)
        yield from self._parsed(self._parser.tick())

    def _read(self, text: str) -> Iterator[Message]:
        while text:
            if self._paste is None:
                head, begins, text = text.partition(PASTE_BEGIN)
                if not begins and (begun := _BEGUN.search(head)) is not None:
                    head, self._held = head[: begun.start()], begun[0]
                yield from self._unmarked(_ANSWER.sub("", head), last=not begins)
                if begins:
                    yield from self._end_paste()
                    self._begin_paste(marked=True)
            elif self._marked:
                head, ends, text = text.partition(PASTE_END)
                if not ends:
                    head, self._held = _without_beginning_of(PASTE_END, head)
                self._add(head)
                if ends:
                    yield from self._end_paste()
            else:
                more = _PIECE.match(text)
                if more is not None and more.lastgroup == "text":
                    self._add(more[0])
                    text = text[more.end() :]
                if text:
                    yield from self._end_paste()

    def _unmarked(self, text: str, *, last: bool) -> Iterator[Message]:
        """Keys, and long text among them, which is a paste; it may go on if it stands `last`."""
        for piece in _PIECE.finditer(text):
            if piece.lastgroup == "text" and len(piece[0]) >= FLOOD:
                self._begin_paste(marked=False)
                self._add(piece[0])
                if not (last and piece.end() == len(text) and not self._held):
                    yield from self._end_paste()
            else:
                yield from self._keys(piece[0])

    def _begin_paste(self, *, marked: bool) -> None:
        self._paste, self._marked, self._room = [], marked, LARGEST_PASTE

    def _add(self, text: str) -> None:
        assert self._paste is not None
        self._paste.append(text[: self._room])
        self._room = max(0, self._room - len(text))

    def _end_paste(self) -> Iterator[Message]:
        pasted, self._paste = "".join(self._paste or ()).replace("\0", ""), None
        if pasted:
            yield events.Paste(pasted)

    def _keys(self, text: str) -> Iterator[Message]:
        if text:
            yield from self._parsed(self._parser.feed(text))

    def _parsed(self, found: Iterable[Message]) -> Iterator[Message]:
        try:
            for message in found:
                if isinstance(message, events.Resize):
                    message = self._possible(message)
                yield message
        except Exception:  # numbers that no key and no screen has: what cannot be read is left out
            old, self._parser = self._parser, KeyParser()
            for name in ("last_x", "last_y", "mouse_pixels", "terminal_size", "terminal_pixel_size"):
                setattr(self._parser, name, getattr(old, name))

    def _possible(self, message: events.Resize) -> events.Resize:
        """A size that a screen can have; the parser keeps it too, to turn pixels into cells."""
        pixels = message.pixel_size
        width, height = message.size
        if pixels is not None and not (pixels.width and pixels.height):
            pixels = None
        possible = events.Resize.from_dimensions((max(1, width), max(1, height)), pixels)
        self._parser.terminal_size = possible.size
        self._parser.terminal_pixel_size = pixels
        return possible


def _as_kitty(modified: re.Match[str]) -> str:
    """A key with modifiers in the form that Textual reads; with shift alone a sign is the sign itself."""
    modifiers, code = int(modified[1]), int(modified[2])
    if modifiers <= SHIFT and code <= sys.maxunicode and chr(code).isprintable():
        return chr(code)
    return f"\x1b[{code};{modifiers}u"


def _without_beginning_of(mark: str, text: str) -> tuple[str, str]:
    """`text` without the longest beginning of `mark` that it ends with, and that beginning."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return text[:-length], text[-length:]
    return text, ""


def _calmed(found: Iterable[Message]) -> Iterator[Message]:
    """Of mouse movements that follow one another only the last, with the way of all of them."""
    moved: events.MouseMove | None = None
    for message in found:
        if isinstance(message, events.MouseMove):
            if moved is not None and moved.button == message.button:
                message._delta_x += moved._delta_x
                message._delta_y += moved._delta_y
            elif moved is not None:
                yield moved
            moved = message
            continue
        if moved is not None:
            yield moved
            moved = None
        yield message
    if moved is not None:
        yield moved
