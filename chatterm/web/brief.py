"""What the server's libraries say: a line each, and few of them, since everybody here can provoke it."""

from __future__ import annotations

import logging
from typing import TextIO

from aiohttp.http import HttpProcessingError

from chatterm import inert

MOST = 5
"""Lines in all."""

LONGEST = 200
"""Characters of a line."""


class BriefHandler(logging.StreamHandler[TextIO]):
    """Writes the first warning of each kind to standard error, without a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is the first of its kind, and few kinds came before."""
        error = _error(record)
        what = str(record.msg) if error is None else type(error).__name__
        if isinstance(error, HttpProcessingError):
            what = "no request"  # one kind: whoever sends such things cannot use up the lines of the others
        if (record.name, what) in self._kinds or len(self._kinds) >= MOST:
            return False
        self._kinds.add((record.name, what))
        return True

    def format(self, record: logging.LogRecord) -> str:
        """What happened and why; what was sent is not quoted where it was no request."""
        text, error = record.getMessage(), _error(record)
        if error:
            text += f" ({type(error).__name__}"
            text += ")" if isinstance(error, HttpProcessingError) else f": {error})"
        return inert.line(f"chatterm: {text}"[:LONGEST])


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None
