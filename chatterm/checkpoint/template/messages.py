"""The small types that rendering a conversation deals in."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class ChatMessage(Protocol):
    """One turn of a conversation."""

    @property
    def role(self) -> str:
        """Who speaks: "system", "user" or "assistant"."""

    @property
    def content(self) -> str:
        """What is said."""


class Turn(NamedTuple):
    """A `ChatMessage` of our own."""

    role: str
    content: str


class Rendered(NamedTuple):
    """A conversation as text. `notices` are sentences for the user about what had to be changed."""

    text: str
    notices: tuple[str, ...] = ()


class TemplateRefusedError(Exception):
    """The template does not take this conversation, in its own words."""
