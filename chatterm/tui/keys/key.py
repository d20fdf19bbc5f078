"""What a key is: an action, the keys for it, and the place where they mean it."""

from __future__ import annotations

from typing import Literal, NamedTuple

from chatterm.language import mark

Scope = Literal[
    "anywhere",
    "chat",
    "message",
    "attachments",
    "messages",
    "tokens",
    "candidates",
    "continuations",
    "glass",
    "picker",
    "parameters",
    "conversations",
    "tree",
    "settings",
]

SCOPES: dict[Scope, str] = {
    "anywhere": mark("Everywhere"),
    "chat": mark("In the chat"),
    "message": mark("Writing a message"),
    "attachments": mark("What goes along with the message"),
    "messages": mark("A chosen message"),
    "tokens": mark("Walking over tokens"),
    "candidates": mark("Choosing another token"),
    "continuations": mark("Several continuations"),
    "glass": mark("Looking inside the model (in the panel)"),
    "picker": mark("Choosing a model"),
    "parameters": mark("Sampling values"),
    "conversations": mark("The list of conversations"),
    "tree": mark("The tree of the conversation"),
    "settings": mark("Settings"),
}


class Key(NamedTuple):
    """One action and the keys for it, the best one first; `hint` is its short name in the bottom line."""

    scope: Scope
    action: str
    keys: tuple[str, ...]
    says: str
    hint: str = ""
    priority: bool = False

    @property
    def id(self) -> str:
        """How the settings call the action: `chat.hotter`."""
        return f"{self.scope}.{self.action}"
