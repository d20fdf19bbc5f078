"""Text out of tokens, one at a time."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class TextStream:
    """Turns tokens into increments of text whose concatenation is exactly the text of all of them.

    A character that is only half there is held back until its last byte arrives; bytes that can never become
    a character read U+FFFD, as when the whole is decoded at once.
    """

    def __init__(self, bytes_of: Callable[[int], bytes], *, strip_space: bool) -> None:
        self._bytes_of = bytes_of
        self._strip_space = strip_space
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that `token` completes, often empty."""
        return self._begin(self._decoder.decode(self._bytes_of(token)))

    def flush(self) -> str:
        """The tail: U+FFFD for a character that never became whole, else nothing."""
        return self._begin(self._decoder.decode(b"", final=True))

    def _begin(self, text: str) -> str:
        if text and self._strip_space:
            self._strip_space = False
            return text.removeprefix(" ")
        return text
