"""Conversations as trees of messages and tokens, in SQLite.

`Library` is the whole of it, `AsyncLibrary` the same behind a thread of its own. What is promised about
power cuts, several windows and damaged files is in `docs/library.md`.
"""

from __future__ import annotations

from chatterm.library.asynchronous import AsyncLibrary
from chatterm.library.library import Library
from chatterm.library.records import (
    Candidate,
    Conversation,
    Hit,
    Message,
    Node,
    OpenConversation,
    Removal,
    Role,
    Siblings,
    Status,
    Timing,
    Token,
)
from chatterm.library.titles import title_of

__all__ = [
    "AsyncLibrary",
    "Candidate",
    "Conversation",
    "Hit",
    "Library",
    "Message",
    "Node",
    "OpenConversation",
    "Removal",
    "Role",
    "Siblings",
    "Status",
    "Timing",
    "Token",
    "title_of",
]
