"""The library as one class."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from chatterm.errors import UserError
from chatterm.library.exchange import Exchange
from chatterm.library.presence import Presence
from chatterm.library.search import Search


class Library(Presence, Exchange, Search):
    """All conversations of a user: `Presence` over `Replies` and what they stand on, `Exchange`, `Search`.

    It belongs to the thread that made it. Every method that changes something returns once the change is on
    the disk, or raises `UserError` and has changed nothing; after that the library can be used on.
    """

    def _begin(self, path: Path | None, busy_seconds: float) -> None:
        super()._begin(path, busy_seconds)
        with suppress(UserError):  # the disk may be full; then it waits for the next opening
            self.recover()

    def close(self) -> None:
        """Mark the replies that were not finished as interrupted, and close."""
        with suppress(UserError):
            self._release()
        super().close()
