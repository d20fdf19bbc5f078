"""Which conversations are open, in this program and in others, so that nobody disturbs anybody.

An open conversation is a locked file beside the library, as for the owners of replies: the operating system
drops the lock when the program ends, however it ends.
"""

from __future__ import annotations

from contextlib import suppress

from chatterm.library.owners import Owner, is_alive
from chatterm.library.replies import Replies

_PREFIX = "open-"


class Presence(Replies):
    """The part of the library that knows what is open where."""

    def hold(self, conversation: int | None) -> None:
        """Say that this conversation, and no other, is open here; None: none is.

        Where no such sign can be left (a read-only disk, a library in memory), nobody else sees it.
        """
        if self._held is not None:
            self._held.release()
            self._held = None
        if conversation is not None and self.path is not None and not self.is_read_only:
            with suppress(OSError):
                self._held = Owner(self._owners_folder, f"{_PREFIX}{conversation}-")

    def open_elsewhere(self) -> frozenset[int]:
        """The conversations that are open in other programs now."""
        if self.path is None:
            return frozenset()
        try:
            names = [path.name for path in self._owners_folder.iterdir()]
        except OSError:
            return frozenset()
        mine = self._held.name if self._held is not None else ""
        found = set()
        for name in names:
            number = name.removeprefix(_PREFIX).partition("-")[0]
            other = name.startswith(_PREFIX) and name != mine and number.isdecimal()
            if other and is_alive(self._owners_folder, name):
                found.add(int(number))
        return frozenset(found)
