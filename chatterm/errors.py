"""The one exception that a user is meant to read."""

from __future__ import annotations

from chatterm import inert

LONGEST = 2000
"""Characters of a sentence; a longer one quotes something that somebody made to be long."""


class UserError(Exception):
    """One clear sentence for the person at the keyboard: what is wrong, where, and what to do.

    Anything under the command line or the interface may raise it; the command line prints it and exits with
    status 2, the engine sends it as a `Failed` event, the interface shows it.
    """

    @property
    def sentence(self) -> str:
        """The sentence itself, inert and not too long: it may name a file or quote what cannot be used."""
        text = str(self)
        return inert.line(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")
